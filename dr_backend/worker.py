"""Runs a job: the only place of the backend that reads and writes files, streams and clocks."""

import gc
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from . import __version__
from .job import PROTOCOL_VERSION, Event, JobError, JobFolder
from .job.events import EXIT_CODES
from .language import told
from .scene import split_path

STEP_EVENTS_PER_SECOND = 10
CHECKPOINT_SECONDS = 2.0
PREVIEW_SECONDS = 0.25
PREVIEW_SHARE = 0.1  # of the time may go into previews
PREVIEW_TEXELS = 256  # along a side of an image in a preview
MAX_COMMAND = 4096  # bytes; of a longer line the rest is dropped


def take_stdout() -> TextIO:
    """The real stdout, for events only. File descriptor 1 is pointed at stderr, so that no library's print enters the protocol."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    return events


class Commands:
    """What the parent asks for, read from a file descriptor by a thread; end of file means that the parent is gone."""

    def __init__(self, descriptor: int) -> None:
        self._stop = threading.Event()
        self._run = threading.Event()
        self._run.set()
        self.wants_previews = False
        self.camera = ""  # whose picture is wanted with each preview
        self.waited_s = 0.0  # time spent paused
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def _read(self, descriptor: int) -> None:
        # os.read, not sys.stdin: a daemon thread inside a buffered reader would abort the interpreter at exit
        pending = b""
        while not self._stop.is_set() and (chunk := os.read(descriptor, 4096)):
            *lines, pending = (pending + chunk).split(b"\n")
            pending = pending[:MAX_COMMAND]
            for line in lines:
                self._obey(line)
        self.stop()

    def _obey(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            command = said.get("command")
        except (ValueError, AttributeError, RecursionError):
            return  # not a command
        if command == "cancel":
            self.stop()
        elif command == "pause":
            self._run.clear()
        elif command == "resume":
            self._run.set()
        elif command == "preview":
            self.wants_previews = True
        elif command == "look":
            self.camera = str(said.get("camera", ""))

    def stop(self) -> None:
        """Ends the fit at its next step."""
        self._stop.set()
        self._run.set()

    def paused(self) -> bool:
        """Whether ``should_stop`` would wait."""
        return not self._run.is_set()

    def should_stop(self) -> bool:
        """Whether to stop now; waits here while paused."""
        if self.paused():
            since = time.monotonic()
            self._run.wait()
            self.waited_s += time.monotonic() - since
        return self._stop.is_set()


def _failure(error: BaseException) -> JobError:
    """Whatever went wrong, as a sentence."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return JobError(
            "out_of_memory", told("There is not enough memory for this fit"), told("Choose a lower quality, or close other programs")
        )
    return JobError("crashed", told("The backend stopped: {reason}", reason=error), told("The job folder's worker.log has the details"))


def run_fit(folder: Path, events: TextIO, commands: Commands) -> int:
    """Fits a job, reporting to ``events``; the exit code agrees with the last event."""

    def emit(kind: str, **data: Any) -> None:
        try:
            events.write(Event(kind, data).to_line())
            events.flush()
        except (BrokenPipeError, ValueError, OSError):
            commands.stop()  # nobody listens: save what there is and end

    emit("hello", protocol=PROTOCOL_VERSION, version=__version__, pid=os.getpid())
    try:
        kind, message = _fit(JobFolder(folder), emit, commands)
        emit(kind, message=message)
    except Exception as error:  # noqa: BLE001 the boundary: whatever goes wrong becomes one sentence and a full log
        traceback.print_exc()
        failure, kind = _failure(error), "failed"
        emit(kind, code=failure.code, message=failure.message, hint=failure.hint)
    return EXIT_CODES[kind]


def _fit(job: JobFolder, emit: Callable[..., None], commands: Commands) -> tuple[str, str]:
    """Runs the loop of one job and saves its result: the kind and message of the last event."""
    scene, photos, settings = job.load()
    import torch  # takes seconds: a damaged job is refused before

    gc.freeze()  # torch stays; searching it for unused cycles takes a tenth of a second, twice before the first step
    from .fit import Fit
    from .problem import make_problem

    problem = make_problem(scene, photos, settings)
    for warning in problem.warnings:
        emit("warning", message=warning)
    fit = Fit(problem)
    if not job.is_done() and (kept := job.load_checkpoint()) is not None:
        fit.resume({path: torch.as_tensor(value, device=problem.device) for path, value in kept.items()}, job.load_checkpoint_stage())
    job.discard_result()
    start = time.monotonic()
    reporter = _Reporter(job, emit, commands, problem.device, len(problem.stages))
    last = None
    for progress in fit.run():
        last = progress
        reporter.step(progress, fit)
        if commands.paused():
            reporter.checkpoint(progress, fit)
        if commands.should_stop():
            break
    cancelled = last is not None and last.step < last.steps
    if cancelled:
        reporter.checkpoint(last, fit)
    status = "cancelled" if cancelled else "done"
    message = told("Stopped at step {step} of {steps}", step=last.step, steps=last.steps) if cancelled and last else told("Fitted")
    summary = {
        "status": status,
        "message": message,
        "seconds": round(time.monotonic() - start - commands.waited_s, 2),
        "steps": last.step if last else 0,
        "loss": last.loss if last else None,
        "history": [round(x, 6) for x in fit.history],
        "renderer": ", ".join(reporter.renderers),
        "device": problem.device,
        "why": last.why if last else "",
        "seed": settings.seed,
        "warnings": problem.warnings,
        "version": __version__,
    }
    job.save_result(_to_numpy(fit.best()), summary)
    return status, message


class _Reporter:
    """Turns progress into events, at most ten a second, into previews where the parent wants them, and into checkpoints."""

    def __init__(self, job: JobFolder, emit: Callable[..., None], commands: Commands, device: str, stages: int) -> None:
        self._job, self._emit, self._commands, self._device, self._stages = job, emit, commands, device, stages
        self._stage_index = -1
        self._begun = 0.0  # when the first step was made
        self._last_step = self._next_preview = 0.0
        self._done_before: float | None = None  # share of the work that an earlier run made
        self._last_checkpoint = time.monotonic()
        self.renderers: list[str] = []  # in the order they were used

    def step(self, progress: Any, fit: Any) -> None:
        """One step of the fit was made."""
        now = time.monotonic()
        stage = progress.stage.name
        if self._done_before is None:
            self._done_before, self._begun = progress.work_done, now - self._commands.waited_s
        if progress.stage_index != self._stage_index:
            self._stage_index = progress.stage_index
            if progress.renderer not in self.renderers:
                self.renderers.append(progress.renderer)
            where = {"renderer": progress.renderer, "device": self._device, "why": progress.why}
            self._emit("stage", name=stage, index=self._stage_index, count=self._stages, **where)
        if now - self._last_step >= 1 / STEP_EVENTS_PER_SECOND:
            self._last_step = now
            # the first step pays for kernels, others for buffers: until a hundredth is done the guess would frighten
            worked = now - self._begun - self._commands.waited_s
            left = worked * (1 - progress.work_done) / max(progress.work_done - self._done_before, 0.01)
            self._emit("step", step=progress.step, steps=progress.steps, stage=stage, loss=progress.loss, seconds_left=round(left, 1))
        if (self._commands.wants_previews or self._commands.camera) and now >= self._next_preview:
            self._preview(progress, fit)
        if now - self._last_checkpoint >= CHECKPOINT_SECONDS:
            self.checkpoint(progress, fit)

    def checkpoint(self, progress: Any, fit: Any) -> None:
        """Keeps the best result so far on disk."""
        self._job.save_checkpoint(_to_numpy(fit.best()), progress.stage_index)
        self._last_checkpoint = time.monotonic()
        self._emit("checkpoint", step=progress.step)

    def _preview(self, progress: Any, fit: Any) -> None:
        """Writes the vertices and small images of the best result so far, and how the camera that the parent looks through sees it."""
        since = time.monotonic()
        camera = self._commands.camera
        try:
            if self._commands.wants_previews:
                self._job.save_preview(_for_preview(fit.best()))
                self._emit("preview", step=progress.step)
            if camera in fit.problem.scene.cameras:
                self._job.save_look(fit.look(camera).half().cpu().numpy())
                self._emit("look", camera=camera)
        except JobError as error:  # Windows lets no file be replaced while Blender reads it: the next preview follows soon
            print(f"No preview of step {progress.step}: {error}", file=sys.stderr)
        now = time.monotonic()
        self._next_preview = now + max(PREVIEW_SECONDS, (now - since) / PREVIEW_SHARE)


def _for_preview(values: dict[str, Any]) -> dict[str, Any]:
    """Vertices as they are, and images (H, W, K) averaged to at most ``PREVIEW_TEXELS`` a side, as half floats."""
    from torch.nn.functional import adaptive_avg_pool2d

    kept = {path: value for path, value in values.items() if split_path(path)[0] == "meshes"}
    for path, value in values.items():
        if path.endswith("/base_color_image"):
            height, width = (min(side, PREVIEW_TEXELS) for side in value.shape[:2])
            kept[path] = adaptive_avg_pool2d(value.detach().movedim(-1, 0), (height, width)).movedim(0, -1).half()
    return _to_numpy(kept)


def _to_numpy(values: dict[str, Any]) -> dict[str, Any]:
    return {path: value.detach().cpu().numpy() for path, value in values.items()}


def run_render(folder: Path, log: TextIO = sys.stderr) -> int:
    """Renders a job's scene from each of its cameras, with its result where it has one, into ``renders/`` as 8-bit PNG."""
    import numpy as np
    import torch
    from PIL import Image

    from .geometry.flatten import flatten, to_tensors
    from .raster.refine import refine, refined
    from .renderers.table import choose
    from .scene import with_leaves
    from .shading.opacity import see_through_faces

    job = JobFolder(folder)
    scene, _, settings = job.load()
    if result := job.load_result():
        scene = with_leaves(scene, result[0])
    device = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    tensors = to_tensors(scene, device)
    (folder / "renders").mkdir(exist_ok=True)
    with torch.no_grad():
        flat = flatten(tensors, device)
        renderer, _ = choose(settings.renderer, device, see_through=see_through_faces(flat) is not None)
        for index, (name, camera) in enumerate(tensors.cameras.items()):
            out = renderer.render(refined(flat, refine(flat, [camera])), [camera])[0]
            alpha = out.alpha[..., None].clamp(0, 1)
            linear = (out.rgb / alpha.clamp_min(1e-6)).clamp(0, 1)
            display = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)
            pixels = (torch.cat([display, alpha], -1) * 255).round().cpu().numpy().astype(np.uint8)
            Image.fromarray(pixels).save(folder / "renders" / f"{index}.png")
            print(f"{name}: {folder / 'renders' / f'{index}.png'}", file=log)
    return 0
