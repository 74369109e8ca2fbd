"""Which triangles may cover pixels of which tile, in the order of their index."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Bytes, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Work, kernel, once
from ..project import View
from .lanes import CORNERS, LOWEST
from .rows import ROWS
from .screen import Lens, lens_of
from .sums import starts_of

TILE = 16  # rows of pixels that one bin covers; on a GPU columns too, on a processor the whole width
CHUNK_FACES_GPU = 128
ENTRY = wp.constant(3)  # numbers
MOST_PIXELS = 1 << 16  # side by side: as many as an entry can tell apart, and as Blender renders

# C++: a face that may cover pixels has these numbers: its index, row and column (16 bits each) of the only pixel that it covers, and the
# bits of its nearness there. If there may be more, or the near plane cuts it: the complement of its index, its first and last row of tiles
# (16 bits each), and the columns.
ENTRIES = f"const int entry = {ENTRY}, tile = {TILE};" + """
struct Pair { int first, second; };
const auto halves = [](int both) { return Pair{(int)((unsigned int)both >> 16), both & 65535}; };
const auto in_tiles = [&](const int* found, int columns, auto&& act) {
    const Pair pixel = halves(found[1]), rows = pixel, across = halves(found[2]);
    if (found[0] >= 0) return act(pixel.first / tile * columns + (columns > 1 ? pixel.second / tile : 0));
#pragma clang loop unroll(disable)  // most faces are in one tile: what helps with many only delays these
    for (int y = rows.first; y <= rows.second; ++y)
#pragma clang loop vectorize(disable) unroll(disable)
        for (int x = across.first; x <= across.second; ++x) act(y * columns + x);
};
"""


@dataclass(frozen=True)
class Bins:
    """For every tile the faces that may cover a pixel centre of it."""

    facing: Int[Tensor, " F"]  # +1 where the outside of a face is turned to the viewer, otherwise -1; a byte each
    entries: Int[Tensor, " N"]  # see ``ENTRIES``; tile by tile, faces ascending within a tile
    starts: Int[Tensor, " S1"]  # where the entries of each tile start that come from each chunk of faces; the last is their number
    chunks: int
    width: int  # of a tile, pixels
    height: int
    columns: int  # tiles side by side

    @property
    def tiles(self) -> int:
        """Of the whole view."""
        return (self.starts.shape[0] - 1) // self.chunks


# C++: the corners of a few faces are collected, then one loop without branches tells what all of them cover.
@wp.func_native(once(ROWS + LOWEST + CORNERS + ENTRIES + """
const int lanes = 16;
alignas(32) float corners[9][lanes] = {};
int sides[lanes], listed[lanes], places[lanes], values[lanes], covering[lanes];
const auto least = [](float p, float q, float r) { p = p < q ? p : q; return p < r ? p : r; };
const auto most = [](float p, float q, float r) { p = p > q ? p : q; return p > r ? p : r; };
const float full_width = (float)lens.width, full_height = (float)lens.height;
const wp::vec3* const points = camera.data;
const bool tiled = columns > 1, culling = culled.shape[0] > 0;
const int full = lens.width, lines = lens.height;
int *const to = found.data + entry * begin, *const count_of = counts.data + part * tiles, kept = 0;
const auto tiles_of = [&](int first, int stop) { return first / tile << 16 | (stop - 1) / tile; };
for (int start = begin; start < stop; start += lanes) {
    const int count = stop - start < lanes ? stop - start : lanes, *const corner = faces.data + 3 * start;
    collect(points, corner, count, corners);
#pragma clang loop vectorize(enable)
    for (int n = 0; n < lanes; ++n) {
        const float ax = corners[0][n], ay = corners[1][n], az = corners[2][n], bz = corners[5][n], cz = corners[8][n];
        const float ux = corners[3][n] - ax, uy = corners[4][n] - ay, uz = bz - az;
        const float vx = corners[6][n] - ax, vy = corners[7][n] - ay, vz = cz - az;
        const float normal_x = uy * vz - uz * vy, normal_y = uz * vx - ux * vz, normal_z = ux * vy - uy * vx;
        const float toward = perspective ? -((ax * normal_x + ay * normal_y) + az * normal_z) : normal_z;
        sides[n] = toward > 0.0f ? 1 : -1;
        const bool whole = least(-az, -bz, -cz) >= near, any = most(-az, -bz, -cz) >= near;
        const Corner a = on_screen(ax, ay, az), b = on_screen(corners[3][n], corners[4][n], bz);
        const Corner c = on_screen(corners[6][n], corners[7][n], cz);
        const Shape shape = shape_of(a, b, c);
        const Plane plane = plane_of(a, b, c);
        const int top = whole ? first_centre(shape.top_y, full_height) : 0;
        const int bottom = any ? (whole ? first_centre(shape.low_y, full_height) : lines) : 0;
        const int left = whole ? first_centre(least(a.x, b.x, c.x), full_width) : 0;
        const int right = whole ? first_centre(most(a.x, b.x, c.x), full_width) : full;
        // What is covered in one row or two is known at once: most small faces miss all centres, or all but one.
        const float y = (float)top + 0.5f;
        const Row upper = row_of(shape, y), lower = row_of(shape, y + 1.0f);
        const int first = first_centre(upper.left, full_width), second = first_centre(lower.left, full_width);
        const int above = first_centre(upper.right, full_width) - first;
        const int below = bottom - top == 2 ? first_centre(lower.right, full_width) - second : 0;
        const bool few = whole & (bottom - top <= 2), one = few & (above + below == 1);
        const int row = above > 0 ? top : top + 1, column = above > 0 ? first : second;
        const float value = nearness_at(plane, (float)column + 0.5f, (float)row + 0.5f);
        const union { float value; int bits; } reached = {nearness_after(plane, value, 0)};
        listed[n] = one ? start + n : ~(start + n);
        places[n] = one ? row << 16 | column : tiles_of(top, bottom);
        values[n] = one ? reached.bits : tiled ? tiles_of(left, right) : 0;
        covering[n] = (bottom > top) & (few ? above + below > 0 : right > left);
    }
    if (culling) for (int n = 0; n < count; ++n) covering[n] &= sides[n] > 0 || culled.data[start + n] == 0;
    for (int n = 0; n < count; ++n) facing.data[start + n] = sides[n];
    unsigned long long left = 0;
    for (int n = 0; n < lanes; ++n) left |= (unsigned long long)covering[n] << n;
    for (left &= (1ull << count) - 1; left; left &= left - 1) {  // whether a face covers anything is hard to foresee
        int n = lowest(left), *const here = to + entry * kept++;
        here[0] = listed[n], here[1] = places[n], here[2] = values[n];
        in_tiles(here, columns, [&](int t) { ++count_of[t]; });
    }
}
return kept;
"""))
def find_faces(
    part: int, begin: int, stop: int, faces: Ints, camera: Vec3s, culled: Ints, near: float, lens: Lens, columns: int,
    tiles: int, facing: Bytes, found: Ints, counts: Ints,
) -> int:
    """Which way some faces are turned; those that may cover a pixel centre, as ``ENTRIES`` has them; how many each tile gets.

    Returns the number of those found.
    """
    ...


@kernel
def _find(
    first: int, faces: Ints, camera: Vec3s, culled: Ints, near: float, lens: Lens, columns: int, tiles: int, chunk: int,
    facing: Bytes, found: Ints, kept: Ints, counts: Ints,
):
    """See ``find_faces``; how many each tile gets from each chunk. The owner is a chunk of faces."""
    part = first + wp.tid()
    start = part * chunk
    kept[part] = find_faces(
        part, start, wp.min(start + chunk, facing.shape[0]), faces, camera, culled, near, lens, columns, tiles, facing, found, counts,
    )


@wp.func_native(ENTRIES + """
if (entry * (long long)starts.data[starts.shape[0] - 1] > entries.shape[0]) return;
const int *const last = found.data + entry * begin, *from = last + entry * kept, *const start_of = starts.data + part;
int* const left = counts.data + part * tiles;
while (from > last) {
    from -= entry;
    in_tiles(from, columns, [&](int t) {
        int* const to = entries.data + entry * (long long)(start_of[t * chunks] + --left[t]);
        to[0] = from[0], to[1] = from[1], to[2] = from[2];
    });
}
""")
def fill_tiles(
    part: int, begin: int, kept: int, found: Ints, columns: int, tiles: int, chunks: int, starts: Ints, counts: Ints, entries: Ints
):
    """Writes faces where the counts left room for them, the last first; ``counts`` are used up. Nothing if there is not room for all."""
    ...


@kernel
def _fill(
    first: int, found: Ints, kept: Ints, columns: int, tiles: int, chunk: int, chunks: int, starts: Ints, counts: Ints, entries: Ints
):
    """See ``fill_tiles``. The owner is a chunk of faces."""
    part = first + wp.tid()
    fill_tiles(part, part * chunk, kept[part], found, columns, tiles, chunks, starts, counts, entries)


@dataclass(frozen=True)
class Found:
    """The faces of a view that may cover pixels."""

    facing: Int[Tensor, " F"]  # see ``Bins``
    faces: Int[Tensor, " N"]  # see ``ENTRIES``; those of each chunk where the chunk starts
    kept: Int[Tensor, " K"]  # how many these are
    counts: Int[Tensor, "K T"]  # how many entries each tile gets from each chunk
    starts: Int[Tensor, " S1"]  # see ``Bins``
    chunk: int  # faces
    columns: int  # tiles side by side


def find_bins(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], culled: Int[Tensor, " F"] | None, view: View, launcher: Launcher
) -> tuple[Found, list[Work]]:
    """What is to be filled into the bins of one view, and what is still to be run to find it.

    ``culled`` marks faces that do not show their inside. Faces with a corner that is not finite are in no bin.

    Raises:
        ValueError: The view is wider or higher than ``MOST_PIXELS``.
    """
    if max(view.width, view.height) > MOST_PIXELS:
        raise ValueError(f"A view of {view.width} × {view.height} pixels is too large: {MOST_PIXELS} each way are possible.")
    count = faces.shape[0]
    columns, lines = -(-view.width // _tile_width(view, launcher)), -(-view.height // TILE)
    chunks, chunk = launcher.chunks(count, CHUNK_FACES_GPU)
    facing = launcher.empty(count, dtype=torch.int8)
    kept, found = (launcher.empty(size, dtype=torch.int32) for size in (chunks, ENTRY * count))
    counts = launcher.zeros(chunks, lines * columns, dtype=torch.int32)
    find = Launch(
        _find, chunks, faces, camera, culled, view.near, lens_of(view), columns, lines * columns, chunk, facing, found, kept, counts,
        items=3 * count,  # each takes as long as three pixels
    )
    starts, add_up = starts_of(counts, launcher)
    return Found(facing, found, kept, counts, starts, chunk, columns), [find, add_up]


def fill_bins(found: Found, view: View, launcher: Launcher) -> tuple[Bins, Launch]:
    """The bins, and what is still to be run to fill them."""
    chunks, tiles = found.counts.shape
    guess = found.facing.shape[0] + view.width + view.height
    entries = launcher.empty(ENTRY * launcher.count(found.starts, guess), dtype=torch.int32)
    fill = Launch(
        _fill, chunks, found.faces, found.kept, found.columns, tiles, found.chunk, chunks, found.starts, found.counts, entries,
        items=found.facing.shape[0],
    )
    return Bins(found.facing, entries, found.starts, chunks, _tile_width(view, launcher), TILE, found.columns), fill


def _tile_width(view: View, launcher: Launcher) -> int:
    return view.width if launcher.device.type == "cpu" else TILE
