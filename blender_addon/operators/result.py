"""The buttons for what a fit left in the scene: keep it, revert it, read its report."""

import json
from collections.abc import Callable

import bpy

from dr_backend.language import told

from .. import overlay, session
from ..exchange.problems import SceneProblem
from ..exchange.result import has_result, keep_all, revert_all
from ..figures import parse_report, report_text
from ..photo_list import show_photo


class _OnResult:
    """Works on what fits left in the scene."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available where a fit left something."""
        if context.scene is None or session.is_running():
            cls.poll_message_set(told("A fit is running: wait for it to end, or cancel it first"))
            return False
        if not has_result(context.scene):
            cls.poll_message_set(told("Nothing in this scene was fitted"))
            return False
        return True

    def _change(self, context: bpy.types.Context, change: Callable[[bpy.types.Scene], list[str]]) -> set[str]:
        try:
            done = change(context.scene)
        except SceneProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        for sentence in done:
            self.report({"INFO"}, sentence)
        return {"FINISHED"}


class FITTOPHOTO_OT_revert(_OnResult, bpy.types.Operator):
    """Takes the result back."""

    bl_idname = "fit_to_photo.revert"
    bl_label = "Revert Fit"
    bl_description = "Give meshes and materials of this scene back what they had before the fit, also after saving and loading"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reverts every fitted object of the scene."""
        answer = self._change(context, revert_all)
        if answer == {"FINISHED"}:
            context.scene.fit_to_photo.last_report = ""
            overlay.forget_all()  # those renders show what is gone
        return answer


class FITTOPHOTO_OT_keep(_OnResult, bpy.types.Operator):
    """Makes the result the artist's own."""

    bl_idname = "fit_to_photo.keep"
    bl_label = "Keep Fit"
    bl_description = "Make shape and texture, as strong as they show now, the objects' own. Afterwards only Undo brings the old ones back"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Keeps every fitted object of the scene."""
        if context.scene.fit_to_photo.show_before:
            self.report({"ERROR"}, told("The scene shows what was before the fit: turn off Show Before, then keep the result"))
            return {"CANCELLED"}
        return self._change(context, keep_all)


class FITTOPHOTO_OT_look_through(bpy.types.Operator):
    """Looks at one photo of the report."""

    bl_idname = "fit_to_photo.look_through"
    bl_label = "Look Through Camera"
    bl_description = "Look through this camera, with its photo in the background"
    bl_options = {"UNDO", "INTERNAL"}  # it wants a name, which the report gives it

    camera: bpy.props.StringProperty(name="Camera", description="Name of the camera")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Makes it the scene's camera and looks through it."""
        index = context.scene.objects.find(self.camera)
        if index < 0 or context.scene.objects[index].type != "CAMERA":
            self.report({"ERROR"}, told("The scene has no camera '{camera}': it was renamed or deleted since the fit", camera=self.camera))
            return {"CANCELLED"}
        show_photo(context.scene, index)
        return {"FINISHED"}


class FITTOPHOTO_OT_copy_report(bpy.types.Operator):
    """Puts the report into the clipboard."""

    bl_idname = "fit_to_photo.copy_report"
    bl_label = "Copy Report"
    bl_description = "Copy the figures of the last fit to the clipboard"

    format: bpy.props.EnumProperty(
        name="Format",
        description="How the figures are written",
        items=(("TEXT", "Text", "Columns for an e-mail or a note"), ("JSON", "JSON", "Everything, for programs")),
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available once there was a fit."""
        if context.scene is None or not parse_report(context.scene.fit_to_photo.last_report):
            cls.poll_message_set(told("There is no report: fit first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Copies."""
        report = parse_report(context.scene.fit_to_photo.last_report)
        context.window_manager.clipboard = report_text(report) if self.format == "TEXT" else json.dumps(report, indent=1)
        self.report({"INFO"}, told("The report is in the clipboard"))
        return {"FINISHED"}
