"""Which triangles may cover pixels of which tile, in the order of their index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Int
from torch import Tensor

from ..project import Projected, View
from .launch import Launch, Launcher, Steps, array, kernel

CHUNK_FACES_GPU = 128

# mypy does not know that a kernel's annotations are Warp's
Floats, Ints, Vec2s, Vec3s, Vec4s = (wp.array(dtype=kind) for kind in (wp.float32, wp.int32, wp.vec2, wp.vec3, wp.vec4))


@dataclass(frozen=True)
class Bins:
    """For every tile the faces that may cover a pixel centre of it."""

    facing: Int[Tensor, " F"]  # +1 where the outside of a face is turned to the viewer, otherwise -1
    entries: Int[Tensor, " N"]  # faces, tile by tile, ascending within a tile
    starts: Int[Tensor, " T1"]  # where each tile's entries start; the last is their number
    width: int  # of a tile, pixels
    height: int
    columns: int  # tiles side by side


@wp.func
def first_centre(value: wp.float32, size: int) -> int:
    """Index of the first pixel whose centre lies at or after ``value``, kept within 0..size."""
    centre = wp.clamp(value - 0.5, 0.0, float(size))
    index = int(centre)  # rounds down; a call of ceil would cost more than all the rest
    return wp.where(float(index) < centre, index + 1, index)


@kernel
def _find(
    first: int,
    faces: Ints,
    camera: Vec3s,
    xy: Vec2s,
    culled: Ints,
    near: float,
    perspective: int,
    width: int,
    height: int,
    tile_width: int,
    tile_height: int,
    columns: int,
    chunk: int,
    chunks: int,
    facing: Ints,
    survivors: Ints,
    rows: Ints,
    cols: Ints,
    kept: Ints,
    counts: Ints,
):
    """Faces that may cover a pixel centre, their tiles, and how many each tile gets from each chunk. The owner is a chunk of faces."""
    part = first + wp.tid()
    start = part * chunk
    stop = wp.min(start + chunk, facing.shape[0])
    found = int(0)
    for f in range(start, stop):
        i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
        a, b, c = camera[i], camera[j], camera[k]
        normal = wp.cross(b - a, c - a)
        toward = normal[2]
        if perspective != 0:
            toward = -((a[0] * normal[0] + a[1] * normal[1]) + a[2] * normal[2])
        side = wp.where(toward > 0.0, 1, -1)
        facing[f] = side
        nearest = wp.min(-a[2], wp.min(-b[2], -c[2]))
        farthest = wp.max(-a[2], wp.max(-b[2], -c[2]))
        top, bottom, left, right = int(0), int(height), int(0), int(width)
        if nearest >= near:
            p, q, r = xy[i], xy[j], xy[k]
            top = first_centre(wp.min(p[1], wp.min(q[1], r[1])), height)
            bottom = first_centre(wp.max(p[1], wp.max(q[1], r[1])), height)
            left = first_centre(wp.min(p[0], wp.min(q[0], r[0])), width)
            right = first_centre(wp.max(p[0], wp.max(q[0], r[0])), width)
        hidden = False
        if culled.shape[0] > 0:
            hidden = side < 0 and culled[f] != 0
        if bottom > top and right > left and farthest >= near and not hidden:
            tile_top, tile_bottom = top / tile_height, (bottom - 1) / tile_height
            tile_left, tile_right = left / tile_width, (right - 1) / tile_width
            survivors[start + found] = f
            rows[start + found] = tile_top * 65536 + tile_bottom
            cols[start + found] = tile_left * 65536 + tile_right
            found += 1
            for y in range(tile_top, tile_bottom + 1):
                for x in range(tile_left, tile_right + 1):
                    counts[(y * columns + x) * chunks + part] = counts[(y * columns + x) * chunks + part] + 1
    kept[part] = found


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
    places: Ints,
    entries: Ints,
):
    """Writes the chunk's faces where the counts left room for them. The owner is a chunk of faces; ``places`` is used up."""
    part = first + wp.tid()
    for n in range(part * chunk, part * chunk + kept[part]):
        row, col = rows[n], cols[n]
        for y in range(row / 65536, (row % 65536) + 1):
            for x in range(col / 65536, (col % 65536) + 1):
                tile = y * columns + x
                place = places[tile * chunks + part]
                entries[place] = survivors[n]
                places[tile * chunks + part] = place + 1


def bin_faces(
    projected: Projected, faces: Int[Tensor, "F 3"], culled: Int[Tensor, " F"] | None, view: View, launcher: Launcher
) -> Steps[Bins]:
    """The bins of one view. ``culled`` marks faces that do not show their inside."""
    device, count = faces.device, len(faces)
    tile_width, tile_height = launcher.tile
    tile_width = tile_width or view.width
    columns, lines = -(-view.width // tile_width), -(-view.height // tile_height)
    chunks, chunk = launcher.chunks(count, CHUNK_FACES_GPU)

    def integers(size: int) -> Tensor:
        return torch.empty(size, dtype=torch.int32, device=device)

    facing, survivors, rows, cols, kept = integers(count), integers(count), integers(count), integers(count), integers(chunks)
    counts = torch.zeros(lines * columns * chunks, dtype=torch.int32, device=device)
    sizes: tuple[Any, ...] = (view.width, view.height, tile_width, tile_height, columns, chunk, chunks)
    arrays = [array(t) for t in (facing, survivors, rows, cols, kept, counts)]
    yield Launch(
        _find, chunks, array(faces), array(projected.camera, 3), array(projected.xy, 2), array(culled),
        view.near, int(view.perspective), *sizes, *arrays, items=3 * count,  # each takes as long as three pixels
    )
    ends = counts.cumsum(0, dtype=torch.int32)
    places = ends - counts
    total = int(ends[-1])
    starts = torch.cat([places[::chunks], ends[-1:]])
    entries = integers(total)
    yield Launch(_fill, chunks, *arrays[1:5], columns, chunk, chunks, array(places), array(entries), items=count)
    return Bins(facing, entries, starts, tile_width, tile_height, columns)
