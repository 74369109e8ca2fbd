"""Where on its face each pixel lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Work, once, place_kernel
from ..project import View
from .bins import Bins
from .rasterize import pixel_owners
from .screen import Lens, lens_of
from .sums import starts_of

# C++ as in ``lookup``: where a triangle with corners p, q, r meets the lines of sight of a row of pixels, of which the first goes through
# (x, y) on the plane at distance 1. Offsets from that one give weights whose rounding errors are as small as the triangle; along the row
# they are linear. They are kept within the triangle; where it is seen so nearly edge-on that rounding decides all are equal.
SPOTS = """
struct Spot { float a, b, c, side, scale; };  // barycentric coordinates, the sign of the area seen, and one over twice that area
struct Run {
    float a, b, c, step_a, step_b, step_c, side;
    Spot at(float n) const {
        float wa = a + n * step_a, wb = b + n * step_b, wc = c + n * step_c;
        wa = wa > 0.0f ? wa : 0.0f, wb = wb > 0.0f ? wb : 0.0f, wc = wc > 0.0f ? wc : 0.0f;
        const float total = wa + wb + wc;
        if (!(total > 0.0f)) return Spot{1.0f / 3.0f, 1.0f / 3.0f, 1.0f / 3.0f, 0.0f, 0.0f};
        const float scale = 1.0f / total;
        return Spot{wa * scale, wb * scale, wc * scale, side, scale};
    }
};
const float per_pixel = 1.0f / lens.focal[0];
const auto run_of = [&](const wp::vec3& p, const wp::vec3& q, const wp::vec3& r, float x, float y) {
    const float mp = lens.perspective ? p[2] : -1.0f, mq = lens.perspective ? q[2] : -1.0f, mr = lens.perspective ? r[2] : -1.0f;
    const float px = p[0] + mp * x, py = p[1] + mp * y, qx = q[0] + mq * x, qy = q[1] + mq * y, rx = r[0] + mr * x, ry = r[1] + mr * y;
    const float wa = qx * ry - qy * rx, wb = rx * py - ry * px, wc = px * qy - py * qx, total = wa + wb + wc;
    const float size = wp::max(px * px + py * py, wp::max(qx * qx + qy * qy, rx * rx + ry * ry));
    const float side = wp::abs(total) <= 1.0e-7f * size ? 0.0f : total < 0.0f ? -1.0f : 1.0f, step = side * per_pixel;
    return Run{side * wa, side * wb, side * wc, step * (mq * ry - qy * mr), step * (mr * py - ry * mp), step * (mp * qy - py * mq), side};
};
const auto sight_x = [&](float x_px) { return (x_px - lens.centre[0]) / lens.focal[0]; };
const auto sight_y = [&](float y_px) { return -(y_px - lens.centre[1]) / lens.focal[1]; };
"""


@wp.func_native(once(
    SPOTS + """
int found = 0;
const int row_start = y * lens.width;
for (int n = row_start + x, end = n + count; n < end;) {
    const int face = face_id.data[n], start = n;
    while (n < end && face_id.data[n] == face) ++n;
    if (face < 0) {
        for (int k = start; k < n; ++k) weights.data[k] = wp::vec3(0.0f);
        continue;
    }
    ++found;
    const int* const corners = faces.data + 3 * face;
    const wp::vec3 p = camera.data[corners[0]], q = camera.data[corners[1]], r = camera.data[corners[2]];
    const Run run = run_of(p, q, r, sight_x((float)(start - row_start) + 0.5f), sight_y((float)y + 0.5f));
    for (int k = start; k < n; ++k) {
        const Spot at = run.at((float)(k - start));
        weights.data[k] = wp::vec3(at.a, at.b, at.c);
        depth.data[k] = -(at.a * p[2] + at.b * q[2] + at.c * r[2]);
    }
}
return found;
"""))
def locate_row(x: int, y: int, count: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, weights: Vec3s, depth: Floats) -> int:
    """Barycentric coordinates, zero where nothing is seen, and depth of pixels of a row; returns the number of runs that show a face."""
    ...


@place_kernel
def _locate(
    first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int,
    weights: Vec3s, depth: Floats, runs: Ints,
):
    """Barycentric coordinates and depth at pixel centres. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        count = wp.min(own_width, lens.width - x0)
        runs[y * own_columns + column] = locate_row(x0, y, count, faces, camera, face_id, lens, weights, depth)


@dataclass(frozen=True)
class Runs:
    """How many runs of pixels that show a face each owner has in each of its rows: what sums over such runs need room for."""

    starts: Int[Tensor, " R1"]  # the number of the first run of each; the last is that of all


def interpolate(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins,
    view: View, launcher: Launcher,
) -> tuple[Float[Tensor, "H W 3"], Runs, list[Work]]:
    """Barycentric coordinates at pixel centres, zero where nothing is seen, and the runs; ``depth`` is made exact in place.

    What does it is still to be run.
    """
    weights = launcher.empty(view.height, view.width, 3)
    owners, shape = pixel_owners(bins, view, launcher)
    runs = launcher.empty(view.height * shape[2], dtype=torch.int32)
    work = Launch(_locate, owners, faces, camera, face_id, lens_of(view), *shape, weights, depth, runs, items=face_id.numel())
    starts, add_up = starts_of(runs, launcher)
    return weights, Runs(starts), [work, add_up]
