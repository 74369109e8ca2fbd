"""How far a fit is: what the panel and the terminal show. No bpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dr_backend.language import told

MAX_LOSSES = 256


@dataclass
class Progress:
    """The latest known state of a fit, from the worker's events and Blender's own renders."""

    activity: str = field(default_factory=lambda: told("Reading the scene"))
    stage: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds_left: float | None = None
    renderer: str = ""
    device: str = ""
    why: str = ""  # why this renderer
    _heard: int = 0  # steps that the worker told of
    losses: list[float] = field(default_factory=list)  # of this stage, oldest first: every stage has a loss of its own

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """Takes in a worker's event."""
        if kind == "hello":
            self.activity = told("Preparing the fit")
        elif kind == "stage":
            self.activity = told(
                "{stage} ({number} of {count})", stage=told(str(data["name"])), number=int(data["index"]) + 1, count=data["count"]
            )
            self.losses.clear()
            self.renderer, self.device, self.why = str(data["renderer"]), str(data["device"]), str(data["why"])
        elif kind == "step":
            self.stage, self.step, self.steps = str(data["stage"]), int(data["step"]), int(data["steps"])
            self.loss = float(data["loss"])
            self.losses.append(self.loss)
            if len(self.losses) > MAX_LOSSES:
                del self.losses[1:-1:2]
            self._heard += 1
            # the first steps also pay for the start-up: an estimate from them alone is many times too long
            self.seconds_left = float(data["seconds_left"]) if self._heard >= 5 else None

    @property
    def fraction(self) -> float:
        """Steps made of steps planned, from 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0

    def line(self) -> str:
        """One line for the terminal: stage, step, loss, time left."""
        parts = [self.activity]
        if self.steps:
            parts.append(told("step {step} of {steps}", step=self.step, steps=self.steps))
        if self.loss is not None:
            parts.append(told("loss {loss:.4g}", loss=self.loss))
        if self.seconds_left is not None:
            parts.append(told("{time} left", time=duration(self.seconds_left)))
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return told("{seconds} s", seconds=whole)
    if whole < 3600:
        return told("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    return told("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def sentences(message: str, hint: str) -> str:
    """A message and its hint as sentences that end like sentences; an empty one is left out."""
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in (message, hint) if text)
