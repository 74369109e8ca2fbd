"""What fits left in the scene, how strongly it shows, and how well it matches the photos."""

from typing import Any

import bpy

from dr_backend.language import told

from .. import session
from ..exchange.result import has_result, read_strength, read_texture_mix
from ..figures import change, parse_report, percent, worst_first
from ..progress import duration
from .tab import Tab, labelled, wrapped


class FITTOPHOTO_PT_result(Tab, bpy.types.Panel):
    """The result: how strongly it shows, and whether it stays."""

    bl_idname = "FITTOPHOTO_PT_result"
    bl_label = "Result"
    help_page = "fitting"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown where a fit left something."""
        return context.scene is not None and not session.is_running() and has_result(context.scene)

    def draw(self, context: bpy.types.Context) -> None:
        """Draws sliders, the comparison and the two ends."""
        layout, settings = self.layout, context.scene.fit_to_photo
        sliders = layout.column(align=True)
        sliders.enabled = not settings.show_before
        if read_strength(context.scene) is not None:
            sliders.prop(settings, "strength", slider=True)
        if read_texture_mix(context.scene) is not None:
            sliders.prop(settings, "texture_mix", slider=True)
        layout.prop(settings, "show_before", toggle=True, icon="HIDE_ON" if settings.show_before else "HIDE_OFF")
        row = layout.row(align=True)
        row.operator("fit_to_photo.keep", icon="CHECKMARK")
        row.operator("fit_to_photo.revert", icon="LOOP_BACK")


class FITTOPHOTO_PT_report(Tab, bpy.types.Panel):
    """How well the last fit matches each photo."""

    bl_idname = "FITTOPHOTO_PT_report"
    bl_label = "Report"
    bl_translation_context = "Fit to Photo"  # Blender's own "Report" is a message
    help_page = "fitting"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown once there was a fit."""
        return context.scene is not None and not session.is_running() and bool(context.scene.fit_to_photo.last_report)

    def draw(self, context: bpy.types.Context) -> None:
        """Draws message, numbers per camera and warnings."""
        report = parse_report(context.scene.fit_to_photo.last_report)
        layout = self.layout
        wrapped(layout, str(report.get("message", "")), "INFO")
        if report.get("renderer"):
            where = {"renderer": labelled(report["renderer"]), "device": labelled(report.get("device", ""))}
            layout.label(text=told("{renderer} on {device}, {time}", **where, time=duration(report.get("seconds", 0))))
        if cameras := worst_first(report):
            table = layout.column(align=True)
            name, psnr, iou = _columns(table)
            name.label(text="Worst First")
            psnr.label(text="PSNR dB")
            iou.label(text="Mask IoU %")
            for camera in cameras:
                _draw_camera(table, camera)
        for sentence in report.get("done", []):
            wrapped(layout, str(sentence), "CHECKMARK")
        for warning in report.get("warnings", []):
            wrapped(layout, str(warning), "ERROR")
        row = layout.row(align=True)
        row.operator("fit_to_photo.copy_report", text="Copy as Text", icon="COPYDOWN").format = "TEXT"
        row.operator("fit_to_photo.copy_report", text="Copy as JSON", icon="COPYDOWN").format = "JSON"


def _columns(table: bpy.types.UILayout) -> tuple[bpy.types.UILayout, bpy.types.UILayout, bpy.types.UILayout]:
    """A row of three cells."""
    split = table.split(factor=0.36)
    name = split.row()
    name.alignment, name.emboss = "LEFT", "NONE"
    numbers = split.split(factor=0.5)
    return name, numbers.row(), numbers.row()


def _draw_camera(table: bpy.types.UILayout, camera: dict[str, Any]) -> None:
    name, psnr, iou = _columns(table)
    icon = "HOLDOUT_ON" if camera.get("held_out") else "CAMERA_DATA"
    looks = name.operator("fit_to_photo.look_through", text=str(camera["name"]), icon=icon, translate=False)
    looks.camera = str(camera["name"])
    psnr.label(text=change(camera.get("psnr_before"), camera.get("psnr_after"), 1))
    iou.label(text=change(percent(camera.get("mask_iou_before")), percent(camera.get("mask_iou_after")), 1))
