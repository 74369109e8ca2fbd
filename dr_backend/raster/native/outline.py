"""Where the outline of surfaces passes between the centres of neighbouring pixels, as seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Longs, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, Work, kernel, once
from ..coverage import INNER_TOLERANCE_PX, OUTER_TOLERANCE
from ..project import View
from .interpolate import surface_depth
from .rows import first_centre
from .screen import Lens, cut, lens_of, screen
from .sums import starts_of

CHUNK_EDGES_GPU = 128
INNER = wp.constant(wp.float32(INNER_TOLERANCE_PX))
OUTER = wp.constant(wp.float32(OUTER_TOLERANCE))

NONE_KEY = 0x7FFFFFFFFFFFFFFF  # of a crossing that is not seen: sorted to the end
NONE = wp.constant(wp.int64(NONE_KEY))


@wp.struct
class Line:
    """An edge on the screen: columns 0 and 1 are along and across the scan lines that it crosses (pixel rows for steep edges)."""

    start: wp.vec3  # along, across, nearness
    end: wp.vec3
    steep: int
    first: int  # scan lines
    stop: int


@wp.func
def line_of(a: wp.vec3, b: wp.vec3, near: float, lens: Lens) -> Line:
    """What is in front of the near plane of the edge between two points in camera space; no scan lines where nothing is."""
    line = Line()
    p, q = a, b
    if a[2] > -near and b[2] > -near:
        return line
    if a[2] > -near:
        p = cut(b, a, near)
    if b[2] > -near:
        q = cut(a, b, near)
    start = screen(p, lens)
    end = screen(q, lens)
    line.steep = wp.where(wp.abs(end[1] - start[1]) > wp.abs(end[0] - start[0]), 1, 0)
    lines = int(lens.height)
    if line.steep == 0:
        start, end = wp.vec3(start[1], start[0], start[2]), wp.vec3(end[1], end[0], end[2])
        lines = int(lens.width)
    line.start = start
    line.end = end
    low, high = wp.min(start[1], end[1]), wp.max(start[1], end[1])
    line.first = first_centre(low, float(lines))
    line.stop = first_centre(high, float(lines))
    return line


@wp.func_native("""
const int *const beside = sides.data, *const turned = facing.data, *const hides = culled.data;
int *const edges = found.data + start, kept = 0;
for (int e = start; e < stop; ++e) {
    const int one = beside[2 * e], two = beside[2 * e + 1], f = one >> 1, g = two < 0 ? f : two >> 1;
    bool outer = (two < 0) | ((turned[f] != turned[g]) == ((one ^ two) & 1));
    if (hides) outer &= !((turned[f] < 0) & (hides[f] != 0) & (turned[g] < 0) & (hides[g] != 0));
    edges[kept] = e;  // a branch would be hard to foresee
    kept += outer;
}
return kept;
""")
def outer_edges(start: int, stop: int, sides: Ints, facing: Ints, culled: Ints, found: Ints) -> int:
    """Edges behind which the surface turns away, or ends, unless what is beside them is not shown; returns their number."""
    ...


@kernel
def _outline(
    first: int, vertices: Ints, sides: Ints, facing: Ints, culled: Ints, camera: Vec3s, near: float, lens: Lens, chunk: int, found: Ints,
    kept: Ints, counts: Ints,
):
    """Those of the ``outer_edges`` that cross scan lines, and how many they cross. The owner is a chunk of edges."""
    part = first + wp.tid()
    start = part * chunk
    number, lines = int(0), int(0)
    for n in range(outer_edges(start, wp.min(start + chunk, found.shape[0]), sides, facing, culled, found)):
        e = found[start + n]
        line = line_of(camera[vertices[2 * e]], camera[vertices[2 * e + 1]], near, lens)
        if line.stop > line.first:
            found[start + number] = e
            number += 1
            lines += line.stop - line.first
    kept[part] = number
    counts[part] = lines


@kernel
def _cross(
    first: int, vertices: Ints, sides: Ints, facing: Ints, faces: Ints, camera: Vec3s, face_id: Ints, near: float,
    lens: Lens, chunk: int, found: Ints, kept: Ints, starts: Ints, keys: Longs, edges: Ints, inners: Ints, outers: Ints,
    distances: Floats,
):
    """The crossings of outline edges with scan lines, those that are seen with a key that orders them by pair of pixels and distance.

    There are none if there is not room for all. The owner is a chunk of edges.
    """
    part = first + wp.tid()
    place = starts[part]
    if starts[starts.shape[0] - 1] > keys.shape[0]:
        return
    for n in range(part * chunk, part * chunk + kept[part]):
        e = found[n]
        line = line_of(camera[vertices[2 * e]], camera[vertices[2 * e + 1]], near, lens)
        side = facing[sides[2 * e] / 2] * (2 * (sides[2 * e] % 2) - 1)
        grows = line.end[1] > line.start[1]
        # Going down the screen, the left-hand side is where x grows; going right, it is where y falls.
        if line.steep == 0:
            side = -side
        surface_before = wp.where(grows, side < 0, side > 0)
        across, stride, step = int(lens.width), int(lens.width), int(1)
        if line.steep == 0:
            across, stride, step = int(lens.height), int(1), int(lens.width)
        for number in range(line.first, line.stop):
            keys[place] = NONE
            centre = float(number) + 0.5
            fraction = (centre - line.start[1]) / (line.end[1] - line.start[1])
            position = line.start[0] + fraction * (line.end[0] - line.start[0])
            before = wp.floor(position - 0.5)
            if before >= 0.0 and before <= float(across - 2):
                cell = number * stride + int(before) * step
                past = position - (before + 0.5)
                inner, outer, distance = int(cell), cell + step, float(past)
                if not surface_before:
                    inner, outer, distance = cell + step, cell, 1.0 - past
                nearness = line.start[2] + fraction * (line.end[2] - line.start[2])
                x_px, y_px = position, centre
                if line.steep == 0:
                    x_px, y_px = centre, position
                if seen(faces, camera, face_id[inner], face_id[outer], nearness, lens, x_px, y_px):
                    turn = wp.where(line.steep != 0, 0, 2) + wp.where(outer > inner, 1, 0)
                    pair = wp.int64(inner) * wp.int64(4) + wp.int64(turn)
                    # the bits of a float that is not negative order like an integer
                    keys[place] = pair * wp.int64(2147483648) + wp.int64(wp.cast(wp.clamp(distance, 0.0, 1.0), wp.int32))
                    edges[place] = e
                    inners[place] = inner
                    outers[place] = outer
                    distances[place] = distance
            place += 1


@wp.func
def depth_on(faces: Ints, camera: Vec3s, f: int, lens: Lens, x_px: float, y_px: float) -> float:
    """Depth of the surface that a pixel shows, continued to a position beside it; infinite on the background."""
    if f < 0:
        return wp.inf
    return surface_depth(camera[faces[3 * f]], camera[faces[3 * f + 1]], camera[faces[3 * f + 2]], lens, x_px, y_px)


@wp.func
def seen(faces: Ints, camera: Vec3s, inner: int, outer: int, nearness: float, lens: Lens, x_px: float, y_px: float) -> bool:
    """Whether the inner pixel's face is the edge's own surface (or one in front of it) and the outer pixel's lies behind the edge."""
    depth, size = -nearness, float(1.0)
    if lens.perspective != 0:
        depth = 1.0 / nearness
        size = depth
    size = size / (0.5 * (lens.focal[0] + lens.focal[1]))
    tolerance = OUTER * wp.abs(depth)
    if depth_on(faces, camera, outer, lens, x_px, y_px) <= depth + tolerance:
        return False
    return depth_on(faces, camera, inner, lens, x_px, y_px) <= depth + INNER * size + tolerance


@wp.func_native(once("""
const int places = keys.shape[0], given = starts.data[starts.shape[0] - 1], count = given > places ? 0 : given;
int kept = 0, mask = 1;
while (mask < 2 * count) mask *= 2;
--mask;
for (int n = 0; n <= mask; ++n) slots.data[n] = -1;
const auto slot_of = [&](int n) {  // the number of the pair's outermost crossing so far is there, or will be
    const long long pair = keys.data[n] >> 31;
    int place = (int)((unsigned long long)pair * 0x9e3779b97f4a7c15ull >> 33) & mask;
    while (slots.data[place] >= 0 && keys.data[slots.data[place]] >> 31 != pair) place = (place + 1) & mask;
    return place;
};
for (int n = 0; n < count; ++n) {
    if (keys.data[n] == none) continue;
    int& best = slots.data[slot_of(n)];
    if (best < 0 || keys.data[n] >= keys.data[best]) best = n;
}
for (int n = 0; n < count; ++n) {
    if (keys.data[n] == none || slots.data[slot_of(n)] != n) continue;
    edges.data[kept] = edges.data[n];
    inners.data[kept] = inners.data[n];
    outers.data[kept] = outers.data[n];
    distances.data[kept] = distances.data[n];
    ++kept;
}
for (; kept < places; ++kept) inners.data[kept] = outers.data[kept] = -1;
"""))
def choose(starts: Ints, keys: Longs, none: wp.int64, slots: Ints, edges: Ints, inners: Ints, outers: Ints, distances: Floats):
    """Moves the outermost crossing of each pair of pixels to the front, and marks the places that are left over.

    There are as many crossings as the last of ``starts`` says; none if there is not room for all. There is a power of two of ``slots``,
    twice as many as keys.
    """
    ...


@kernel
def _choose(first: int, starts: Ints, keys: Longs, slots: Ints, edges: Ints, inners: Ints, outers: Ints, distances: Floats):
    """See ``choose``. There is one owner."""
    choose(starts, keys, NONE, slots, edges, inners, outers, distances)


@dataclass(frozen=True)
class Edges:
    """Edges behind which the surface turns away."""

    found: Int[Tensor, " E"]  # those of each chunk where the chunk starts
    kept: Int[Tensor, " K"]  # how many these are
    starts: Int[Tensor, " K1"]  # of each chunk's crossings; the last is the number of all
    table: list[Tensor]  # how edges and faces lie together


def outline_edges(
    camera: Float[Tensor, "V 3"], edge_vertices: Int[Tensor, "E 2"], edge_sides: Int[Tensor, "E 2"], culled: Int[Tensor, " F"] | None,
    facing: Int[Tensor, " F"], view: View, launcher: Launcher,
) -> tuple[Edges, list[Work]]:
    """The edges that make the outline of a view. What finds them is still to be run."""
    count = edge_vertices.shape[0]
    chunks, chunk = launcher.chunks(count, CHUNK_EDGES_GPU)
    found, kept, counts = (launcher.empty(size, dtype=torch.int32) for size in (count, chunks, chunks))
    table = [edge_vertices, edge_sides, facing]
    work = Launch(_outline, chunks, *table, culled, camera, view.near, lens_of(view), chunk, found, kept, counts, items=count)
    starts, add_up = starts_of(counts, launcher)
    return Edges(found, kept, starts, table), [work, add_up]


def cross_edges(
    outline: Edges, camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], view: View, launcher: Launcher,
    before: Sequence[Work],
) -> Steps[tuple[list[Tensor], list[Work]]]:
    """Edge, inner and outer pixel and distance of the crossings that make the outline of a view.

    See ``raster.silhouettes`` and ``raster.coverage`` for the rules. What is to be run ``before`` finds what pixels see.

    Returns:
        These (C,); those that are not seen come last, and have -1 for a pixel. And what is still to be run for that and before.
    """
    count = outline.found.shape[0]
    chunks, chunk = launcher.chunks(count, CHUNK_EDGES_GPU)
    total = launcher.count(outline.starts, 4 * (view.width + view.height))
    edges, inners, outers = (launcher.empty(total, dtype=torch.int32) for _ in range(3))
    keys, distances = launcher.empty(total, dtype=torch.int64), launcher.empty(total)
    results = [edges, inners, outers, distances]
    cross = Launch(
        _cross, chunks, *outline.table, faces, camera, face_id, view.near, lens_of(view), chunk, outline.found, outline.kept,
        outline.starts, keys, *results, items=count,
    )
    if launcher.device.type == "cpu":
        slots = launcher.empty(1 << (2 * total).bit_length(), dtype=torch.int32)
        return results, [*before, cross, Launch(_choose, 1, outline.starts, keys, slots, *results, alone=True)]
    yield [*before, cross]
    # The outermost of each pair comes last among its equals.
    keys, order = torch.sort(keys, stable=True)
    pairs = keys >> 31
    ends = torch.cat([pairs[1:] != pairs[:-1], pairs.new_ones(min(total, 1), dtype=torch.bool)])
    chosen = order[ends & (keys != NONE_KEY)]
    return [result[chosen] for result in results], []
