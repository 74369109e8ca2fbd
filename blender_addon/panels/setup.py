"""The backend: what works, what is missing, and the button that repairs it."""

import bpy

from dr_backend.language import told

from .. import preferences
from ..environment import BackendProblem
from ..operators import setup
from .tab import Tab, draw_help, wrapped


def draw_backend(layout: bpy.types.UILayout) -> bool:
    """Draws the set-up that runs or, in one line, what is missing with the one button that helps; whether a fit has to wait for it."""
    running = setup.current_setup()
    if running is not None and not running.finished:
        wrapped(layout, running.activity, "IMPORT")
        share = running.fraction
        layout.progress(factor=share or 0, type="BAR", text="" if share is None else told("{percent:.0f} %", percent=100 * share))
        layout.operator("fit_to_photo.cancel_setup", icon="CANCEL")
        return True
    try:
        preferences.backend_python()
    except BackendProblem as problem:
        if running is not None and running.error and not running.stopped:
            wrapped(layout, running.error, "CANCEL")
            draw_help(layout)
        wrapped(layout, problem.what, "ERROR")
        _draw_remedy(layout, problem)
        return True
    return False


def _draw_remedy(layout: bpy.types.UILayout, problem: BackendProblem) -> None:
    """The one button that helps."""
    row = layout.row()
    row.scale_y = 1.6
    if not problem.by_setup:
        row.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = preferences.PACKAGE
    elif bpy.app.online_access:
        row.operator("fit_to_photo.setup_backend", icon="IMPORT")
    elif bpy.app.online_access_override:
        wrapped(layout, told("Blender was started offline: start it without --offline-mode, or choose a Python below, under Backend"))
    else:
        row.operator("extensions.userpref_allow_online", text="Allow Online Access", icon="INTERNET")


class FITTOPHOTO_PT_setup(Tab, bpy.types.Panel):
    """The backend: what works, and the buttons that repair it."""

    bl_idname = "FITTOPHOTO_PT_setup"
    bl_label = "Backend"
    help_page = "install"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the choice of a Python, the two buttons, and what Check Setup found."""
        layout = self.layout
        if (stored := preferences.stored_preferences()) is not None:
            layout.prop(stored, "backend_python", text="", placeholder="Backend Python: the one set up here")
        row = layout.row(align=True)
        row.operator("fit_to_photo.check_setup", icon="CHECKMARK")
        row.operator("fit_to_photo.setup_backend", icon="IMPORT")
        if setup.checking():
            layout.label(text="Looking, this takes some seconds", icon="TIME")
        check = setup.last_check()
        for part in check.parts if check else ():
            wrapped(layout, part.sentence, "CHECKMARK" if part.ok else "CANCEL" if part.needed else "DOT")
            if part.command:
                layout.operator("fit_to_photo.copy_command", icon="COPYDOWN").command = part.command
