"""The buttons that check and set up the backend. Both work in threads and processes of their own, across undo and other files."""

import sys
import threading
import time
from pathlib import Path

import bpy

from dr_backend.language import told

from .. import languages, preferences, session
from ..environment import BackendProblem, Check, Part, check_backend, find_graphics_card
from ..installation import Setup, choose_build, find_system_python
from ..redraw import redraw_sidebars

TICK_SECONDS = 0.3

_setup: Setup | None = None  # the running or latest set-up of the backend
_check: Check | None = None  # what Check Setup found
_checking: threading.Thread | None = None


def current_setup() -> Setup | None:
    """The running set-up of the backend, or the latest one; None before the first."""
    return _setup


def last_check() -> Check | None:
    """What Check Setup found; None before the first check and while one runs."""
    return _check


def setup_running() -> bool:
    """Whether the backend is being installed."""
    return _setup is not None and not _setup.finished


def checking() -> bool:
    """Whether Check Setup is looking."""
    return _checking is not None and _checking.is_alive()


def _look(python: str, language: Path | None) -> None:
    global _check
    _check = check_backend(python, language)


def _start_check() -> None:
    """Looks for the backend here, for threads must not ask Blender, and at it in a thread."""
    global _check, _checking
    _check = None
    try:
        python = preferences.backend_python()
    except BackendProblem as problem:
        _check = Check("", (Part("Python", False, True, str(problem)),))
        return
    _checking = threading.Thread(target=_look, args=(python, languages.po_file()), name="fit-to-photo-check", daemon=True)
    _checking.start()


def _tick() -> float | None:
    """The timer while something of ours runs: draws its progress, and looks at a new backend once it is there."""
    redraw_sidebars()
    if setup_running() or checking():
        return TICK_SECONDS
    if _setup is not None and not _setup.error and _check is None:
        _start_check()
        return TICK_SECONDS
    return None


def _watch() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


class FITTOPHOTO_OT_check_setup(bpy.types.Operator):
    """Says what of the backend works."""

    bl_idname = "fit_to_photo.check_setup"
    bl_label = "Check Setup"
    bl_description = "See what of the fitting backend works and what is missing, with the command that installs it"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while no check and no set-up runs."""
        if checking() or setup_running():
            cls.poll_message_set(told("Wait until the check or set-up that is running has ended"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Asks the backend's Python and waits: seconds."""
        _start_check()
        if _checking is not None:
            _checking.join()
        print("\n".join(_check.sentences()))
        if _check.ready:
            self.report({"INFO"}, told("The backend is ready"))
            return {"FINISHED"}
        missing = next(part for part in _check.parts if part.needed and not part.ok)
        text = told("The backend is not ready. {part}", part=missing.sentence)
        if missing.command:
            text += ". " + told("Install it with: {command}", command=missing.command)
        self.report({"ERROR"}, text)
        return {"CANCELLED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks it while Blender stays usable; the panel shows the answer."""
        _start_check()
        _watch()
        return {"FINISHED"}


class FITTOPHOTO_OT_setup_backend(bpy.types.Operator):
    """Makes the backend's environment."""

    bl_idname = "fit_to_photo.setup_backend"
    bl_label = "Set Up Backend"
    bl_description = "Download the fitting backend (torch, several gigabytes) into a Python of its own; Blender's Python is not touched"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available with online access and while no other set-up runs."""
        if not bpy.app.online_access:
            cls.poll_message_set(told("Allow Online Access in Preferences > System first"))
            return False
        if setup_running() or checking() or session.is_running():
            cls.poll_message_set(told("Wait until the set-up, check or fit that is running has ended"))
            return False
        return True

    def _start(self) -> bool:
        global _setup, _check
        try:
            _setup = Setup(preferences.user_folder(), find_system_python(), choose_build(find_graphics_card()))
        except BackendProblem as problem:
            self.report({"ERROR"}, str(problem))
            return False
        _check = None
        _setup.start()
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Installs and waits."""
        if not self._start():
            return {"CANCELLED"}
        while setup_running():
            time.sleep(TICK_SECONDS)
            for line in _setup.poll():
                print(f"Fit to Photo: {line}", file=sys.stderr)
        if _setup.error:
            self.report({"ERROR"}, _setup.error)
            return {"CANCELLED"}
        self.report({"INFO"}, told("The backend is ready"))
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Installs while Blender stays usable; the panel shows how far it is."""
        if not self._start():
            return {"CANCELLED"}
        _watch()
        return {"FINISHED"}


class FITTOPHOTO_OT_cancel_setup(bpy.types.Operator):
    """Stops the set-up."""

    bl_idname = "fit_to_photo.cancel_setup"
    bl_label = "Cancel Set-Up"
    bl_description = "Stop installing; a backend that was there before stays"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available while the backend is being installed."""
        if not setup_running():
            cls.poll_message_set(told("No set-up is running"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ends the installer's processes."""
        _setup.stop()
        return {"FINISHED"}


class FITTOPHOTO_OT_copy_command(bpy.types.Operator):
    """Puts a repairing command into the clipboard."""

    bl_idname = "fit_to_photo.copy_command"
    bl_label = "Copy Command"
    bl_description = "Copy the command that installs what is missing, for a terminal"
    bl_options = {"INTERNAL"}

    command: bpy.props.StringProperty(name="Command", description="What is copied", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Copies it."""
        context.window_manager.clipboard = self.command
        self.report({"INFO"}, told("Copied: {command}", command=self.command))
        return {"FINISHED"}


def stop_setup() -> None:
    """Ends a running set-up and forgets what was found."""
    global _setup, _check
    if _setup is not None:
        _setup.stop()
    _setup = _check = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
