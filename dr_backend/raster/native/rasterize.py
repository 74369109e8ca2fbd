"""Which face each pixel sees."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s
from ...kernels.launch import Launch, Launcher, kernel
from ..project import Projected, View
from ..rasterize import FAR as FAR_NEARNESS
from ..rasterize import Layer
from .bins import FIRST_CENTRE, Bins, first_centre

FAR = wp.constant(wp.float32(FAR_NEARNESS))

# Before a loop in C++: eight pixels at a time, the last ones too, since most rows of a face are short.
VECTORIZED = """
#pragma clang loop vectorize(enable) vectorize_width(8) interleave_count(1) vectorize_predicate(enable)
"""

# How many pixels, or rows, are worth being computed at once, by loops of just that length.
LANES = """
#if defined(__CUDA_ARCH__)
const int lanes = 1;
#else
const int lanes = 8;
#endif
"""


@wp.struct
class Shape:
    """A triangle as rows of pixels: one edge that all rows meet, and two that take turns at the middle corner."""

    first: int  # rows
    middle: int
    stop: int
    top: wp.vec2
    bend: wp.vec2
    whole: float  # slopes: pixels to the right per row
    upper: float
    lower: float


@wp.struct
class Span:
    """The pixels of one row that a triangle covers."""

    first: int
    stop: int


@wp.func
def slope(low: wp.vec2, high: wp.vec2) -> float:
    """Pixels to the right per row of an edge, computed from its lower to its upper end as both of its faces do."""
    rise = high[1] - low[1]
    return (high[0] - low[0]) / wp.where(rise > 0.0, rise, 1.0)


@wp.func
def shape_of(a: wp.vec2, b: wp.vec2, c: wp.vec2, height: int) -> Shape:
    """The rows of a triangle with the given corners in pixels."""
    p, q, r = wp.vec2(a), wp.vec2(b), wp.vec2(c)
    if q[1] < p[1]:
        p, q = wp.vec2(q), wp.vec2(p)
    if r[1] < p[1]:
        p, q, r = wp.vec2(r), wp.vec2(p), wp.vec2(q)
    elif r[1] < q[1]:
        q, r = wp.vec2(r), wp.vec2(q)
    found = Shape()
    found.first = first_centre(p[1], height)
    found.middle = first_centre(q[1], height)
    found.stop = first_centre(r[1], height)
    found.top = p
    found.bend = q
    found.whole = slope(p, r)
    found.upper = slope(p, q)
    found.lower = slope(q, r)
    return found


@wp.func
def span(shape: Shape, row: int, width: int) -> Span:
    """Pixels whose centres lie within the triangle in this row, one of its own.

    A row meets an edge if its centre lies in [lower y, upper y): no pixel beside a shared edge is left out, and none counted twice.
    """
    centre = float(row) + 0.5
    below = centre - shape.top[1]
    one = shape.top[0] + below * shape.whole
    other = shape.top[0] + below * shape.upper
    if row >= shape.middle:
        other = shape.bend[0] + (centre - shape.bend[1]) * shape.lower
    found = Span()
    found.first = first_centre(wp.min(one, other), width)
    found.stop = first_centre(wp.max(one, other), width)
    return found


@wp.func
def screen(p: wp.vec3, focal: wp.vec2, centre: wp.vec2, perspective: int) -> wp.vec3:
    """Pixel position and nearness of a point in front of the near plane."""
    if perspective == 0:
        return wp.vec3(centre[0] + p[0] * focal[0], centre[1] + p[1] * -focal[1], p[2])
    nearness = 1.0 / -p[2]
    return wp.vec3(centre[0] + (p[0] * focal[0]) * nearness, centre[1] + (p[1] * -focal[1]) * nearness, nearness)


@wp.func
def cut(inside: wp.vec3, outside: wp.vec3, near: float) -> wp.vec3:
    """Where a segment meets the near plane, from inside to outside whatever the face: shared edges stay watertight."""
    fraction = (inside[2] + near) / (inside[2] - outside[2])
    return wp.vec3(inside[0] + fraction * (outside[0] - inside[0]), inside[1] + fraction * (outside[1] - inside[1]), -near)


# The loops over pixels are C++, as in ``lookup``. Where the rows of a face begin and end is found for several at once, as ``span`` does.
@wp.func_native(FIRST_CENTRE + LANES + """
int firsts[lanes], stops[lanes];
float values[lanes];
for (int top = y0; top < y1; top += lanes) {
    for (int lane = 0; lane < lanes; ++lane) {
        const float centre = (float)(top + lane) + 0.5f, below = centre - shape.top[1], one = shape.top[0] + below * shape.whole;
        const float upper = shape.top[0] + below * shape.upper, lower = shape.bend[0] + (centre - shape.bend[1]) * shape.lower;
        const float other = top + lane >= shape.middle ? lower : upper;
        firsts[lane] = first_centre(one < other ? one : other, (float)width);
        stops[lane] = first_centre(one < other ? other : one, (float)width);
        values[lane] = (nearness + slope_y * (centre - y_px)) + slope_x * (((float)firsts[lane] + 0.5f) - x_px);
    }
    for (int lane = 0; lane < lanes && top + lane < y1; ++lane) {
        const int first = firsts[lane], start = first < x0 ? x0 : first, stop = stops[lane] < x1 ? stops[lane] : x1;
        const float at_first = values[lane];
        int* const shown = face_id.data + (top + lane) * width;
        float* const nearest_yet = nearest.data + (top + lane) * width;
""" + VECTORIZED + """
        for (int x = start; x < stop; ++x) {
            float reached = at_first + slope_x * (float)(x - first);
            reached = reached < low ? low : (reached > high ? high : reached);
            const bool nearer = reached > nearest_yet[x];
            nearest_yet[x] = nearer ? reached : nearest_yet[x];
            shown[x] = nearer ? face : shown[x];
        }
    }
}
""")
def draw_rows(
    shape: Shape, x0: int, x1: int, y0: int, y1: int, width: int, x_px: float, y_px: float, nearness: float, slope_x: float,
    slope_y: float, low: float, high: float, face: int, face_id: Ints, nearest: Floats,
):
    """Draws rows of a face, whose plane has a nearness at a pixel position: nearer wins, the first of equals stays."""
    ...


@wp.func_native(
    VECTORIZED + """
for (int n = pixel; n < pixel + count; ++n) {
    face_id.data[n] = -1;
    nearest.data[n] = far;
}
""")
def clear(pixel: int, count: int, far: float, face_id: Ints, nearest: Floats):
    """Empties some pixels."""
    ...


@wp.func_native(
    VECTORIZED + """
for (int n = pixel; n < pixel + count; ++n) {
    const float value = nearest.data[n], depth = perspective ? 1.0f / value : -value;
    nearest.data[n] = value == far ? infinite : depth;
}
""")
def to_depth(pixel: int, count: int, far: float, infinite: float, perspective: int, nearest: Floats):
    """Makes depth of nearness."""
    ...


@wp.func
def fill(
    a: wp.vec3, b: wp.vec3, c: wp.vec3, face: int, x0: int, x1: int, y0: int, y1: int, width: int, height: int,
    behind_face: Ints, behind: Floats, face_id: Ints, nearest: Floats,
):
    """Draws one triangle (pixels and nearness) into a rectangle of pixels: nearer wins, the first of equals stays.

    Where ``behind`` holds something only what comes after it in that order is drawn.
    """
    p, q, r = wp.vec2(a[0], a[1]), wp.vec2(b[0], b[1]), wp.vec2(c[0], c[1])
    u, v = q - p, r - p
    area = u[0] * v[1] - u[1] * v[0]
    du, dv = b[2] - a[2], c[2] - a[2]
    inverse = wp.where(area != 0.0, 1.0 / wp.where(area != 0.0, area, 1.0), 0.0)
    slope_x, slope_y = (du * v[1] - dv * u[1]) * inverse, (dv * u[0] - du * v[0]) * inverse
    low, high = wp.min(a[2], wp.min(b[2], c[2])), wp.max(a[2], wp.max(b[2], c[2]))
    shape = shape_of(p, q, r, height)
    top, bottom = wp.max(y0, shape.first), wp.min(y1, shape.stop)
    if behind.shape[0] == 0:
        draw_rows(shape, x0, x1, top, bottom, width, p[0], p[1], a[2], slope_x, slope_y, low, high, face, face_id, nearest)
        return
    for y in range(top, bottom):
        run = span(shape, y, width)
        at_first = (a[2] + slope_y * ((float(y) + 0.5) - p[1])) + slope_x * ((float(run.first) + 0.5) - p[0])
        for x in range(wp.max(run.first, x0), wp.min(run.stop, x1)):
            reached = wp.clamp(at_first + slope_x * float(x - run.first), low, high)
            pixel = y * width + x
            shown = reached < behind[pixel] or (reached == behind[pixel] and face > behind_face[pixel])
            if reached > nearest[pixel] and shown:
                nearest[pixel] = reached
                face_id[pixel] = face


@wp.func
def fill_clipped(
    a: wp.vec3, b: wp.vec3, c: wp.vec3, face: int, near: float, focal: wp.vec2, centre: wp.vec2, perspective: int,
    x0: int, x1: int, y0: int, y1: int, width: int, height: int, behind_face: Ints, behind: Floats, face_id: Ints, nearest: Floats,
):
    """Draws the part of a triangle (camera space) that lies in front of the near plane."""
    in_a, in_b, in_c = a[2] <= -near, b[2] <= -near, c[2] <= -near
    count = int(in_a) + int(in_b) + int(in_c)
    special = count == 1  # the corner that differs from the two others is inside
    p, q, r = a, b, c
    if in_b == special and in_a != special:
        p, q, r = b, c, a
    elif in_c == special and in_a != special:
        p, q, r = c, a, b
    k, m, n, o = p, cut(p, q, near), cut(p, r, near), r
    if count == 2:
        k, m, n, o = cut(q, p, near), q, r, cut(r, p, near)
    for number in range(count):
        second, third = m, n
        if number == 1:
            second, third = n, o
        fill(
            screen(k, focal, centre, perspective), screen(second, focal, centre, perspective), screen(third, focal, centre, perspective),
            face, x0, x1, y0, y1, width, height, behind_face, behind, face_id, nearest,
        )


@kernel
def _raster(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, nearness: Floats, entries: Ints, starts: Ints, chunks: int, near: float,
    focal: wp.vec2, centre: wp.vec2, perspective: int, width: int, height: int, tile_width: int, tile_height: int, columns: int,
    own_width: int, own_height: int, own_columns: int, behind_face: Ints, behind: Floats, face_id: Ints, depth: Floats,
):
    """Draws everything that a bin lists. The owner is a rectangle of pixels within one tile: a whole tile, or a pixel on a GPU."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    x1, y1 = wp.min(x0 + own_width, width), wp.min(y0 + own_height, height)
    for y in range(y0, y1):
        clear(y * width + x0, x1 - x0, FAR, face_id, depth)
    tile = (y0 / tile_height) * columns + x0 / tile_width
    for e in range(starts[tile * chunks], starts[(tile + 1) * chunks]):
        f = entries[e]
        i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
        a, b, c = camera[i], camera[j], camera[k]
        if wp.max(a[2], wp.max(b[2], c[2])) <= -near:
            p, q, r = xy[i], xy[j], xy[k]
            fill(
                wp.vec3(p[0], p[1], nearness[i]), wp.vec3(q[0], q[1], nearness[j]), wp.vec3(r[0], r[1], nearness[k]), f,
                x0, x1, y0, y1, width, height, behind_face, behind, face_id, depth,
            )
        else:
            fill_clipped(
                a, b, c, f, near, focal, centre, perspective, x0, x1, y0, y1, width, height, behind_face, behind, face_id, depth
            )
    if behind.shape[0] > 0:
        return
    for y in range(y0, y1):
        to_depth(y * width + x0, x1 - x0, FAR, wp.inf, perspective, depth)


def pixel_owners(bins: Bins, view: View, launcher: Launcher) -> tuple[int, tuple[int, int, int]]:
    """How many owners the pixels of a view have, and the width, height and number side by side of what each owns."""
    if launcher.device.type == "cpu":
        return bins.tiles, (bins.width, bins.height, bins.columns)
    return view.width * view.height, (1, 1, view.width)


@lru_cache(256)
def _pair(numbers: tuple[float, float]) -> Any:
    return wp.vec2(*numbers)


def rasterize(
    projected: Projected, faces: Int[Tensor, "F 3"], bins: Bins, view: View, launcher: Launcher, behind: Layer | None = None
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"], Launch]:
    """Index and depth of the nearest face at each pixel centre; -1 and infinite where there is none. What does it is still to be run.

    With ``behind`` the next face after that layer's, and its nearness (``FAR`` where there is none).
    The twin of ``raster.rasterize.rasterize``, pixel for pixel.
    """
    face_id = torch.empty(view.height, view.width, dtype=torch.int32, device=faces.device)
    depth = torch.empty(view.height, view.width, dtype=torch.float32, device=faces.device)
    owners, shape = pixel_owners(bins, view, launcher)
    work = Launch(
        _raster, owners, faces, projected.camera, projected.xy, projected.nearness, bins.entries, bins.starts, bins.chunks, view.near,
        *map(_pair, view.numbers[2:]), int(view.perspective), view.width, view.height, bins.width, bins.height, bins.columns, *shape,
        None if behind is None else behind.face_id, None if behind is None else behind.nearness, face_id, depth, items=face_id.numel(),
    )
    return face_id, depth, work
