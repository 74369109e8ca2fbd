"""Photo, render and difference of the camera one looks through."""

import bpy

from dr_backend.language import told

from .. import overlay, session
from ..photo_list import has_photo
from .tab import Tab, wrapped


class FITTOPHOTO_PT_views(Tab, bpy.types.Panel):
    """What lies over the 3D view."""

    bl_idname = "FITTOPHOTO_PT_views"
    bl_label = "Compare"
    help_page = "fitting"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown for a camera with a photo."""
        camera = context.scene.camera if context.scene is not None else None
        return camera is not None and has_photo(camera)

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the choice, and the button that makes what it shows."""
        layout, window = self.layout, context.window_manager.fit_to_photo
        running = session.is_running()
        if not running and not overlay.can_show(context.scene.camera.name):
            wrapped(layout, told("{camera} was not rendered yet", camera=context.scene.camera.name))
        else:
            column = layout.column(align=True)
            for views in (("PHOTO", "RENDER", "DIFFERENCE"), ("ERROR", "NONE")):
                row = column.row(align=True)
                for view in views:
                    row.prop_enum(window, "view", view)
            if context.region_data is not None and context.region_data.view_perspective != "CAMERA":
                layout.operator("view3d.view_camera", text="Look Through Camera", icon="VIEW_CAMERA")
        if not running:
            layout.operator("fit_to_photo.render_view", icon="RENDER_STILL")
