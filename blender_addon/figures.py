"""Numbers of a report in words: the panel and the command line show the same. No bpy."""

from typing import Any


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
