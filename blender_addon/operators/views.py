"""The button that renders the camera one looks through, beside its photo."""

import bpy

from dr_backend.language import told

from .. import overlay, report, session
from ..comparison import Comparison
from ..exchange.photos import read_photo, read_photo_camera
from ..exchange.problems import SceneProblem
from ..photo_list import has_photo
from ..redraw import redraw_views
from ..selection import select


class FITTOPHOTO_OT_render_view(bpy.types.Operator):
    """Renders the scene's camera, to compare with its photo."""

    bl_idname = "fit_to_photo.render_view"
    bl_label = "Render This View"
    bl_description = "Render the scene's camera as the scene is now, to compare it with its photo"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available for a camera with a photo, while no fit runs."""
        if session.is_running():
            cls.poll_message_set(told("A fit is running: wait for it to end, or cancel it first"))
            return False
        if context.scene is None or context.scene.camera is None or not has_photo(context.scene.camera):
            cls.poll_message_set(told("Look through a camera that has a photo"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Renders with the meshes and lights that a fit would use."""
        scene, camera = context.scene, context.scene.camera
        chosen = select(scene, context.view_layer)
        if not chosen.meshes:
            self.report({"ERROR"}, chosen.problem)
            return {"CANCELLED"}
        meshes, lights = (chosen.objects(scene, names) for names in (chosen.meshes, chosen.lights))
        try:
            projection = read_photo_camera(camera, scene)
            photo = report.straightened(read_photo(camera)[0], projection)
            render = report.render_views(scene, [camera], meshes, unlit=not lights, lights=lights)[camera.name]
        except (RuntimeError, SceneProblem) as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        overlay.remember(camera.name, Comparison(projection, *report.photo_at(photo, *render.shape[:2]), render))
        if context.window_manager.fit_to_photo.view == "NONE":
            context.window_manager.fit_to_photo.view = "RENDER"
        redraw_views()
        return {"FINISHED"}
