"""Events: one JSON object a line on the worker's stdout. ``docs/protocol.md`` shows a recorded run.

``hello, (stage | step | preview | look | warning | checkpoint)*, (done | cancelled | failed)``: exactly one last event ends every run.
"""

import json
from dataclasses import dataclass, field
from typing import Any

PROTOCOL_VERSION = "1.2"
MAX_LINE = 1 << 20  # a longer line is not ours

# Kind → fields every event of that kind carries.
KINDS: dict[str, tuple[str, ...]] = {
    "hello": ("protocol", "version", "pid"),
    "stage": ("name", "index", "count", "renderer", "device", "why"),
    "step": ("step", "steps", "stage", "loss", "seconds_left"),
    "preview": ("step",),
    "look": ("camera",),
    "warning": ("message",),
    "checkpoint": ("step",),
    "done": ("message",),
    "cancelled": ("message",),
    "failed": ("code", "message", "hint"),
}
LAST_KINDS = ("done", "cancelled", "failed")
EXIT_CODES = {"done": 0, "cancelled": 3, "failed": 1}
COMMANDS = ("cancel", "pause", "resume", "preview", "look")


class JobError(Exception):
    """A job that cannot run or went wrong, in words for the artist.

    ``code`` is for programs (``bad_job``, ``no_device``, ``no_renderer``, ``out_of_memory``, ``disk_full``, ``cannot_write``,
    ``diverged``, ``crashed``), ``message`` says what is wrong, ``hint`` what to do.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True)
class Event:
    """One event: its kind and its fields."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of strict JSON (no NaN), with the newline.

        Raises:
            ValueError: A number is not finite, or a field of the kind is missing.
        """
        missing = [name for name in KINDS[self.kind] if name not in self.data]
        if missing:
            raise ValueError(f"a {self.kind} event needs '{missing[0]}'")
        return json.dumps({"event": self.kind, **self.data}, allow_nan=False, ensure_ascii=True) + "\n"


def parse_event(line: str) -> Event | None:
    """The event of a line, or None for anything else: a library's print, garbage, or a kind from a newer worker."""
    if len(line) > MAX_LINE or not line.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not isinstance(kind := data.pop("event", None), str) or kind not in KINDS:
        return None
    return Event(kind, data) if all(name in data for name in KINDS[kind]) else None
