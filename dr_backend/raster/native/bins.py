"""Which triangles may cover pixels of which tile, in the order of their index."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Work, kernel, once
from ..project import View
from .lanes import CORNERS, LOWEST
from .rows import ROWS
from .screen import Lens, lens_of
from .sums import starts_of

TILE = 16  # rows of pixels that one bin covers; on a GPU columns too, on a processor the whole width
CHUNK_FACES_GPU = 128
FIELDS, ENTRY = 5, wp.constant(3)

# C++: a face that may cover pixels has these numbers: its index, the first and last row of tiles (16 bits each), the same of columns,
# the only pixel that it covers, and the bits of its nearness there. An entry of a tile has the first and the last two.
FOUND = f"const int fields = {FIELDS}, entry = {ENTRY};" + """
const int several = -1, clipped = -2;  // instead of an only pixel: there may be more, or the near plane cuts the face
"""


@dataclass(frozen=True)
class Bins:
    """For every tile the faces that may cover a pixel centre of it."""

    facing: Int[Tensor, " F"]  # +1 where the outside of a face is turned to the viewer, otherwise -1
    entries: Int[Tensor, " N"]  # see ``FOUND``; tile by tile, faces ascending within a tile
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
@wp.func_native(once(ROWS + LOWEST + CORNERS + FOUND + f"const int tile = {TILE};" + """
const int lanes = 16;
alignas(32) float corners[9][lanes] = {};
float reached[lanes];
int sides[lanes], onlys[lanes], tile_rows[lanes], tile_cols[lanes], covering[lanes];
const auto least = [](float p, float q, float r) { p = p < q ? p : q; return p < r ? p : r; };
const auto most = [](float p, float q, float r) { p = p > q ? p : q; return p > r ? p : r; };
const float full_width = (float)lens.width, full_height = (float)lens.height;
const wp::vec3* const points = camera.data;
const bool tiled = columns > 1, culling = culled.shape[0] > 0;
const int full = lens.width, lines = lens.height, across = columns;
const int* const reached_bits = (const int*)reached;
int *to = found.data + fields * begin, *const count_of = counts.data + part * tiles, kept = 0;
const auto tiles_of = [&](int first, int stop) { return (first / tile << 16) + (stop - 1) / tile; };
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
        // Where there is but one row, what is covered in it is known at once: most small faces miss its centres.
        const float y = (float)top + 0.5f;
        const Row run = row_of(shape, y);
        const bool thin = bottom - top == 1;
        const int left = whole ? first_centre(thin ? run.left : least(a.x, b.x, c.x), full_width) : 0;
        const int right = whole ? first_centre(thin ? run.right : most(a.x, b.x, c.x), full_width) : full;
        const bool one = thin & (right - left == 1);
        onlys[n] = !whole ? clipped : one ? top * full + left : several;
        reached[n] = nearness_after(plane, nearness_at(plane, (float)left + 0.5f, y), 0);
        covering[n] = (bottom > top) & (right > left);
        tile_rows[n] = covering[n] ? tiles_of(top, bottom) : 0;
        tile_cols[n] = (covering[n] & tiled) ? tiles_of(left, right) : 0;
    }
    if (culling) for (int n = 0; n < count; ++n) covering[n] &= sides[n] > 0 || culled.data[start + n] == 0;
    for (int n = 0; n < count; ++n) facing.data[start + n] = sides[n];
    unsigned long long left = 0;
    for (int n = 0; n < lanes; ++n) left |= (unsigned long long)covering[n] << n;
    for (left &= (1ull << count) - 1; left; left &= left - 1) {  // whether a face covers anything is hard to foresee
        const int n = lowest(left), rows = tile_rows[n], cols = tile_cols[n];
        to[0] = start + n, to[1] = rows, to[2] = cols, to[3] = onlys[n], to[4] = reached_bits[n];
        to += fields, ++kept;
        for (int y = rows >> 16; y <= (rows & 65535); ++y)
            for (int x = cols >> 16; x <= (cols & 65535); ++x) ++count_of[y * across + x];
    }
}
return kept;
"""))
def find_faces(
    part: int, begin: int, stop: int, faces: Ints, camera: Vec3s, culled: Ints, near: float, lens: Lens, columns: int,
    tiles: int, facing: Ints, found: Ints, counts: Ints,
) -> int:
    """Which way some faces are turned; those that may cover a pixel centre, as ``FOUND`` has them; how many each tile gets.

    Returns the number of those found.
    """
    ...


@kernel
def _find(
    first: int, faces: Ints, camera: Vec3s, culled: Ints, near: float, lens: Lens, columns: int, tiles: int, chunk: int,
    facing: Ints, found: Ints, kept: Ints, counts: Ints,
):
    """See ``find_faces``; how many each tile gets from each chunk. The owner is a chunk of faces."""
    part = first + wp.tid()
    start = part * chunk
    kept[part] = find_faces(
        part, start, wp.min(start + chunk, facing.shape[0]), faces, camera, culled, near, lens, columns, tiles, facing, found, counts,
    )


@wp.func_native(FOUND + """
if (entry * (long long)starts.data[starts.shape[0] - 1] > entries.shape[0]) return;
const int *const last = found.data + fields * begin, *from = last + fields * kept, *const start_of = starts.data + part;
int* const left = counts.data + part * tiles;
while (from > last) {
    from -= fields;
    for (int y = from[1] >> 16; y <= (from[1] & 65535); ++y)
        for (int x = from[2] >> 16; x <= (from[2] & 65535); ++x) {
            const int tile = y * columns + x;
            int* const to = entries.data + entry * (long long)(start_of[tile * chunks] + --left[tile]);
            to[0] = from[0], to[1] = from[3], to[2] = from[4];
        }
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
    faces: Int[Tensor, " N"]  # see ``FOUND``; those of each chunk where the chunk starts
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
    """
    count = faces.shape[0]
    columns, lines = -(-view.width // _tile_width(view, launcher)), -(-view.height // TILE)
    chunks, chunk = launcher.chunks(count, CHUNK_FACES_GPU)
    facing, kept, found = (launcher.empty(size, dtype=torch.int32) for size in (count, chunks, FIELDS * count))
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
