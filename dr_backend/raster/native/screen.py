"""From camera space to the screen, and what lies behind the near plane."""

from __future__ import annotations

import warp as wp

# C++ as in ``lookup``; ``focal``, ``centre``, ``perspective`` and ``near`` are those of the view.
SCREEN = """
const auto on_screen = [&](const wp::vec3& p) {
    if (!perspective) return wp::vec3(centre[0] + p[0] * focal[0], centre[1] + p[1] * -focal[1], p[2]);
    const float nearness = 1.0f / -p[2];
    return wp::vec3(centre[0] + (p[0] * focal[0]) * nearness, centre[1] + (p[1] * -focal[1]) * nearness, nearness);
};
"""
CUT = """
const auto cut = [&](const wp::vec3& inside, const wp::vec3& outside) {
    const float fraction = (inside[2] + near) / (inside[2] - outside[2]);
    return wp::vec3(inside[0] + fraction * (outside[0] - inside[0]), inside[1] + fraction * (outside[1] - inside[1]), -near);
};
"""


@wp.func_native(SCREEN + "return on_screen(p);")
def screen(p: wp.vec3, focal: wp.vec2, centre: wp.vec2, perspective: int) -> wp.vec3:
    """Pixel position and nearness of a point in front of the near plane."""
    ...


@wp.func_native(CUT + "return cut(inside, outside);")
def cut(inside: wp.vec3, outside: wp.vec3, near: float) -> wp.vec3:
    """Where a segment meets the near plane, from inside to outside whatever the face: shared edges stay watertight."""
    ...
