"""The sidebar tab of the 3D view."""

import functools
import json
import textwrap
from typing import Any

import bpy

from dr_backend.parameters import PARAMETERS

from . import operators, preferences, session
from .environment import BackendProblem
from .exchange.scene import has_result
from .progress import duration
from .selection import Selection, select


def _line_length() -> int:
    """Characters that fit into one line of the panel being drawn."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    return max(20, int((region.width / scale - 85) / 6)) if region else 30


def _wrapped(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """A text of several lines: Blender's labels cut theirs off."""
    lines = textwrap.wrap(text, _line_length()) or [""]
    column = layout.column(align=True)
    column.label(text=lines[0], icon=icon)
    for line in lines[1:]:
        column.label(text=line, icon="NONE" if icon == "NONE" else "BLANK1")


@functools.lru_cache(maxsize=4)
def _parse_report(text: str) -> dict[str, Any]:
    """The stored report; empty for anything that is not one, for a .blend may come from anywhere."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) and isinstance(data.get("cameras", []), list) else {}


class _Tab:
    """Where all panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Fit to Photo"


class FITTOPHOTO_PT_main(_Tab, bpy.types.Panel):
    """What is fitted to what, and the button."""

    bl_idname = "FITTOPHOTO_PT_main"
    bl_label = "Fit to Photo"

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the lists, the choices, and button or progress."""
        fit = session.current()
        if fit is not None and not fit.finished:
            _draw_progress(self.layout, fit)
            return
        chosen = select(context.scene, context.view_layer)
        _draw_objects(self.layout, context.scene, chosen)
        settings = context.scene.fit_to_photo
        row = self.layout.row(align=True)
        for parameter in PARAMETERS:
            row.prop(settings, parameter.key, toggle=True)
        self.layout.row().prop(settings, "quality", expand=True)
        problem = chosen.problem or _backend_problem()
        if problem:
            _wrapped(self.layout, problem, "ERROR")
        elif not any(getattr(settings, parameter.key) for parameter in PARAMETERS):
            problem = "Nothing to fit: turn on Geometry or Texture"
            _wrapped(self.layout, problem, "ERROR")
        button = self.layout.row()
        button.scale_y = 1.6
        button.enabled = not problem
        button.operator("fit_to_photo.run", icon="CAMERA_DATA")
        if fit is not None and fit.state is session.State.FAILED:
            _wrapped(self.layout, fit.message, "CANCEL")
        if has_result(context.scene):
            self.layout.operator("fit_to_photo.revert", icon="LOOP_BACK")


def _backend_problem() -> str:
    try:
        preferences.backend_python()
    except BackendProblem as problem:
        return str(problem)
    return ""


def _draw_progress(layout: bpy.types.UILayout, fit: session.Session) -> None:
    progress = fit.progress
    layout.label(text=progress.activity)
    layout.progress(factor=progress.fraction, type="BAR", text=f"Step {progress.step} of {progress.steps}" if progress.steps else "")
    row = layout.row()
    if progress.loss is not None:
        row.label(text=f"Loss {progress.loss:.4g}")
    if progress.seconds_left is not None and not fit.changed:
        row.label(text=f"{duration(progress.seconds_left)} left")
    if progress.renderer:
        layout.label(text=f"{progress.renderer} on {progress.device}", icon="INFO")
        _wrapped(layout, progress.why)
    layout.operator("fit_to_photo.cancel", icon="CANCEL")


def _draw_objects(layout: bpy.types.UILayout, scene: bpy.types.Scene, chosen: Selection) -> None:
    box = layout.box().column(align=True)
    for name in chosen.meshes:
        box.label(text=name, icon="MESH_DATA")
    for camera in chosen.objects(scene, chosen.cameras):
        row = box.row()
        row.label(text=camera.name, icon="CHECKMARK")
        row.prop(camera.fit_to_photo, "held_out")
    for name in chosen.without_photo:
        box.label(text=f"{name}: no photo, left out", icon="ERROR")
    for name in chosen.lights:
        box.label(text=name, icon="LIGHT")
    if not chosen.lights:
        box.label(text="No light selected:", icon="LIGHT")
        box.label(text="light stays in the texture", icon="BLANK1")


class FITTOPHOTO_PT_report(_Tab, bpy.types.Panel):
    """How well the last fit matches each photo."""

    bl_idname = "FITTOPHOTO_PT_report"
    bl_label = "Last Fit"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Shown once there was a fit."""
        return bool(context.scene and context.scene.fit_to_photo.last_report)

    def draw(self, context: bpy.types.Context) -> None:
        """Draws message, numbers per camera and warnings."""
        report = _parse_report(context.scene.fit_to_photo.last_report)
        layout = self.layout
        _wrapped(layout, str(report.get("message", "")), "INFO")
        if report.get("renderer"):
            layout.label(text=f"{report['renderer']} on {report.get('device', '')}, {duration(report.get('seconds', 0))}")
        if cameras := report.get("cameras", []):
            grid = layout.grid_flow(row_major=True, columns=3, even_columns=False)
            for text in ("Camera", "PSNR dB", "Mask IoU %"):
                grid.label(text=text)
            for camera in cameras:
                grid.label(text=str(camera["name"]) + (" (held out)" if camera["held_out"] else ""))
                grid.label(text=change(camera.get("psnr_before"), camera.get("psnr_after"), 1))
                grid.label(text=change(percent(camera.get("mask_iou_before")), percent(camera.get("mask_iou_after")), 1))
        if worst := worst_camera(report):
            _wrapped(layout, f"The photo of {worst} disagrees the most", "VIEWZOOM")
        for sentence in report.get("done", []):
            _wrapped(layout, str(sentence), "CHECKMARK")
        for warning in report.get("warnings", []):
            _wrapped(layout, str(warning), "ERROR")


def change(before: float | None, after: float | None, digits: int) -> str:
    """``21.5 → 30.2``; a dash for what could not be measured."""
    first, second = ("–" if value is None else f"{value:.{digits}f}" for value in (before, after))
    return f"{first} → {second}"


def percent(share: float | None) -> float | None:
    """A share of 1 as percent; None stays None."""
    return None if share is None else 100 * share


def worst_camera(report: dict[str, Any]) -> str:
    """Name of the camera with the lowest PSNR after the fit; empty with fewer than two photos."""
    measured = [camera for camera in report.get("cameras", []) if camera.get("psnr_after") is not None]
    return str(min(measured, key=lambda camera: camera["psnr_after"])["name"]) if len(measured) > 1 else ""


class FITTOPHOTO_PT_advanced(_Tab, bpy.types.Panel):
    """What most fits leave alone."""

    bl_idname = "FITTOPHOTO_PT_advanced"
    bl_parent_id = "FITTOPHOTO_PT_main"
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draws renderer, device and numbers."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        column = self.layout.column()
        column.enabled = not session.is_running()
        for name in ("stiffness", "texture_size", "render_report", "renderer", "device", "seed"):
            column.prop(context.scene.fit_to_photo, name)


class FITTOPHOTO_PT_setup(_Tab, bpy.types.Panel):
    """The backend: what works, and the buttons that repair it."""

    bl_idname = "FITTOPHOTO_PT_setup"
    bl_label = "Backend"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draws what Check Setup found and what Set Up Backend says."""
        problem = _backend_problem()
        if problem:
            _wrapped(self.layout, problem, "ERROR")
        self.layout.operator("fit_to_photo.check_setup", icon="CHECKMARK")
        self.layout.operator("fit_to_photo.setup_backend", icon="IMPORT")
        for line in operators.check_lines:
            _wrapped(self.layout, line)
        if operators.setup_lines:
            _wrapped(self.layout, operators.setup_lines[-1], "TIME" if operators.setup_running() else "NONE")
