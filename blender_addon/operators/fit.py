"""The buttons that run and cancel a fit."""

import contextlib
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from dr_backend.language import told
from dr_backend.parameters import PARAMETERS

from .. import jobs, left, preferences, session
from ..environment import BackendProblem
from ..redraw import Pace, redraw_sidebars
from ..selection import select

TICK_SECONDS = 0.1
LINE_SECONDS = 1.0  # between two lines of progress in the terminal
# What stays possible between the result and the last render: nothing may be edited then, for both become one undo step.
NAVIGATION = ("TIMER", "MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM")
_SILENT = ("NONE", "TIMER_REPORT", "TIMER_JOBS", "TIMER_AUTOSAVE", "TIMER_REGION")  # events behind which there is nobody


@contextlib.contextmanager
def _interrupt_cancels(fit: session.Session) -> Iterator[None]:
    """Ctrl-C in the terminal ends the fit and keeps the best result, instead of ending Blender."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: fit.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@contextlib.contextmanager
def _ends_on_error(tidy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """An error that nobody foresaw ends the operator, and must end the fit with it: one that nobody drives would bar the next."""
    try:
        yield
    except BaseException:
        session.stop()
        tidy()
        raise


def run_blocking(fit: session.Session) -> None:
    """Runs a started fit to its end, telling the terminal stage, step, loss and time left."""
    last, said = "", 0.0
    with _interrupt_cancels(fit), _ends_on_error():
        while not fit.finished:
            busy = fit.tick()
            line = fit.progress.line()
            if line != last and (time.monotonic() - said >= LINE_SECONDS or fit.finished):
                last, said = line, time.monotonic()
                print(f"Fit to Photo: {line}", flush=True)
            if not busy:
                time.sleep(TICK_SECONDS / 2)


def _report_end(operator: bpy.types.Operator, fit: session.Session) -> set[str]:
    """Reports how a fit ended; FINISHED as soon as the scene was written to, for otherwise undo would break."""
    for warning in fit.warnings:
        operator.report({"WARNING"}, warning)
    level: Any = {session.State.DONE: "INFO", session.State.CANCELLED: "INFO" if not fit.changed else "WARNING"}.get(fit.state, "ERROR")
    if level == "ERROR" and fit.changed:
        level = "WARNING"  # an error raises in scripts, which then would not know that there is a result
    for sentence in fit.done:
        operator.report({"INFO"}, sentence)
    # In a window an error is a popup of one line, however long: broken up it stays on the screen.
    text = fit.message if bpy.app.background else "\n".join(textwrap.wrap(fit.message, 90))
    operator.report({level}, text)
    return {"FINISHED"} if fit.changed or fit.preview is not None else {"CANCELLED"}


class _RunsFit(bpy.types.Operator):
    """Runs a fit to its end: beside Blender, or waiting for it. By default a new one; ``_begin`` says which."""

    _timer: bpy.types.Timer | None = None
    _line = ""  # of progress, as last drawn
    _view_next = False  # what was drawn last

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while no fit runs."""
        if context.scene is None:
            cls.poll_message_set(told("There is no scene"))
            return False
        if session.is_running():
            cls.poll_message_set(told("A fit is already running: wait for it to end, or cancel it first"))
            return False
        return True

    def _begin(self, context: bpy.types.Context) -> session.Session:
        return session.start(context.scene, context.view_layer)

    def _start(self, context: bpy.types.Context) -> session.Session | None:
        try:
            return self._begin(context)
        except session.CannotStart as problem:
            self.report({"ERROR"}, str(problem))
            return None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Fits and waits for the result."""
        fit = self._start(context)
        if fit is None:
            return {"CANCELLED"}
        run_blocking(fit)
        return _report_end(self, fit)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Fits while Blender stays usable, once it has read the photos."""
        context.window.cursor_modal_set("WAIT")
        try:
            fit = self._start(context)
        finally:
            context.window.cursor_modal_restore()
        if fit is None:
            return {"CANCELLED"}
        if fit.begin_preview():
            bpy.ops.ed.undo_push(message=told("Begin Fit to Photo"))
        self._pace = Pace()
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        context.workspace.status_text_set(told("Fit to Photo is running. Esc: stop and keep the best result so far"))
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Moves the fit on; every event that is not ours goes on to Blender."""
        fit = session.current()
        if fit is None:  # the add-on stopped it
            self._tidy(context)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            fit.cancel()
            redraw_sidebars()
            return {"RUNNING_MODAL"}
        if event.type == "TIMER":
            with _ends_on_error(lambda: self._tidy(context)):
                fit.tick(renders=False)
            if fit.finished:
                self._tidy(context)
                return _report_end(self, fit)
            began = time.monotonic()
            if self._pace.due() and self._draw(fit):
                self._pace.drawn(began)
        elif event.type not in _SILENT:
            self._pace.heard()
        return {"RUNNING_MODAL"} if fit.changed and event.type not in NAVIGATION else {"PASS_THROUGH"}

    def _draw(self, fit: session.Session) -> bool:
        """Draws the view or the sidebar, whichever waits longer: both at once would keep Blender busy for as long as both take."""
        for _ in range(2):
            self._view_next = not self._view_next
            if self._view_next and fit.show_preview():
                return True
            if not self._view_next and self._line != (line := fit.progress.line()):
                self._line = line
                redraw_sidebars()
                return True
        return False

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        session.stop(scene_is_closing=True)
        self._tidy(context)

    def _tidy(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        redraw_sidebars()


def why_not(context: bpy.types.Context) -> str:
    """Why no fit can begin, in a sentence; empty if it can, as far as a look at the scene tells."""
    if problem := select(context.scene, context.view_layer).problem:
        return problem
    if not any(getattr(context.scene.fit_to_photo, parameter.key) for parameter in PARAMETERS):
        return told("Nothing to fit: turn on Geometry or Texture")
    try:
        preferences.backend_python()
    except BackendProblem as missing:
        return str(missing)
    return ""


class FITTOPHOTO_OT_run(_RunsFit):
    """Fits the selected meshes to the cameras' photos."""

    bl_idname = "fit_to_photo.run"
    bl_label = "Fit to Photo"
    bl_description = "Move the mesh and paint its texture until Blender's own renders match the photos"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available where a fit can begin; the tooltip says why it cannot. Scripts hear that from ``execute``, as their exception."""
        if not super().poll(context):
            return False
        reason = "" if bpy.app.background else why_not(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason


def _is_offered(cls: type[bpy.types.Operator]) -> bool:
    if left.left_job() is None:
        cls.poll_message_set(told("No unfinished fit belongs into this file"))
        return False
    return True


class FITTOPHOTO_OT_resume(_RunsFit):
    """Goes on with a fit that a crash or the end of Blender interrupted."""

    bl_idname = "fit_to_photo.resume"
    bl_label = "Resume Fit"
    bl_description = "Go on with the fit that was interrupted, from the best result it had"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while an unfinished fit is offered."""
        return super().poll(context) and _is_offered(cls)

    def _begin(self, context: bpy.types.Context) -> session.Session:
        job = left.left_job()
        if job is None:
            raise session.CannotStart(told("No unfinished fit belongs into this file"))
        return session.resume(context.scene, job)


class FITTOPHOTO_OT_discard(bpy.types.Operator):
    """Removes a fit that was interrupted."""

    bl_idname = "fit_to_photo.discard"
    bl_label = "Discard Unfinished Fit"
    bl_description = "Remove the files of the fit that was interrupted; the scene stays as it is"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while an unfinished fit is offered."""
        return _is_offered(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Removes its folder."""
        jobs.remove(left.left_job().folder)
        left.look_again()
        redraw_sidebars()
        return {"FINISHED"}


class FITTOPHOTO_OT_pause(bpy.types.Operator):
    """Lets the running fit wait, or go on."""

    bl_idname = "fit_to_photo.pause"
    bl_label = "Pause or Continue Fit"
    bl_description = "Let the fit wait, so that the machine is free for other work, or let it go on"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while the backend fits."""
        fit = session.current()
        if fit is None or fit.state is not session.State.RUNNING or fit.cancelling:
            cls.poll_message_set(told("The backend is not fitting now"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Toggles."""
        fit = session.current()
        fit.pause(not fit.paused)
        redraw_sidebars()
        return {"FINISHED"}


class FITTOPHOTO_OT_cancel(bpy.types.Operator):
    """Stops the running fit."""

    bl_idname = "fit_to_photo.cancel"
    bl_label = "Cancel Fit"
    bl_description = "Stop the fit and keep the best result so far"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while a fit runs."""
        if not session.is_running():
            cls.poll_message_set(told("No fit is running"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Asks it to stop; the running operator writes the result."""
        session.current().cancel()
        redraw_sidebars()
        return {"FINISHED"}
