"""Which triangles may cover pixels of which tile, in the order of their index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Int
from torch import Tensor

from ...kernels.arrays import Ints, Vec2s, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, kernel, once
from ..project import Projected, View
from .sums import starts_of

TILE = 16  # rows of pixels that one bin covers; on a GPU columns too, on a processor the whole width
CHUNK_FACES_GPU = 128


@dataclass(frozen=True)
class Bins:
    """For every tile the faces that may cover a pixel centre of it."""

    facing: Int[Tensor, " F"]  # +1 where the outside of a face is turned to the viewer, otherwise -1
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


FIRST_CENTRE = """
const auto first_centre = [](float value, float size) {
    float centre = value - 0.5f;
    centre = centre > 0.0f ? (centre < size ? centre : size) : 0.0f;  // 0 for what is no number
    const int index = (int)centre;  // rounds down; a call of ceil would cost more than all the rest
    return (float)index < centre ? index + 1 : index;
};
"""


@wp.func_native(FIRST_CENTRE + "return first_centre(value, (float)size);")
def first_centre(value: wp.float32, size: int) -> int:
    """Index of the first pixel whose centre lies at or after ``value``, kept within 0..size."""
    ...


# C++: the corners of a few faces are collected, then one loop without branches tells what all of them cover.
@wp.func_native(once(FIRST_CENTRE + f"const int tile = {TILE};" + """
const int lanes = 16;
float corners[15][lanes] = {};  // x, y and z in camera space, x and y on the screen, of each corner
int sides[lanes], tops[lanes], bottoms[lanes], lefts[lanes], rights[lanes], kept = 0;
const auto least = [](float p, float q, float r) { p = p < q ? p : q; return p < r ? p : r; };
const auto most = [](float p, float q, float r) { p = p > q ? p : q; return p > r ? p : r; };
struct Row { float left, right; };
const auto row_of = [&](int n, float centre) {
    const float ax = corners[3][n], ay = corners[4][n], bx = corners[8][n], by = corners[9][n], cx = corners[13][n], cy = corners[14][n];
    const bool second = by < ay;
    const float px = second ? bx : ax, py = second ? by : ay, qx = second ? ax : bx, qy = second ? ay : by;
    const bool first = cy < py, between = !first && cy < qy;
    const float top_x = first ? cx : px, top_y = first ? cy : py, low_x = first || between ? qx : cx, low_y = first || between ? qy : cy;
    const float bend_x = first ? px : (between ? cx : qx), bend_y = first ? py : (between ? cy : qy);
    const float rise = low_y - top_y, upper = bend_y - top_y, lower = low_y - bend_y, below = centre - top_y;
    const float whole = (low_x - top_x) / (rise > 0.0f ? rise : 1.0f), one = top_x + below * whole;
    const float above = top_x + below * ((bend_x - top_x) / (upper > 0.0f ? upper : 1.0f));
    const float under = bend_x + (centre - bend_y) * ((low_x - bend_x) / (lower > 0.0f ? lower : 1.0f));
    const float other = centre < bend_y ? above : under;
    return Row{one < other ? one : other, one > other ? one : other};
};
const float full_width = (float)width, full_height = (float)height;
const bool culling = culled.shape[0] > 0;
for (int start = begin; start < stop; start += lanes) {
    const int count = stop - start < lanes ? stop - start : lanes;
#pragma clang loop vectorize(disable)  // the processor's own gathers are slower
    for (int n = 0; n < count; ++n) {
        for (int corner = 0; corner < 3; ++corner) {
            const int vertex = faces.data[3 * (start + n) + corner];
            for (int k = 0; k < 3; ++k) corners[5 * corner + k][n] = camera.data[vertex][k];
            for (int k = 0; k < 2; ++k) corners[5 * corner + 3 + k][n] = xy.data[vertex][k];
        }
    }
#pragma clang loop vectorize(enable)
    for (int n = 0; n < lanes; ++n) {
        const float ax = corners[0][n], ay = corners[1][n], az = corners[2][n], bz = corners[7][n], cz = corners[12][n];
        const float ux = corners[5][n] - ax, uy = corners[6][n] - ay, uz = bz - az;
        const float vx = corners[10][n] - ax, vy = corners[11][n] - ay, vz = cz - az;
        const float normal_x = uy * vz - uz * vy, normal_y = uz * vx - ux * vz, normal_z = ux * vy - uy * vx;
        const float toward = perspective ? -((ax * normal_x + ay * normal_y) + az * normal_z) : normal_z;
        sides[n] = toward > 0.0f ? 1 : -1;
        const bool whole = least(-az, -bz, -cz) >= near, any = most(-az, -bz, -cz) >= near;
        const float left = least(corners[3][n], corners[8][n], corners[13][n]), right = most(corners[3][n], corners[8][n], corners[13][n]);
        const float top = least(corners[4][n], corners[9][n], corners[14][n]), bottom = most(corners[4][n], corners[9][n], corners[14][n]);
        tops[n] = whole ? first_centre(top, full_height) : 0;
        bottoms[n] = any ? (whole ? first_centre(bottom, full_height) : height) : 0;
        // Where there is but one row, what is covered in it is known at once: most small faces miss its centres. See ``span``.
        const Row row = row_of(n, (float)tops[n] + 0.5f);
        const bool thin = bottoms[n] - tops[n] == 1;
        lefts[n] = whole ? first_centre(thin ? row.left : left, full_width) : 0;
        rights[n] = whole ? first_centre(thin ? row.right : right, full_width) : width;
    }
    for (int n = 0; n < count; ++n) {
        const int face = start + n, top = tops[n], bottom = bottoms[n], left = lefts[n], right = rights[n];
        facing.data[face] = sides[n];
        if (!(bottom > top) | !(right > left)) continue;
        if (culling && sides[n] < 0 && culled.data[face] != 0) continue;
        const int tile_top = top / tile, tile_bottom = (bottom - 1) / tile;
        const int tile_left = columns > 1 ? left / tile : 0, tile_right = columns > 1 ? (right - 1) / tile : 0;
        survivors.data[begin + kept] = face;
        rows.data[begin + kept] = tile_top * 65536 + tile_bottom;
        cols.data[begin + kept] = tile_left * 65536 + tile_right;
        ++kept;
        for (int y = tile_top; y <= tile_bottom; ++y)
            for (int x = tile_left; x <= tile_right; ++x) ++counts.data[(y * columns + x) * chunks + part];
    }
}
return kept;
"""))
def find_faces(
    part: int, begin: int, stop: int, faces: Ints, camera: Vec3s, xy: Vec2s, culled: Ints, near: float, perspective: int, width: int,
    height: int, columns: int, chunks: int, facing: Ints, survivors: Ints, rows: Ints, cols: Ints, counts: Ints,
) -> int:
    """Which way some faces are turned; those that may cover a pixel centre, their tiles, how many each tile gets; returns their number."""
    ...


@kernel
def _find(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, culled: Ints, near: float, perspective: int, width: int, height: int,
    columns: int, chunk: int, chunks: int, facing: Ints, survivors: Ints, rows: Ints, cols: Ints, kept: Ints, counts: Ints,
):
    """See ``find_faces``; how many each tile gets from each chunk. The owner is a chunk of faces."""
    part = first + wp.tid()
    start = part * chunk
    kept[part] = find_faces(
        part, start, wp.min(start + chunk, facing.shape[0]), faces, camera, xy, culled, near, perspective, width, height, columns,
        chunks, facing, survivors, rows, cols, counts,
    )


@kernel
def _fill(
    first: int,
    survivors: Ints,
    rows: Ints,
    cols: Ints,
    kept: Ints,
    columns: int,
    chunk: int,
    chunks: int,
    starts: Ints,
    counts: Ints,
    entries: Ints,
):
    """Writes the chunk's faces where the counts left room for them, the last first. The owner is a chunk; ``counts`` are used up."""
    part = first + wp.tid()
    for number in range(kept[part]):
        n = part * chunk + kept[part] - 1 - number
        row, col = rows[n], cols[n]
        for y in range(row / 65536, (row % 65536) + 1):
            for x in range(col / 65536, (col % 65536) + 1):
                place = (y * columns + x) * chunks + part
                counts[place] = counts[place] - 1
                entries[starts[place] + counts[place]] = survivors[n]


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

    facing, survivors, rows, cols, kept = integers(count), integers(count), integers(count), integers(count), integers(chunks)
    counts = torch.zeros(lines * columns * chunks, dtype=torch.int32, device=device)
    sizes: tuple[Any, ...] = (view.width, view.height, columns, chunk, chunks)
    find = Launch(
        _find, chunks, faces, projected.camera, projected.xy, culled, view.near, int(view.perspective), *sizes, facing, survivors, rows,
        cols, kept, counts, items=3 * count,  # each takes as long as three pixels
    )
    starts, add_up = starts_of(counts, launcher)
    yield [before, find, add_up]
    entries = integers(int(starts[-1]))
    fill = Launch(_fill, chunks, survivors, rows, cols, kept, columns, chunk, chunks, starts, counts, entries, items=count)
    return Bins(facing, entries, starts, chunks, tile_width, TILE, columns), fill
