"""The buttons for what a fit left in the scene."""

import bpy

from .. import session
from ..exchange.problems import SceneProblem
from ..exchange.scene import has_result, revert_all


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
