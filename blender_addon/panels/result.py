"""What the last fit did, in words and numbers."""

import functools
import json
from typing import Any

import bpy

from ..figures import change, percent, worst_camera
from ..progress import duration
from .tab import Tab, wrapped


@functools.lru_cache(maxsize=4)
def _parse_report(text: str) -> dict[str, Any]:
    """The stored report; empty for anything that is not one, for a .blend may come from anywhere."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) and isinstance(data.get("cameras", []), list) else {}


class FITTOPHOTO_PT_report(Tab, bpy.types.Panel):
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
        wrapped(layout, str(report.get("message", "")), "INFO")
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
            wrapped(layout, f"The photo of {worst} disagrees the most", "VIEWZOOM")
        for sentence in report.get("done", []):
            wrapped(layout, str(sentence), "CHECKMARK")
        for warning in report.get("warnings", []):
            wrapped(layout, str(warning), "ERROR")
