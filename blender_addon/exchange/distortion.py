"""Lens distortion as numbers of other programs, and images without it. No bpy."""

from dataclasses import astuple, dataclass

import numpy as np

from dr_backend.scene.lens import extent_of, lens_shift, polynomial_shift, reach_of

_BAND = 256  # rows at a time, so that large photos need little memory


@dataclass(frozen=True)
class Distortion:
    """Radial k1–k3 and tangential p1, p2 in OpenCV's sense, see ``dr_backend.scene.lens``: x right, y down."""

    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(astuple(self))

    def apply(self, rays: np.ndarray) -> np.ndarray:
        """Where the rays (…, 2), at distance 1 in front of the camera, are seen on the distorted picture's plane (…, 2)."""
        return rays + np.stack(polynomial_shift(rays[..., 0], rays[..., 1], astuple(self)), -1)


def undistort(image: np.ndarray, focal_px: np.ndarray, centre_px: np.ndarray, distortion: Distortion) -> np.ndarray:
    """The picture (H, W, K) that a lens without distortion, of the same focal length and centre (2,), would have taken.

    Bilinear; what lies outside the given picture takes its border's colour.
    """
    straight = np.empty(image.shape, np.float32)
    for first in range(0, image.shape[0], _BAND):
        straight[first : first + _BAND] = _undistorted_rows(image, first, focal_px, centre_px, distortion)
    return straight


def _undistorted_rows(image: np.ndarray, first: int, focal_px: np.ndarray, centre_px: np.ndarray, distortion: Distortion) -> np.ndarray:
    height, width = image.shape[:2]
    rows = np.arange(first, min(first + _BAND, height)) + 0.5
    pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, rows), -1)
    coefficients = astuple(distortion)
    reach = reach_of(coefficients, extent_of((width, height), focal_px.tolist(), centre_px.tolist()))
    moved = np.stack(lens_shift(*np.moveaxis((pixels - centre_px) / focal_px, -1, 0), coefficients, reach), -1) * focal_px
    seen = pixels + moved - 0.5
    column, row = np.clip(seen[..., 0], 0, width - 1), np.clip(seen[..., 1], 0, height - 1)
    left, top = np.minimum(column.astype(np.int64), max(width - 2, 0)), np.minimum(row.astype(np.int64), max(height - 2, 0))
    across, down = (column - left)[..., None].astype(np.float32), (row - top)[..., None].astype(np.float32)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    return upper * (1 - down) + lower * down
