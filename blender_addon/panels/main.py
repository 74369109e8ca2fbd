"""The button, what it fits and how; while a fit runs, its progress."""

import bpy

from dr_backend.language import told
from dr_backend.parameters import PARAMETERS

from .. import left, session
from ..operators.fit import why_not
from ..selection import select
from .photos import draw_objects
from .presets import draw_presets
from .progress import draw_progress
from .setup import draw_backend
from .tab import Tab, draw_help, wrapped


class FITTOPHOTO_PT_main(Tab, bpy.types.Panel):
    """What is fitted to what, and the button."""

    bl_idname = "FITTOPHOTO_PT_main"
    bl_label = "Fit to Photo"
    help_page = "first_fit"

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the lists, the choices, and button or progress."""
        fit = session.current()
        if fit is not None and not fit.finished:
            draw_progress(self.layout, fit)
            return
        missing = draw_backend(self.layout)
        _draw_left(self.layout)
        chosen = select(context.scene, context.view_layer)
        draw_objects(self.layout, context.scene, chosen)
        settings = context.scene.fit_to_photo
        draw_presets(self.layout)
        row = self.layout.row(align=True)
        for parameter in PARAMETERS:
            row.prop(settings, parameter.key, toggle=True)
        self.layout.row().prop(settings, "quality", expand=True)
        if not missing and (problem := why_not(context)):  # one thing at a time
            wrapped(self.layout, problem, "ERROR")
        button = self.layout.row()
        button.scale_y = 1.6
        button.operator("fit_to_photo.run", icon="CAMERA_DATA")
        if fit is not None and fit.state is session.State.FAILED:
            wrapped(self.layout, fit.message, "CANCEL")
            draw_help(self.layout)


def _draw_left(layout: bpy.types.UILayout) -> None:
    """Offers a fit that was interrupted."""
    job = left.left_job()
    if job is not None:
        box = layout.box().column(align=True)
        wrapped(box, told("Unfinished fit of {title}", title=job.title), "RECOVER_LAST")
        row = box.row(align=True)
        row.operator("fit_to_photo.resume", text="Resume", icon="PLAY")
        row.operator("fit_to_photo.discard", text="Discard", icon="TRASH")


class FITTOPHOTO_PT_advanced(Tab, bpy.types.Panel):
    """What most fits leave alone."""

    bl_idname = "FITTOPHOTO_PT_advanced"
    bl_parent_id = "FITTOPHOTO_PT_main"
    bl_label = "Advanced"
    help_page = "settings"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown where settings can still be chosen."""
        return not session.is_running()

    def draw(self, context: bpy.types.Context) -> None:
        """Draws renderer, device and numbers."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        column = self.layout.column()
        for name in ("stiffness", "texture_size", "render_report", "renderer", "device", "seed"):
            column.prop(context.scene.fit_to_photo, name)
