"""From camera space to the screen, and what lies behind the near plane."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import warp as wp

from ..project import View


@wp.struct
class Lens:
    """The intrinsics of a view."""

    focal: wp.vec2
    centre: wp.vec2
    perspective: int
    width: int
    height: int


def lens_of(view: View) -> Any:
    """A view's intrinsics as an argument of kernels."""
    return _lens(*view.numbers[2], *view.numbers[3], int(view.perspective), view.width, view.height)


@lru_cache(256)
def _lens(focal_x: float, focal_y: float, centre_x: float, centre_y: float, perspective: int, width: int, height: int) -> Any:
    """Made once for all kernels of a view: Warp takes 20 microseconds."""
    lens = Lens()
    lens.focal, lens.centre = wp.vec2(focal_x, focal_y), wp.vec2(centre_x, centre_y)
    lens.perspective, lens.width, lens.height = perspective, width, height
    return lens


# C++ as in ``lookup``: pixel position and nearness of a point in front of the near plane.
SCREEN = """
const bool perspective = lens.perspective != 0;
const float focal_x = lens.focal[0], focal_y = lens.focal[1], centre_x = lens.centre[0], centre_y = lens.centre[1];
struct Corner { float x, y, nearness; };
const auto on_screen = [=](float x, float y, float z) {
    const float nearness = 1.0f / -z, right = x * focal_x, down = y * -focal_y;
    return Corner{
        centre_x + (perspective ? right * nearness : right), centre_y + (perspective ? down * nearness : down), perspective ? nearness : z,
    };
};
"""
# Where a segment meets the near plane, from inside to outside whatever the face: shared edges stay watertight.
CUT = """
const auto cut = [=](const wp::vec3& inside, const wp::vec3& outside) {
    const float fraction = (inside[2] + near) / (inside[2] - outside[2]);
    return wp::vec3(inside[0] + fraction * (outside[0] - inside[0]), inside[1] + fraction * (outside[1] - inside[1]), -near);
};
"""
