"""One fit from start to finish: idle → export → running → apply → done | cancelled | failed.

The modal operator, the blocking one and the command line drive the same object: ``start`` once, then ``tick`` until ``finished``.
It holds names, never pointers into Blender's data: undo and editing may move those between two ticks.
"""

import enum
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from dr_backend.job import Event, FitSettings, JobError, JobFolder
from dr_backend.scene import Photo

from . import preferences, report
from .environment import BackendProblem
from .exchange.problems import SceneProblem
from .exchange.scene import read_scene, write_result
from .progress import Progress
from .properties import fit_settings
from .selection import Selection, Wanted, select
from .worker_client import WorkerClient, worker_command

# The best result so far is worth keeping after these; after others (nothing visible, diverged) it is not to be trusted.
_KEEP_CHECKPOINT = ("crashed", "out_of_memory", "disk_full", "cannot_write")


class State(enum.Enum):
    """Where a fit stands."""

    IDLE = "idle"
    EXPORT = "export"
    RUNNING = "running"
    APPLY = "apply"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = (State.DONE, State.CANCELLED, State.FAILED)


class CannotStart(Exception):
    """Why no fit can begin, in a sentence. The scene is as it was."""


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what to fit."""

    render_report: bool = True
    backend_python: str = ""  # empty: from the preferences
    sheet: Path | None = None  # where to put the picture of photos and renders; None: into the job folder if that is kept


class Session:
    """One fit. Made by ``start``; ended by ``tick`` or ``abort``."""

    def __init__(self, scene_name: str, selection: Selection, settings: FitSettings, options: Options) -> None:
        self.scene_name, self.selection, self.settings, self.options = scene_name, selection, settings, options
        self.state = State.IDLE
        self.progress = Progress()
        self.warnings: list[str] = []
        self.done: list[str] = []  # what was written, one sentence each
        self.message = ""  # how it ended
        self.changed = False  # whether the scene was written to
        self.cancelling = False  # whether it was asked to stop
        self.report: dict[str, Any] = {}
        self._keep_job = preferences.read_preferences().keep_jobs
        self._job: JobFolder | None = None
        self._client: WorkerClient | None = None
        self._bindings: Any = None
        self._photos: list[Photo] = []
        self._views: dict[str, dict[str, np.ndarray]] = {"before": {}, "after": {}}
        self._pending: dict[str, list[str]] = {"before": [], "after": []}  # cameras still to be rendered
        self._last: Event | None = None
        self._started = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ENDED

    # -- start -----------------------------------------------------------------------------------------------------------------

    def _export(self) -> None:
        """Reads the scene, writes the job and starts the worker."""
        self.state = State.EXPORT
        scene = bpy.data.scenes[self.scene_name]
        chosen = self.selection
        groups = [chosen.objects(scene, names) for names in (chosen.meshes, chosen.cameras, chosen.lights)]
        python = self.options.backend_python or preferences.backend_python()
        exported = read_scene(scene, *groups, texture=self.settings.texture, texture_size=self.settings.texture_size)
        self._bindings, self._photos = exported.bindings, list(exported.photos)
        self.warnings = [f"Camera '{name}' has no photo and is left out" for name in chosen.without_photo] + list(exported.warnings)
        root = preferences.job_root()
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=root))
        except OSError as error:
            hint = "choose another Job Folder in the add-on's preferences"
            raise SceneProblem(f"The job folder {root} cannot be written ({error.strerror or error}): {hint}") from error
        self._job = JobFolder(folder)
        self._job.save(exported.scene, self._photos, self.settings)
        self._client = WorkerClient(worker_command(python, folder), folder)
        self._client.start()
        if self.options.render_report:
            self._pending["before"] = [photo.camera for photo in self._photos]
        self.progress.activity = "Starting the backend"
        self.state = State.RUNNING

    # -- the clockwork -----------------------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Does the next small piece of work: hears the worker, renders one view, or writes the result.

        Returns:
            Whether work is waiting, so that the next tick should follow at once.
        """
        if self.state is State.RUNNING:
            self._hear()
            if self.state is State.RUNNING:
                return self._render_next("before") and bool(self._pending["before"])
            return True
        if self.state is State.APPLY:
            self._apply_next()
            return not self.finished
        return False

    def cancel(self) -> None:
        """Asks for an early end that keeps the best result so far; while the last renders run, skips the rest of them."""
        self.cancelling = True
        self._pending = {"before": [], "after": []}
        if self.state is State.RUNNING and self._client:
            self.progress.activity = "Stopping"
            self._client.cancel()

    def abort(self) -> None:
        """Ends at once and changes nothing more: the file is being closed or the add-on switched off."""
        if self.finished:
            return
        self.message = "The fit was stopped before it ended"
        self._end(State.DONE if self.changed else State.CANCELLED)

    def _hear(self) -> None:
        for event in self._client.poll() if self._client else []:
            if event.kind == "warning":
                self.warnings.append(str(event.data["message"]))
            elif event.kind in ("done", "cancelled", "failed"):
                self._last = event
                self.state = State.APPLY
            else:
                self.progress.hear(event.kind, event.data)
                if self.cancelling:
                    self.progress.activity = "Stopping"

    def _render_next(self, when: str) -> bool:
        """Renders one more view with Blender; whether there was one. A render that fails costs the report, not the fit."""
        if not self._pending[when]:
            return False
        name = self._pending[when].pop(0)
        scene = bpy.data.scenes.get(self.scene_name)
        camera = scene.objects.get(name) if scene else None
        if scene is None or camera is None:
            self._no_report(f"camera '{name}' is gone")
            return True
        meshes, lights = (self.selection.objects(scene, names) for names in (self.selection.meshes, self.selection.lights))
        try:
            self._views[when] |= report.render_views(scene, [camera], meshes, unlit=not lights, lights=lights)
        except (RuntimeError, SceneProblem) as error:
            self._no_report(str(error))
        return True

    def _no_report(self, reason: str) -> None:
        self._pending = {"before": [], "after": []}
        self.options = replace(self.options, render_report=False)
        self.warnings.append(f"There is no report: {reason}")

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def _apply_next(self) -> None:
        """One piece of the end: renders from before, the result, renders from after, the report."""
        assert self._last is not None
        wants_report = self.options.render_report and self._last.kind == "done" and not self.cancelling
        if not self.changed:
            if wants_report and self._pending["before"]:
                self.progress.activity = f"Rendering {self._pending['before'][0]} as it was"
                self._render_next("before")
                return
            if not self._write():
                self._end(State.CANCELLED if self._last.kind == "cancelled" else State.FAILED)
                return
            if wants_report:
                self._pending["after"] = [photo.camera for photo in self._photos]
        elif self._pending["after"]:
            self._render_next("after")
        if self._pending["after"]:
            self.progress.activity = f"Rendering {self._pending['after'][0]}"
            return
        self._finish()

    def _write(self) -> bool:
        """Writes the result, or what there is of one, into the scene; whether anything was written. Sets the message."""
        assert self._last is not None
        assert self._job is not None
        kind, data = self._last.kind, self._last.data
        self.message = _sentence(data["message"], data.get("hint", ""))
        try:
            result = self._job.load_result()
            values = result[0] if result and kind != "failed" else None
            if values is None and (kind == "cancelled" or data.get("code") in _KEEP_CHECKPOINT):
                values = self._job.load_checkpoint()
            if values is None:
                self.message += " Nothing was changed."
                return False
            self.done = write_result(self._bindings, values)
        except (SceneProblem, JobError) as error:
            self.message = f"The result could not be used: {error}"
            self._last = Event("failed", {"code": "not_applied", "message": self.message, "hint": ""})
            return False
        self.changed = True
        if kind != "done":
            self.message += " The best result so far was kept."
        return True

    def _finish(self) -> None:
        """After the scene was written: the report, and the end."""
        assert self._last is not None
        kind, now = self._last.kind, time.monotonic()
        photos = [photo for photo in self._photos if photo.camera in self._views["after"] and photo.camera in self._views["before"]]
        self.report = {"cameras": []}
        if photos:
            self.report = report.build_report(photos=photos, before=self._views["before"], after=self._views["after"])
            self._save_sheet(photos)
        p = self.progress
        self.report |= {"status": kind, "message": self.message, "done": self.done, "warnings": self.warnings}
        self.report["seconds"] = round(now - self._started, 1)
        self.report |= {"renderer": p.renderer, "device": p.device, "why": p.why, "steps": p.step, "loss": p.loss}
        self.report["seed"] = self.settings.seed
        scene = bpy.data.scenes.get(self.scene_name)
        if scene is not None:
            scene.fit_to_photo.last_report = json.dumps(self.report)
        self._end({"done": State.DONE, "cancelled": State.CANCELLED, "failed": State.FAILED}[kind])

    def _save_sheet(self, photos: list[Photo]) -> None:
        assert self._job is not None
        path = self.options.sheet or (self._job.path / "report.png" if self._keep_job else None)
        if path is None:
            return
        try:
            report.contact_sheet(str(path), photos=photos, before=self._views["before"], after=self._views["after"])
        except (OSError, RuntimeError) as error:
            self.warnings.append(f"The report picture {path} could not be written: {error}")

    def _end(self, state: State) -> None:
        """Ends the worker and, unless it is still needed, removes the job folder."""
        self.state = state
        if self._client is not None:
            self._client.close()
        if self._job is not None and not self._keep_job and state is not State.FAILED:
            _remove(self._job.path)
        elif self._job is not None and state is State.FAILED:
            self.message += f" The job folder is {self._job.path}"


def _sentence(message: str, hint: str) -> str:
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in (message, hint) if text)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:  # an indexer or a virus scanner may hold a file open: not worth failing a fit that succeeded
        print(f"Fit to Photo: the job folder {folder} could not be removed: {error}", file=sys.stderr)


_current: Session | None = None


def current() -> Session | None:
    """The running or latest fit of this Blender; None before the first."""
    return _current


def is_running() -> bool:
    """Whether a fit is under way."""
    return _current is not None and not _current.finished


def start(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    *,
    settings: FitSettings | None = None,
    wanted: Wanted | None = None,
    options: Options | None = None,
) -> Session:
    """Begins a fit of this scene; by default with the scene's settings and the selected objects.

    Raises:
        CannotStart: In a sentence; nothing was changed and nothing is left behind.
    """
    global _current
    if is_running():
        raise CannotStart("A fit is already running: wait for it to end, or cancel it first")
    selection = select(scene, view_layer, wanted)
    if selection.problem:
        raise CannotStart(selection.problem)
    try:
        settings = settings or fit_settings(scene)
        session = Session(scene.name, selection, settings, options or Options(render_report=scene.fit_to_photo.render_report))
    except ValueError as error:
        raise CannotStart(str(error)) from error
    try:
        session._export()
    except (SceneProblem, JobError, BackendProblem) as error:
        session.abort()
        raise CannotStart(_sentence(str(error), getattr(error, "hint", ""))) from error
    _current = session
    return session


def stop() -> None:
    """Ends a running fit without applying anything, and forgets the latest one."""
    global _current
    if _current is not None:
        _current.abort()
    _current = None
