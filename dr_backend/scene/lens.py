"""Lens distortion: the Brown–Conrady polynomial as OpenCV, COLMAP and Blender's tracker write it. Works on NumPy arrays and on tensors.

Places are measured by the lens: from its centre, in its focal lengths, x right, y down. A point that a lens without distortion would show
at (x, y), with r² = x² + y² and s = 1 + k1 r² + k2 r⁴ + k3 r⁶, is seen at x s + 2 p1 x y + p2 (r² + 2 x²) and
y s + p1 (r² + 2 y²) + 2 p2 x y (D. C. Brown, "Decentering distortion of lenses", 1966).

Far from the centre the polynomial turns back, and would fold what lies beside the picture into it. So it is followed up to a radius, the
*reach*, that lies past the picture's corners or, if that comes first, where a ring is squeezed to a tenth of its width. Beyond, a point is
moved as the point of that circle below it: nothing folds, and what lay outside stays outside.
"""

from collections.abc import Sequence
from math import hypot
from typing import Any

import numpy as np

from .types import Array, Camera

SQUEEZE = 0.1  # the narrowest that a ring may become, as part of its width
MARGIN = 1.05  # of the distance of the picture's farthest corner: what is beyond is beside the picture for certain


def polynomial_shift(x: Any, y: Any, coefficients: Any) -> tuple[Any, Any]:
    """By how much the lens moves the points (x, y), without regard to its reach. Gradients: exact for everything."""
    k1, k2, k3, p1, p2 = coefficients
    squared = x * x + y * y
    radial = squared * (k1 + squared * (k2 + squared * k3))
    return x * radial + 2 * p1 * x * y + p2 * (squared + 2 * x * x), y * radial + p1 * (squared + 2 * y * y) + 2 * p2 * x * y


def lens_shift(x: Any, y: Any, coefficients: Any, reach: float) -> tuple[Any, Any]:
    """By how much the lens moves the points (x, y). Gradients: exact; on the circle of ``reach`` itself they jump."""
    shrunk = reach * (x * x + y * y).clip(min=reach * reach) ** -0.5  # 1 inside
    return polynomial_shift(x * shrunk, y * shrunk, coefficients)


def measures(camera: Camera) -> tuple[Array, Array]:
    """Focal length and centre (2,) in pixels that the camera's distortion is measured by."""
    focal, centre = camera.distortion_focal_px, camera.distortion_centre_px
    return camera.focal_px if focal is None else focal, camera.centre_px if centre is None else centre


def extent_of(size: tuple[int, int], focal_px: Sequence[float], centre_px: Sequence[float]) -> float:
    """Distance of a picture's farthest corner from the lens's centre, with a margin, in focal lengths. ``size`` is width and height."""
    return MARGIN * hypot(*(max(abs(c), abs(side - c)) / f for side, f, c in zip(size, focal_px, centre_px, strict=True)))


def _extent(camera: Camera) -> float:
    return extent_of(camera.size, *(value.tolist() for value in measures(camera)))


def _first_root(*powers: float) -> float:
    """Smallest positive root of the polynomial with these coefficients, constant first; infinite without one."""
    roots = np.roots(powers[::-1])
    return min((float(root.real) for root in roots if root.real > 0 and abs(root.imag) <= 1e-6 * abs(root)), default=np.inf)


def reach_of(coefficients: Sequence[float], extent: float) -> float:
    """Radius up to which the polynomial is followed, for a picture whose corners lie within ``extent``, in focal lengths.

    With P² = p1² + p2² the map's Jacobian is symmetric and, whatever the angle, at least min(s, d(r s)/dr) − 6 P r: as long as that is
    positive nothing folds.
    """
    k1, k2, k3, p1, p2 = coefficients
    tilt = 6 * hypot(p1, p2)
    across = _first_root(1 - SQUEEZE, -tilt, k1, 0, k2, 0, k3)
    along = _first_root(1 - SQUEEZE, -tilt, 3 * k1, 0, 5 * k2, 0, 7 * k3)
    past = _first_root(-extent, 1, -tilt / 2, k1, 0, k2, 0, k3)
    return min(across, along, past, extent / SQUEEZE)


def reach(camera: Camera) -> float:
    """The reach of the camera's lens, in its focal lengths; infinite where it has no distortion."""
    return np.inf if camera.distortion is None else reach_of(camera.distortion.tolist(), _extent(camera))


def _reach_and_lack(coefficients: Sequence[float], extent: float) -> tuple[float, float]:
    """The reach of a lens, and how far the picture's corners may lie beyond where that circle is seen."""
    k1, k2, k3, p1, p2 = coefficients
    radius = reach_of(coefficients, extent)
    squared = radius * radius
    innermost = radius * (1 + squared * (k1 + squared * (k2 + squared * k3))) - 3 * hypot(p1, p2) * squared
    return radius, max(0.0, extent - innermost)


def folds_in_picture(camera: Camera) -> bool:
    """Whether the polynomial turns back before the picture's corners, where the coefficients can hardly be right."""
    if camera.distortion is None:
        return False
    extent = _extent(camera)
    return _reach_and_lack(camera.distortion.tolist(), extent)[1] > (1 - 1 / MARGIN) * extent


def straight_bounds(camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels without distortion, within which everything lies that the camera's picture may show."""
    if camera.distortion is None:
        return 0.0, 0.0, float(camera.size[0]), float(camera.size[1])
    radius = sum(_reach_and_lack(camera.distortion.tolist(), _extent(camera)))
    (focal_x, focal_y), (x, y) = (value.tolist() for value in measures(camera))
    return x - radius * focal_x, y - radius * focal_y, x + radius * focal_x, y + radius * focal_y
