"""Cameras whose photos were made another size."""

from dataclasses import replace

from .types import Array, Camera

MEASURES_PX = ("focal_px", "centre_px", "distortion_focal_px", "distortion_centre_px")


def resized(camera: Camera, size: tuple[int, int], factor: Array) -> Camera:
    """The camera of a photo of another ``size``; ``factor`` (2,) is the new width and height over the old. For arrays and tensors."""
    moved = {name: value * factor for name in MEASURES_PX if (value := getattr(camera, name)) is not None}
    return replace(camera, size=size, **moved)
