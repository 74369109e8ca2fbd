"""The buttons: run and cancel a fit, revert it, check and set up the backend."""

import contextlib
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import bpy

from . import preferences, session
from .environment import BackendProblem, Setup, check_backend, find_system_python
from .exchange.problems import SceneProblem
from .exchange.scene import has_result, revert_all

TICK_SECONDS = 0.1
LINE_SECONDS = 1.0  # between two lines of progress in the terminal

_setup: Setup | None = None  # the running or latest set-up of the backend
setup_lines: list[str] = []  # what it said, newest last
check_lines: list[str] = []  # what Check Setup found


def redraw_sidebars() -> None:
    """Redraws the 3D views' sidebars only: whole windows take a tenth of a second each."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def setup_running() -> bool:
    """Whether the backend is being installed."""
    return _setup is not None and not _setup.finished


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


def run_blocking(fit: session.Session) -> None:
    """Runs a started fit to its end, telling the terminal stage, step, loss and time left."""
    last, said = "", 0.0
    with _interrupt_cancels(fit):
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
    return {"FINISHED"} if fit.changed else {"CANCELLED"}


class FITTOPHOTO_OT_run(bpy.types.Operator):
    """Fits the selected meshes to the cameras' photos."""

    bl_idname = "fit_to_photo.run"
    bl_label = "Fit to Photo"
    bl_description = "Move the mesh and paint its texture until Blender's own renders match the photos"
    bl_options = {"REGISTER", "UNDO"}

    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while no fit runs."""
        if context.scene is None:
            cls.poll_message_set("There is no scene")
            return False
        if session.is_running():
            cls.poll_message_set("A fit is already running: wait for it to end, or cancel it first")
            return False
        return True

    def _start(self, context: bpy.types.Context) -> session.Session | None:
        try:
            return session.start(context.scene, context.view_layer)
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
        """Fits while Blender stays usable."""
        if self._start(context) is None:
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        context.workspace.status_text_set("Fit to Photo is running. Esc: stop and keep the best result so far")
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
            fit.tick()
            redraw_sidebars()
            if fit.finished:
                self._tidy(context)
                return _report_end(self, fit)
        # Between the result and the end of the last render nothing may be edited: both must become one undo step.
        return {"RUNNING_MODAL"} if fit.changed else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        session.stop()
        self._tidy(context)

    def _tidy(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        redraw_sidebars()


class FITTOPHOTO_OT_cancel(bpy.types.Operator):
    """Stops the running fit."""

    bl_idname = "fit_to_photo.cancel"
    bl_label = "Cancel Fit"
    bl_description = "Stop the fit and keep the best result so far"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while a fit runs."""
        if not session.is_running():
            cls.poll_message_set("No fit is running")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Asks it to stop; the running operator writes the result."""
        session.current().cancel()
        redraw_sidebars()
        return {"FINISHED"}


class FITTOPHOTO_OT_revert(bpy.types.Operator):
    """Takes the result back."""

    bl_idname = "fit_to_photo.revert"
    bl_label = "Revert Fit"
    bl_description = "Give meshes and materials of this scene back what they had before the fit, also after saving and loading"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available where a fit left something."""
        if context.scene is None or session.is_running():
            cls.poll_message_set("A fit is running: wait for it to end, or cancel it first")
            return False
        if not has_result(context.scene):
            cls.poll_message_set("Nothing in this scene was fitted")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reverts every fitted object of the scene."""
        try:
            done = revert_all(context.scene)
        except SceneProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        context.scene.fit_to_photo.last_report = ""
        for sentence in done:
            self.report({"INFO"}, sentence)
        return {"FINISHED"}


class FITTOPHOTO_OT_check_setup(bpy.types.Operator):
    """Says what of the backend works."""

    bl_idname = "fit_to_photo.check_setup"
    bl_label = "Check Setup"
    bl_description = "See what of the fitting backend works and what is missing, with the command that installs it"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Asks the backend's Python; takes seconds."""
        check_lines.clear()
        try:
            check = check_backend(preferences.backend_python())
        except BackendProblem as problem:
            check_lines.append(f"✗ {problem}")
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        check_lines.extend(check.sentences())
        print("\n".join(check_lines))
        redraw_sidebars()
        if check.ready:
            self.report({"INFO"}, "The backend is ready")
            return {"FINISHED"}
        missing = next(part for part in check.parts if part.needed and not part.ok)
        repair = f". Install it with: {missing.command}" if missing.command else ""
        self.report({"ERROR"}, f"The backend is not ready. {missing.sentence}{repair}")
        return {"CANCELLED"}


class FITTOPHOTO_OT_setup_backend(bpy.types.Operator):
    """Makes the backend's environment."""

    bl_idname = "fit_to_photo.setup_backend"
    bl_label = "Set Up Backend"
    bl_description = "Download the fitting backend (torch, several gigabytes) into a Python of its own; Blender's Python is not touched"
    bl_options = {"INTERNAL"}

    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available with online access and while no other set-up runs."""
        if not bpy.app.online_access:
            cls.poll_message_set("Allow Online Access in Preferences > System first")
            return False
        if setup_running() or session.is_running():
            cls.poll_message_set("Wait until the set-up or fit that is running has ended")
            return False
        return True

    def _start(self) -> bool:
        global _setup
        try:
            _setup = Setup(preferences.user_folder(), find_system_python())
        except BackendProblem as problem:
            self.report({"ERROR"}, str(problem))
            return False
        setup_lines.clear()
        _setup.start()
        return True

    def _end(self) -> set[str]:
        if _setup is not None and _setup.error:
            self.report({"ERROR"}, _setup.error)
            return {"CANCELLED"}
        self.report({"INFO"}, "The backend is ready")
        return {"FINISHED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Installs and waits."""
        if not self._start():
            return {"CANCELLED"}
        while setup_running():
            for line in _setup.poll():
                print(f"Fit to Photo: {line}", file=sys.stderr)
            time.sleep(TICK_SECONDS)
        return self._end()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Installs while Blender stays usable."""
        if not self._start():
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(0.5, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Shows the installer's lines."""
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if lines := _setup.poll() if _setup else []:
            setup_lines.extend(lines)
            redraw_sidebars()
        if setup_running():
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self._end()

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: another file is opened, or the window closes."""
        stop_setup()
        context.window_manager.event_timer_remove(self._timer)


def stop_setup() -> None:
    """Ends a running set-up."""
    if _setup is not None:
        _setup.stop()
