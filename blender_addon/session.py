"""One fit from start to finish: idle → export → running → apply → done | cancelled | failed.

The modal operator, the blocking one and the command line drive the same object: ``start`` once, then ``tick`` until ``finished``.
It holds names, never pointers into Blender's data: undo and editing may move those between two ticks.
"""

import enum
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import bpy

from dr_backend.job import Event, FitSettings, JobError, JobFolder
from dr_backend.language import told
from dr_backend.scene import Camera, Photo

from . import jobs, languages, left, overlay, preferences
from .environment import BackendProblem
from .exchange.identity import find
from .exchange.problems import SceneProblem
from .exchange.scene import Bindings, read_scene, write_result
from .look import show_look, wanted_camera
from .preview import LivePreview
from .progress import Progress, sentences
from .proof import Proof
from .properties import fit_settings
from .selection import Selection, Wanted, select
from .worker_client import WorkerClient, worker_command

# After these the best result so far is worth keeping and the fit worth resuming; after others (nothing visible, diverged) it is not.
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
        self.paused = False
        self.preview: LivePreview | None = None  # where the viewport follows the fit
        self._resumable = False  # whether the job is left to be resumed
        self._waiting: dict[str, Event] = {}  # previews and looks that were not shown yet, the latest of each kind
        self._looked_through = ""  # the camera that the worker was told to show
        self.report: dict[str, Any] = {}
        self._keep_job = preferences.read_preferences().keep_jobs
        self._job: JobFolder | None = None
        self._client: WorkerClient | None = None
        self._bindings = Bindings()
        self._lock: IO[bytes] | None = None
        self._proof: Proof | None = None
        self._last: Event | None = None
        self._started = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in (State.DONE, State.CANCELLED, State.FAILED)

    def _export(self) -> None:
        """Reads the scene, writes the job and starts the worker."""
        self.state = State.EXPORT
        scene = bpy.data.scenes[self.scene_name]
        chosen = self.selection
        groups = [chosen.objects(scene, names) for names in (chosen.meshes, chosen.cameras, chosen.lights)]
        python = self.options.backend_python or preferences.backend_python()
        exported = read_scene(scene, *groups, texture=self.settings.texture, texture_size=self.settings.texture_size)
        self._bindings = exported.bindings
        self.warnings = [told("Camera '{name}' has no photo and is left out", name=n) for n in chosen.without_photo] + exported.warnings
        self._job = JobFolder(jobs.make_folder(preferences.job_root()))
        self._lock = jobs.lock(self._job.path)
        self._job.save(exported.scene, exported.photos, self.settings)
        self.save_session()
        self._launch(python, scene, exported.photos, exported.scene.cameras)

    def _reopen(self, job: jobs.LeftJob, photos: Sequence[Photo], cameras: Mapping[str, Camera]) -> None:
        """Takes a job that was left behind, and starts a worker that goes on with it."""
        self.state = State.EXPORT
        python = self.options.backend_python or preferences.backend_python()
        self._lock = jobs.lock(job.folder)
        if self._lock is None:
            raise JobError("bad_job", told("Another Blender works on this fit, or its folder is gone"), told("Discard it, or fit again"))
        self._job = JobFolder(job.folder)
        self._bindings = Bindings.from_json(job.session["bindings"])
        try:
            self._launch(python, bpy.data.scenes[self.scene_name], photos, cameras)
        except JobError:
            self._lock.close()
            raise

    def save_session(self) -> None:
        """Notes in the job folder what another Blender needs to resume this fit: at its start, and when the file gets another name."""
        if self._job is not None and not self.finished:
            note = {"blend": bpy.data.filepath, "selection": asdict(self.selection), "bindings": self._bindings.to_json()}
            self._job.save_json(jobs.SESSION, {"format": jobs.FORMAT, **note})

    def _launch(self, python: str, scene: bpy.types.Scene, photos: Sequence[Photo], cameras: Mapping[str, Camera]) -> None:
        assert self._job is not None
        self._proof = Proof(scene, self.selection, photos, cameras, self.warnings.append)
        if self.options.render_report:
            self._proof.want("before")
        if self._job.is_done():  # the worker came to its end, and Blender was closed before it took the result
            self._last, self.state = Event("done", {"message": told("Fitted")}), State.APPLY
            return
        self._client = WorkerClient(worker_command(python, self._job.path, languages.po_file()), self._job.path)
        self._client.start()
        self.progress.activity = told("Starting the backend")
        self.state = State.RUNNING

    def begin_preview(self) -> bool:
        """Lets the viewport follow the fit from now on; whether the scene was prepared for it and an undo step should be made."""
        if self._client is not None:
            self.preview = LivePreview(self._bindings)
            if self.preview.begin(geometry=self.settings.geometry, texture=self.settings.texture):
                self._client.request_previews()
                return True
        return False

    def _end_preview(self) -> None:
        if self.preview is not None:
            self.preview.end()

    def tick(self, *, renders: bool = True) -> bool:
        """Does the next small piece of work: hears the worker, renders one view, or writes the result.

        Args:
            renders: Whether a view may be rendered while the worker fits. That keeps Blender busy for a second.

        Returns:
            Whether work is waiting, so that the next tick should follow at once.
        """
        if self.state is State.RUNNING:
            self._hear()
            self._watch_meshes()
            if self.state is State.RUNNING:
                return renders and self._proof.render_next("before") and bool(self._proof.pending["before"])
            return True
        if self.state is State.APPLY:
            self._apply_next()
            return not self.finished
        return False

    def cancel(self) -> None:
        """Asks for an early end that keeps the best result so far; while the last renders run, skips the rest of them."""
        self.cancelling = True
        if self._proof is not None:
            self._proof.drop()
        if self.state is State.RUNNING and self._client:
            self.progress.activity = told("Stopping")
            self._client.cancel()

    def pause(self, paused: bool) -> None:
        """Lets the worker wait, or go on."""
        if self.state is State.RUNNING and self._client and not self.cancelling:
            self.paused = paused
            (self._client.pause if paused else self._client.resume)()

    def abort(self) -> None:
        """Ends at once and changes nothing more: the file is being closed or the add-on switched off. The fit can be resumed."""
        if not self.finished:
            self.message = told("The fit was stopped before it ended")
            failed = self._last is not None and self._last.kind == "failed"
            self._resumable = self.state in (State.RUNNING, State.APPLY) and not (self.changed or self.cancelling or failed)
            self._end(State.DONE if self.changed else State.CANCELLED)

    def _hear(self) -> None:
        for event in self._client.poll() if self._client else []:
            if event.kind in ("preview", "look"):
                self._waiting[event.kind] = event
            elif event.kind == "warning":
                self.warnings.append(str(event.data["message"]))
            elif event.kind in ("done", "cancelled", "failed"):
                self._last = event
                self.state = State.APPLY
            else:
                self.progress.hear(event.kind, event.data)
                if self.cancelling:
                    self.progress.activity = told("Stopping")

    def show_preview(self) -> bool:
        """Shows the worker's latest vertices and pictures in the viewport; whether there were new ones."""
        if self.state is not State.RUNNING or self._job is None or self._proof is None or self._client is None:
            return False
        news = bool(self._waiting)
        if self._waiting.pop("preview", None) and self.preview is not None:
            self.preview.show_latest(self._job)
        if event := self._waiting.pop("look", None):
            show_look(self._job, self._proof, str(event.data["camera"]))
        if (camera := wanted_camera(self._proof)) != self._looked_through:
            self._looked_through = camera
            self._client.request_look(camera)
        return news

    def _watch_meshes(self) -> None:
        """Stops a fit whose mesh is gone."""
        for name, binding in self._bindings.meshes.items():
            if self.state is State.RUNNING and find(bpy.data.objects, binding["object"]) is None:
                said = told("'{name}' was deleted while it was being fitted: undo that, or choose another mesh, and fit again", name=name)
                self._last = Event("failed", {"code": "gone", "message": said, "hint": ""})
                self.state = State.APPLY

    def _apply_next(self) -> None:
        """One piece of the end: renders from before, the result, renders from after, the report."""
        assert self._last is not None
        assert self._proof is not None
        pending = self._proof.pending
        wants_report = self.options.render_report and self._last.kind == "done" and not self.cancelling
        if not self.changed:
            if wants_report and pending["before"]:
                self._end_preview()
                self.progress.activity = told("Rendering {camera} as it was", camera=pending["before"][0])
                self._proof.render_next("before")
                return
            if not self._write():
                self._end(State.CANCELLED if self._last.kind == "cancelled" else State.FAILED)
                return
            if wants_report:
                self._proof.want("after")
        else:
            self._proof.render_next("after")
        if self._proof.pending["after"]:
            self.progress.activity = told("Rendering {camera}", camera=self._proof.pending["after"][0])
            return
        self._finish()

    def _write(self) -> bool:
        """Writes the result, or what there is of one, into the scene; whether anything was written. Sets the message."""
        assert self._last is not None
        assert self._job is not None
        kind, data = self._last.kind, self._last.data
        self.message = sentences(data["message"], data.get("hint", ""))
        try:
            result = self._job.load_result()
            values = result[0] if result and kind != "failed" else None
            if values is None and (kind == "cancelled" or data.get("code") in _KEEP_CHECKPOINT):
                values = self._job.load_checkpoint()
            if values is None:
                self.message += " " + told("Nothing was changed.")
                return False
            self._end_preview()
            self.done = write_result(self._bindings, values)
        except (SceneProblem, JobError) as error:
            self.message = told("The result could not be used: {reason}", reason=error)
            self._last = Event("failed", {"code": "not_applied", "message": self.message, "hint": ""})
            return False
        self.changed = True
        if kind != "done":
            self.message += " " + told("The best result so far was kept.")
        return True

    def _finish(self) -> None:
        """After the scene was written: the report, and the end."""
        assert self._last is not None
        assert self._proof is not None
        kind, now = self._last.kind, time.monotonic()
        self.report = self._proof.figures()
        for name, comparison in self._proof.comparisons():
            overlay.remember(name, comparison)
        sheet = self.options.sheet or (self._job.path / "report.png" if self._job and self._keep_job else None)
        if sheet is not None:
            self._proof.save_sheet(sheet)
        p = self.progress
        self.report |= {"status": kind, "message": self.message, "done": self.done, "warnings": self.warnings}
        self.report["seconds"] = round(now - self._started, 1)
        self.report |= {"renderer": p.renderer, "device": p.device, "why": p.why, "steps": p.step, "loss": p.loss}
        self.report["seed"] = self.settings.seed
        if (scene := self._proof.scene) is not None:
            scene.fit_to_photo.last_report = json.dumps(self.report)
        self._end({"done": State.DONE, "cancelled": State.CANCELLED, "failed": State.FAILED}[kind])

    def _end(self, state: State) -> None:
        """Ends the worker and, unless it is still needed, removes the job folder."""
        self.state = state
        self._end_preview()
        if self._client is not None:
            self._client.close()
        if self._lock is not None:
            self._lock.close()
        left.look_again()
        if self._job is None:
            return
        if state is State.FAILED:
            self._resumable = self._last is not None and self._last.data.get("code") in _KEEP_CHECKPOINT
            self.message += " " + told("The job folder is {path}", path=self._job.path)
        if not self._resumable:
            (self._job.path / jobs.SESSION).unlink(missing_ok=True)
            if not self._keep_job and state is not State.FAILED:
                jobs.remove(self._job.path)


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
        raise CannotStart(told("A fit is already running: wait for it to end, or cancel it first"))
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
        raise CannotStart(sentences(str(error), getattr(error, "hint", ""))) from error
    _current = session
    return session


def resume(scene: bpy.types.Scene, job: jobs.LeftJob, options: Options | None = None) -> Session:
    """Goes on with a fit that was left behind.

    Raises:
        CannotStart: In a sentence; the job is as it was.
    """
    global _current
    if is_running():
        raise CannotStart(told("A fit is already running: wait for it to end, or cancel it first"))
    try:
        stored, photos, settings = JobFolder(job.folder).load()
        chosen = Selection.from_json(job.session["selection"])
        session = Session(scene.name, chosen, settings, options or Options(scene.fit_to_photo.render_report))
        session._reopen(job, photos, stored.cameras)
    except (JobError, BackendProblem) as error:
        raise CannotStart(sentences(str(error), getattr(error, "hint", ""))) from error
    _current = session
    return session


def stop(*, scene_is_closing: bool = False) -> None:
    """Ends a running fit without applying anything, and forgets the latest one. A scene that is closing is not touched."""
    global _current
    if _current is not None:
        if scene_is_closing:
            _current.preview = None
        _current.abort()
    _current = None
