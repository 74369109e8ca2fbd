"""Numbers of a report in words: the panel and the command line show the same. No bpy."""

import functools
import json
from typing import Any

from dr_backend.language import told


@functools.lru_cache(maxsize=4)
def parse_report(text: str) -> dict[str, Any]:
    """The stored report; empty for anything that is not one, for a .blend may come from anywhere."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    cameras = data.get("cameras", []) if isinstance(data, dict) else None
    return data if isinstance(cameras, list) and all(isinstance(camera, dict) and "name" in camera for camera in cameras) else {}


def worst_first(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The cameras of a report, the one whose render matches its photo least first."""
    return sorted(report.get("cameras", []), key=lambda camera: (camera.get("psnr_after") is None, camera.get("psnr_after") or 0.0))


def report_text(report: dict[str, Any]) -> str:
    """The report as plain text: one line per camera, worst first, in columns."""
    rows = [(told("Camera"), told("PSNR dB"), told("Mask IoU %"), "")]
    for camera in worst_first(report):
        psnr = change(camera.get("psnr_before"), camera.get("psnr_after"), 1)
        iou = change(percent(camera.get("mask_iou_before")), percent(camera.get("mask_iou_after")), 1)
        rows.append((str(camera["name"]), psnr, iou, told("held out") if camera.get("held_out") else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [str(report.get("message", ""))]
    if len(rows) > 1:
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*lines, *map(str, report.get("done", [])), *(told("Warning: {text}", text=text) for text in report.get("warnings", []))]
    )


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
