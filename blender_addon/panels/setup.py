"""The backend: what works, and the buttons that repair it."""

import bpy

from .. import preferences
from ..environment import BackendProblem
from ..operators import setup
from .tab import Tab, wrapped


def backend_problem() -> str:
    """Why there is no backend, in words that say what to do; empty where there is one."""
    try:
        preferences.backend_python()
    except BackendProblem as problem:
        return str(problem)
    return ""


class FITTOPHOTO_PT_setup(Tab, bpy.types.Panel):
    """The backend: what works, and the buttons that repair it."""

    bl_idname = "FITTOPHOTO_PT_setup"
    bl_label = "Backend"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draws what Check Setup found and what Set Up Backend says."""
        problem = backend_problem()
        if problem:
            wrapped(self.layout, problem, "ERROR")
        self.layout.operator("fit_to_photo.check_setup", icon="CHECKMARK")
        self.layout.operator("fit_to_photo.setup_backend", icon="IMPORT")
        for line in setup.check_lines:
            wrapped(self.layout, line)
        if setup.setup_lines:
            wrapped(self.layout, setup.setup_lines[-1], "TIME" if setup.setup_running() else "NONE")
