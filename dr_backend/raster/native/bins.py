"""Which triangles may cover pixels of which tile, in the order of their index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, kernel, once
from ..project import Projected, View
from .rows import ROWS
from .sums import starts_of

TILE = 16  # rows of pixels that one bin covers; on a GPU columns too, on a processor the whole width
CHUNK_FACES_GPU = 128
PIXELS = "const int several = -1, clipped = -2;"  # what a face has for its only pixel: it may cover more, or crosses the near plane


@dataclass(frozen=True)
class Bins:
    """For every tile the faces that may cover a pixel centre of it."""

    facing: Int[Tensor, " F"]  # +1 where the outside of a face is turned to the viewer, otherwise -1
    pixel: Int[Tensor, " F"]  # the only one that a face with entries covers, or see ``PIXELS``
    near_at: Float[Tensor, " F"]  # the face's nearness there
    entries: Int[Tensor, " N"]  # faces, tile by tile, ascending within a tile
    starts: Int[Tensor, " S1"]  # where the entries of each tile start that come from each chunk of faces; the last is their number
    chunks: int
    width: int  # of a tile, pixels
    height: int
    columns: int  # tiles side by side

    @property
    def tiles(self) -> int:
        """Of the whole view."""
        return (len(self.starts) - 1) // self.chunks


# C++: the corners of a few faces are collected, then one loop without branches tells what all of them cover.
@wp.func_native(once(ROWS + f"const int tile = {TILE};" + PIXELS + """
const int lanes = 16;
float corners[18][lanes] = {}, reached[lanes];  // x, y and z in camera space, x, y and nearness on the screen, of each corner
int sides[lanes], pixels[lanes], tile_rows[lanes], tile_cols[lanes], covering[lanes], kept = 0;
const auto least = [](float p, float q, float r) { p = p < q ? p : q; return p < r ? p : r; };
const auto most = [](float p, float q, float r) { p = p > q ? p : q; return p > r ? p : r; };
const float full_width = (float)width, full_height = (float)height;
const wp::vec3* const points = camera.data;
const wp::vec2* const positions = xy.data;
const float* const near_points = nearness.data;
const bool seen_along_rays = perspective != 0, tiled = columns > 1, culling = culled.shape[0] > 0;
const float nearest = near;
const int full = width, lines = height, across = columns, each = chunks;
int *const survivor = survivors.data + begin, *const row = rows.data + begin, *const col = cols.data + begin, *const count_of = counts.data + part;
const auto tiles = [&](int first, int stop) { return (first / tile << 16) + (stop - 1) / tile; };
for (int start = begin; start < stop; start += lanes) {
    const int count = stop - start < lanes ? stop - start : lanes, *const corner = faces.data + 3 * start;
#pragma clang loop vectorize(disable)  // the processor's own gathers are slower
    for (int n = 0; n < count; ++n) {
        for (int c = 0; c < 3; ++c) {
            const int vertex = corner[3 * n + c];
            for (int k = 0; k < 3; ++k) corners[6 * c + k][n] = points[vertex][k];
            for (int k = 0; k < 2; ++k) corners[6 * c + 3 + k][n] = positions[vertex][k];
            corners[6 * c + 5][n] = near_points[vertex];
        }
    }
#pragma clang loop vectorize(enable)
    for (int n = 0; n < lanes; ++n) {
        const float ax = corners[0][n], ay = corners[1][n], az = corners[2][n], bz = corners[8][n], cz = corners[14][n];
        const float ux = corners[6][n] - ax, uy = corners[7][n] - ay, uz = bz - az;
        const float vx = corners[12][n] - ax, vy = corners[13][n] - ay, vz = cz - az;
        const float normal_x = uy * vz - uz * vy, normal_y = uz * vx - ux * vz, normal_z = ux * vy - uy * vx;
        const float toward = seen_along_rays ? -((ax * normal_x + ay * normal_y) + az * normal_z) : normal_z;
        sides[n] = toward > 0.0f ? 1 : -1;
        const bool whole = least(-az, -bz, -cz) >= nearest, any = most(-az, -bz, -cz) >= nearest;
        const Corner a{corners[3][n], corners[4][n], corners[5][n]}, b{corners[9][n], corners[10][n], corners[11][n]};
        const Corner c{corners[15][n], corners[16][n], corners[17][n]};
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
        pixels[n] = !whole ? clipped : one ? top * full + left : several;
        reached[n] = nearness_after(plane, nearness_at(plane, (float)left + 0.5f, y), 0);
        covering[n] = (bottom > top) & (right > left);
        tile_rows[n] = covering[n] ? tiles(top, bottom) : 0;
        tile_cols[n] = (covering[n] & tiled) ? tiles(left, right) : 0;
    }
    if (culling) for (int n = 0; n < count; ++n) covering[n] &= sides[n] > 0 || culled.data[start + n] == 0;
    for (int n = 0; n < count; ++n) facing.data[start + n] = sides[n];
    for (int n = 0; n < count; ++n) pixel.data[start + n] = pixels[n];
    for (int n = 0; n < count; ++n) near_at.data[start + n] = reached[n];
    for (int n = 0; n < count; ++n) {  // whether a face covers anything is hard to foresee: rather too much is written
        survivor[kept] = start + n, row[kept] = tile_rows[n], col[kept] = tile_cols[n], kept += covering[n];
        const int top = tile_rows[n] >> 16, bottom = tile_rows[n] & 65535, left = tile_cols[n] >> 16, right = tile_cols[n] & 65535;
        count_of[(top * across + left) * each] += covering[n];
        if (!covering[n] | ((top == bottom) & (left == right))) continue;
        for (int y = top; y <= bottom; ++y)
            for (int x = left; x <= right; ++x) count_of[(y * across + x) * each] += (y > top) | (x > left);
    }
}
return kept;
"""))
def find_faces(
    part: int, begin: int, stop: int, faces: Ints, camera: Vec3s, xy: Vec2s, nearness: Floats, culled: Ints, near: float,
    perspective: int, width: int, height: int, columns: int, chunks: int, facing: Ints, pixel: Ints, near_at: Floats, survivors: Ints,
    rows: Ints, cols: Ints, counts: Ints,
) -> int:
    """Which way some faces are turned; those that may cover a pixel centre, their tiles, how many each tile gets; returns their number.

    What ``Bins`` has for a face's only pixel saves finding its outline again.
    """
    ...


@kernel
def _find(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, nearness: Floats, culled: Ints, near: float, perspective: int, width: int,
    height: int, columns: int, chunk: int, chunks: int, facing: Ints, pixel: Ints, near_at: Floats, survivors: Ints, rows: Ints,
    cols: Ints, kept: Ints, counts: Ints,
):
    """See ``find_faces``; how many each tile gets from each chunk. The owner is a chunk of faces."""
    part = first + wp.tid()
    start = part * chunk
    kept[part] = find_faces(
        part, start, wp.min(start + chunk, facing.shape[0]), faces, camera, xy, nearness, culled, near, perspective, width, height,
        columns, chunks, facing, pixel, near_at, survivors, rows, cols, counts,
    )


@wp.func_native("""
for (int n = begin + kept - 1; n >= begin; --n)
    for (int y = rows.data[n] >> 16; y <= (rows.data[n] & 65535); ++y)
        for (int x = cols.data[n] >> 16; x <= (cols.data[n] & 65535); ++x) {
            const int place = (y * columns + x) * chunks + part;
            entries.data[starts.data[place] + --counts.data[place]] = survivors.data[n];
        }
""")
def fill_tiles(
    part: int, begin: int, kept: int, survivors: Ints, rows: Ints, cols: Ints, columns: int, chunks: int, starts: Ints, counts: Ints,
    entries: Ints,
):
    """Writes faces where the counts left room for them, the last first; ``counts`` are used up."""
    ...


@kernel
def _fill(
    first: int, survivors: Ints, rows: Ints, cols: Ints, kept: Ints, columns: int, chunk: int, chunks: int, starts: Ints, counts: Ints,
    entries: Ints,
):
    """See ``fill_tiles``. The owner is a chunk of faces."""
    part = first + wp.tid()
    fill_tiles(part, part * chunk, kept[part], survivors, rows, cols, columns, chunks, starts, counts, entries)


def bin_faces(
    projected: Projected, faces: Int[Tensor, "F 3"], culled: Int[Tensor, " F"] | None, view: View, launcher: Launcher, before: Launch
) -> Steps[tuple[Bins, Launch]]:
    """The bins of one view, and what is still to fill them. ``culled`` marks faces that do not show their inside.

    ``before`` makes what is projected. Faces with a corner that is not finite are in no bin.
    """
    device, count = faces.device, len(faces)
    tile_width = view.width if launcher.device.type == "cpu" else TILE
    columns, lines = -(-view.width // tile_width), -(-view.height // TILE)
    chunks, chunk = launcher.chunks(count, CHUNK_FACES_GPU)

    def integers(size: int) -> Tensor:
        return torch.empty(size, dtype=torch.int32, device=device)

    facing, pixel, survivors, rows, cols = (integers(count) for _ in range(5))
    near_at, kept = torch.empty(count, device=device), integers(chunks)
    counts = torch.zeros(lines * columns * chunks, dtype=torch.int32, device=device)
    sizes: tuple[Any, ...] = (view.width, view.height, columns, chunk, chunks)
    find = Launch(
        _find, chunks, faces, projected.camera, projected.xy, projected.nearness, culled, view.near, int(view.perspective), *sizes,
        facing, pixel, near_at, survivors, rows, cols, kept, counts, items=3 * count,  # each takes as long as three pixels
    )
    starts, add_up = starts_of(counts, launcher)
    yield [before, find, add_up]
    entries = integers(int(starts[-1]))
    fill = Launch(_fill, chunks, survivors, rows, cols, kept, columns, chunk, chunks, starts, counts, entries, items=count)
    return Bins(facing, pixel, near_at, entries, starts, chunks, tile_width, TILE, columns), fill
