"""The buttons that check and set up the backend."""

import sys
import time

import bpy

from .. import preferences, session
from ..environment import BackendProblem, Setup, check_backend, find_system_python
from ..redraw import redraw_sidebars

TICK_SECONDS = 0.5

_setup: Setup | None = None  # the running or latest set-up of the backend
setup_lines: list[str] = []  # what it said, newest last
check_lines: list[str] = []  # what Check Setup found


def setup_running() -> bool:
    """Whether the backend is being installed."""
    return _setup is not None and not _setup.finished


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
        self._timer = context.window_manager.event_timer_add(TICK_SECONDS, window=context.window)
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
