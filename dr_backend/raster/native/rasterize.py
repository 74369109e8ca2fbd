"""Which face each pixel sees."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, kernel, once
from ..project import View
from ..rasterize import FAR, Layer
from .bins import ENTRIES, ENTRY, Bins
from .lanes import LANES
from .rows import ROWS
from .screen import CUT, Lens, lens_of

# C++ as in ``lookup``, in parts. First pixels: nearer wins, and of equals the first, so that the order of drawing does not matter. A single
# one is offered a face; ``lanes`` of a row at once have it drawn from ``begin`` to ``end``, which may lie outside of them.
PIXELS = """
int* const shown = face_id.data;
float *const nearest = depth.data, *const covered = alpha.data;
const float* const before = behind.data;
const int* const before_face = behind_face.data;
const auto offer = [&](int pixel, float reached, int face) {
    const bool after = !before || reached < before[pixel] || (reached == before[pixel] && face > before_face[pixel]);
    if (after && (reached > nearest[pixel] || (reached == nearest[pixel] && face < shown[pixel]))) {
        nearest[pixel] = reached;
        shown[pixel] = face;
    }
};
const auto draw = [&](float* near_here, int* shown_here, const Plane& plane, float value, int past, int begin, int end, int face) {
    float reached[lanes];
    int faces_here[lanes];
    const unsigned int first = begin, many = end - begin;
    for (int k = 0; k < lanes; ++k) reached[k] = near_here[k], faces_here[k] = shown_here[k];
    for (int k = 0; k < lanes; ++k) {
        const float found = nearness_after(plane, value, past + k);
        const bool equal = (found == reached[k]) & (face < faces_here[k]);
        const bool nearer = ((unsigned int)k - first < many) & ((found > reached[k]) | equal);
        reached[k] = nearer ? found : reached[k];
        faces_here[k] = nearer ? face : faces_here[k];
    }
    for (int k = 0; k < lanes; ++k) near_here[k] = reached[k];
    for (int k = 0; k < lanes; ++k) shown_here[k] = faces_here[k];
};
"""

# Then triangles in camera space: a few are held, until there is no room for one that the near plane cuts into two.
TRIANGLES = """
const int batch = 2 * lanes;
float corners[9][batch] = {}, shapes[8][batch], planes[7][batch];
int shown_as[batch], held = 0;
const auto hold = [&](const wp::vec3& a, const wp::vec3& b, const wp::vec3& c, int face) {
    for (int k = 0; k < 3; ++k) corners[k][held] = a[k], corners[3 + k][held] = b[k], corners[6 + k][held] = c[k];
    shown_as[held++] = face;
};
const auto hold_cut = [&](const wp::vec3& a, const wp::vec3& b, const wp::vec3& c, int face) {
    const bool in_a = a[2] <= -near, in_b = b[2] <= -near, in_c = c[2] <= -near, one = in_a + in_b + in_c == 1;
    const wp::vec3 &p = in_a == one ? a : in_b == one ? b : c, &q = in_a == one ? b : in_b == one ? c : a;  // p differs from the others
    const wp::vec3& r = in_a == one ? c : in_b == one ? a : b;
    if (one) return hold(p, cut(p, q), cut(p, r), face);
    const wp::vec3 start = cut(q, p);
    hold(start, q, r, face);
    hold(start, r, cut(r, p), face);
};
"""


# One loop without branches makes shapes and planes of all that are held, then each is drawn.
@wp.func_native(once(ROWS + CUT + LANES + ENTRIES + PIXELS + TRIANGLES + f"const float far = {FAR}f, none = INFINITY;" + """
const wp::vec3* const points = camera.data;
const int left = x0, right = x1, top = y0, bottom = y1, across = right - left, last = right - lanes, stride = lens.width;
const float wide = (float)lens.width, high = (float)lens.height;
const bool few = before || across < lanes;
int tops[batch], bottoms[batch];
for (int y = top; y < bottom; ++y) {
    const int line = y * stride + left;
    for (int n = 0; n < across; ++n) nearest[line + n] = far;
    for (int n = 0; n < across; ++n) shown[line + n] = -1;
}
for (int e = start; e < stop || held > 0; held = 0) {
    while (e < stop && held < batch - 1) {
        const int *const listed = entries.data + entry * (long long)e++, face = listed[0] < 0 ? ~listed[0] : listed[0];
        if (listed[0] >= 0) {
            const Pair place = halves(listed[1]);
            const int pixel = place.first * stride + place.second;
            if (own < 0 || pixel == own) offer(pixel, *(const float*)(listed + 2), face);
            continue;
        }
        const int* const corner = faces.data + 3 * face;
        const wp::vec3 &a = points[corner[0]], &b = points[corner[1]], &c = points[corner[2]];
        if (a[2] <= -near && b[2] <= -near && c[2] <= -near) hold(a, b, c, face);
        else hold_cut(a, b, c, face);
    }
#pragma clang loop vectorize(enable)
    for (int n = 0; n < batch; ++n) {
        const Corner a = on_screen(corners[0][n], corners[1][n], corners[2][n]), b = on_screen(corners[3][n], corners[4][n], corners[5][n]);
        const Corner c = on_screen(corners[6][n], corners[7][n], corners[8][n]);
        const Shape s = shape_of(a, b, c);
        const Plane p = plane_of(a, b, c);
        const int first = first_centre(s.top_y, high), end = first_centre(s.low_y, high);
        tops[n] = first > top ? first : top, bottoms[n] = end < bottom ? end : bottom;
        shapes[0][n] = s.top_x, shapes[1][n] = s.top_y, shapes[2][n] = s.bend_x, shapes[3][n] = s.bend_y;
        shapes[4][n] = s.low_y, shapes[5][n] = s.whole, shapes[6][n] = s.upper, shapes[7][n] = s.lower;
        planes[0][n] = p.x, planes[1][n] = p.y, planes[2][n] = p.nearness, planes[3][n] = p.slope_x;
        planes[4][n] = p.slope_y, planes[5][n] = p.low, planes[6][n] = p.high;
    }
    for (int n = 0; n < held; ++n) {
        const Shape shape{shapes[0][n], shapes[1][n], shapes[2][n], shapes[3][n], shapes[4][n], shapes[5][n], shapes[6][n], shapes[7][n]};
        const Plane plane{planes[0][n], planes[1][n], planes[2][n], planes[3][n], planes[4][n], planes[5][n], planes[6][n]};
        const int face = shown_as[n];
        for (int y = tops[n], end = bottoms[n]; y < end; y += lanes) {
            int firsts[lanes], froms[lanes], tos[lanes];
            float values[lanes];
            for (int lane = 0; lane < lanes; ++lane) {
                const float centre_y = (float)(y + lane) + 0.5f;
                const Row row = row_of(shape, centre_y);
                const int first = first_centre(row.left, wide), stop = first_centre(row.right, wide);
                firsts[lane] = first;
                froms[lane] = first < left ? left : first;
                tos[lane] = stop < right ? stop : right;
                values[lane] = nearness_at(plane, (float)first + 0.5f, centre_y);
            }
            const int rows = end - y < lanes ? end - y : lanes;
            if (few) {
                for (int lane = 0; lane < rows; ++lane)
                    for (int x = froms[lane]; x < tos[lane]; ++x)
                        offer((y + lane) * stride + x, nearness_after(plane, values[lane], x - firsts[lane]), face);
                continue;
            }
            float* near_row = nearest + y * stride;
            int* shown_row = shown + y * stride;
            for (int lane = 0; lane < rows; ++lane, near_row += stride, shown_row += stride) {
                const int first = firsts[lane], to = tos[lane];
                const float value = values[lane];
                for (int x = froms[lane]; x < to; x += lanes) {
                    const int some = x < last ? x : last;
                    draw(near_row + some, shown_row + some, plane, value, some - first, x - some, to - some, face);
                }
            }
        }
    }
}
if (before) return;
for (int y = top; y < bottom; ++y) {
    float* const row = nearest + y * stride + left;
    for (int n = 0; n < across; ++n) {
        const float value = row[n], depth = perspective ? 1.0f / value : -value;
        row[n] = value == far ? none : depth;
    }
    if (covered) for (int n = 0; n < across; ++n) covered[y * stride + left + n] = shown[y * stride + left + n] < 0 ? 0.0f : 1.0f;
}
"""))
def draw_faces(
    x0: int, x1: int, y0: int, y1: int, own: int, start: int, stop: int, entries: Ints, faces: Ints, camera: Vec3s, near: float,
    lens: Lens, behind_face: Ints, behind: Floats, face_id: Ints, depth: Floats, alpha: Floats,
):
    """Draws what entries list into a rectangle of pixels. An owner of but one pixel, ``own``, leaves the others alone; all belong to
    one for whom it is negative. With ``behind`` the next after that layer is drawn, its nearness stays in ``depth``, and
    ``alpha``, which else says what is covered, is left alone.
    """
    ...


@kernel
def _raster(
    first: int, faces: Ints, camera: Vec3s, entries: Ints, starts: Ints, chunks: int, near: float, lens: Lens, tile_width: int,
    tile_height: int, columns: int, own_width: int, own_height: int, own_columns: int, behind_face: Ints, behind: Floats, face_id: Ints,
    depth: Floats, alpha: Floats,
):
    """Draws everything that a bin lists. The owner is a rectangle of pixels within one tile: a whole tile, or a pixel on a GPU."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    tile = (y0 / tile_height) * columns + x0 / tile_width
    start, stop = int(starts[tile * chunks]), int(starts[(tile + 1) * chunks])
    if starts[starts.shape[0] - 1] > entries.shape[0] / ENTRY:
        stop = int(start)  # there was no room for what was found: nothing is listed
    draw_faces(
        x0, wp.min(x0 + own_width, lens.width), y0, wp.min(y0 + own_height, lens.height), wp.where(own_width * own_height == 1, owner, -1),
        start, stop, entries, faces, camera, near, lens, behind_face, behind, face_id, depth, alpha,
    )


def pixel_owners(bins: Bins, view: View, launcher: Launcher) -> tuple[int, tuple[int, int, int]]:
    """How many owners the pixels of a view have, and the width, height and number side by side of what each owns."""
    if launcher.device.type == "cpu":
        return bins.tiles, (bins.width, bins.height, bins.columns)
    return view.width * view.height, (1, 1, view.width)


def rasterize(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], bins: Bins, view: View, launcher: Launcher, behind: Layer | None = None,
    alpha: Float[Tensor, "H W"] | None = None,
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"], Launch]:
    """Index and depth of the nearest face at each pixel centre; -1 and infinite where there is none. What does it is still to be run.

    ``alpha`` becomes 1 where there is a face, else 0. With ``behind`` the next face after that layer's is found, and its nearness (``FAR``
    where there is none), but no ``alpha``. The twin of ``raster.rasterize.rasterize``, pixel for pixel.
    """
    face_id = launcher.empty(view.height, view.width, dtype=torch.int32, lasting=True)
    depth = launcher.empty(view.height, view.width, lasting=True)
    owners, shape = pixel_owners(bins, view, launcher)
    work = Launch(
        _raster, owners, faces, camera, bins.entries, bins.starts, bins.chunks, view.near, lens_of(view), bins.width, bins.height,
        bins.columns, *shape, None if behind is None else behind.face_id, None if behind is None else behind.nearness, face_id, depth,
        alpha, items=face_id.numel(),
    )
    return face_id, depth, work
