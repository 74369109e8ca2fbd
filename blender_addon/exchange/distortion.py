"""Lens distortion: the Brown–Conrady polynomial, as OpenCV and COLMAP write it, and images without it. No bpy."""

from dataclasses import dataclass

import numpy as np

_BAND = 256  # rows at a time, so that large photos need little memory

@dataclass(frozen=True)
class Distortion:
    """Radial k1–k3 and tangential p1, p2 in OpenCV's sense: x right, y down, on the plane at distance 1 in front of the camera.

    A ray through (x, y), with r² = x² + y² and s = 1 + k1 r² + k2 r⁴ + k3 r⁶, is seen at
    x s + 2 p1 x y + p2 (r² + 2 x²) and y s + p1 (r² + 2 y²) + 2 p2 x y (D. C. Brown, "Decentering distortion of lenses", 1966).
    """

    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any((self.k1, self.k2, self.k3, self.p1, self.p2))

    def apply(self, rays: np.ndarray) -> np.ndarray:
        """Where the rays (…, 2) are seen on the distorted picture's plane (…, 2)."""
        x, y = rays[..., 0], rays[..., 1]
        squared = x * x + y * y
        radial = 1 + squared * (self.k1 + squared * (self.k2 + squared * self.k3))
        seen_x = x * radial + 2 * self.p1 * x * y + self.p2 * (squared + 2 * x * x)
        seen_y = y * radial + self.p1 * (squared + 2 * y * y) + 2 * self.p2 * x * y
        return np.stack([seen_x, seen_y], -1)


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
    rays = np.stack(np.meshgrid(np.arange(width) + 0.5, rows), -1)
    seen = distortion.apply((rays - centre_px) / focal_px) * focal_px + centre_px - 0.5
    column, row = np.clip(seen[..., 0], 0, width - 1), np.clip(seen[..., 1], 0, height - 1)
    left, top = np.minimum(column.astype(np.int64), max(width - 2, 0)), np.minimum(row.astype(np.int64), max(height - 2, 0))
    across, down = (column - left)[..., None].astype(np.float32), (row - top)[..., None].astype(np.float32)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    return upper * (1 - down) + lower * down
