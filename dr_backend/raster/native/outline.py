"""Where the outline of surfaces passes between the centres of neighbouring pixels, as seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Bytes, Floats, Ints, Longs, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, Work, kernel, once
from ..coverage import INNER_TOLERANCE_PX, OUTER_TOLERANCE
from ..project import View
from .interpolate import SPOTS
from .lanes import FETCH, LANES, LOWEST
from .rows import FIRST_CENTRE
from .screen import CUT, SCREEN, Lens, lens_of
from .sums import starts_of

CHUNK_EDGES_GPU = 128

NONE_KEY = 0x7FFFFFFFFFFFFFFF  # of a crossing that is not seen: sorted to the end
NONE = wp.constant(wp.int64(NONE_KEY))


# C++ as in ``lookup``. An edge on the screen, as far as it lies in front of the near plane: its ends along and across the scan lines that
# it crosses, which are rows of pixels for steep edges. No scan lines where nothing is seen of it.
LINE = SCREEN + CUT + FIRST_CENTRE + """
struct Line { float along, across, nearness, end_along, end_across, end_nearness; bool steep; int first, stop; };
const auto line_of = [&](const wp::vec3& a, const wp::vec3& b) {
    const bool behind_a = a[2] > -near, behind_b = b[2] > -near;
    if (behind_a && behind_b) return Line{};
    const wp::vec3 p = behind_a ? cut(b, a) : a, q = behind_b ? cut(a, b) : b;
    const Corner start = on_screen(p[0], p[1], p[2]), end = on_screen(q[0], q[1], q[2]);
    const bool steep = wp::abs(end.y - start.y) > wp::abs(end.x - start.x);
    const float along = steep ? start.x : start.y, across = steep ? start.y : start.x, lines = (float)(steep ? lens.height : lens.width);
    const float end_along = steep ? end.x : end.y, end_across = steep ? end.y : end.x;
    const int first = first_centre(across < end_across ? across : end_across, lines);
    const int stop = first_centre(across > end_across ? across : end_across, lines);
    return Line{along, across, start.nearness, end_along, end_across, end.nearness, steep, first, stop};
};
"""


# Few of many edges make the outline: which of them do is computed for some at once, without branches.
@wp.func_native(once(LINE + LANES + LOWEST + """
const int some = 8 * lanes, *const hides = culled.data, *const ends = vertices.data;
const signed char* const turned = facing.data;
const wp::vec3* const points = camera.data;
int *const edges = found.data + start, number = 0, lines = 0, ones[some] = {}, twos[some] = {};
signed char between[some] = {}, apart[some] = {};
const auto hidden = [&](int face) { return turned[face] < 0 && hides[face] != 0; };
const auto look = [&](const int* beside, int n) {
    const int one = beside[2 * n], two = beside[2 * n + 1];
    ones[n] = one >> 1, twos[n] = (two < 0 ? one : two) >> 1;
    apart[n] = two < 0 ? 0 : (one ^ two) & 1;  // what it takes: faces on different sides, or on the same if their winding differs
};
for (int block = start; block < stop; block += some) {
    const int count = stop - block < some ? stop - block : some, *const beside = sides.data + 2 * block;
    if (count == some) for (int n = 0; n < some; ++n) look(beside, n);
    else for (int n = 0; n < count; ++n) look(beside, n);
#pragma clang loop vectorize(disable)  // it would put bytes together one by one
    for (int n = 0; n < some; ++n) between[n] = turned[ones[n]] ^ turned[twos[n]];
    unsigned long long left = 0;
    for (int n = 0; n < some; ++n) left |= (unsigned long long)((between[n] < 0) == apart[n]) << n;
    for (left &= ~0ull >> (64 - count); left; left &= left - 1) {
        const int n = lowest(left), e = block + n;
        if (hides && hidden(ones[n]) && hidden(twos[n])) continue;
        const Line line = line_of(points[ends[2 * e]], points[ends[2 * e + 1]]);
        if (line.stop <= line.first) continue;
        edges[number++] = e;
        lines += line.stop - line.first;
    }
}
return wp::vec2i(number, lines);
"""))
def outer_edges(
    start: int, stop: int, vertices: Ints, sides: Ints, facing: Bytes, culled: Ints, camera: Vec3s, near: float, lens: Lens, found: Ints
) -> wp.vec2i:
    """Edges behind which the surface turns away, or ends, unless what is beside them is not shown, if they cross scan lines.

    Returns their number, and how many lines they cross.
    """
    ...


@kernel
def _outline(
    first: int, vertices: Ints, sides: Ints, facing: Bytes, culled: Ints, camera: Vec3s, near: float, lens: Lens, chunk: int, found: Ints,
    kept: Ints, counts: Ints,
):
    """See ``outer_edges``. The owner is a chunk of edges."""
    part = first + wp.tid()
    start = part * chunk
    both = outer_edges(start, wp.min(start + chunk, found.shape[0]), vertices, sides, facing, culled, camera, near, lens, found)
    kept[part] = both[0]
    counts[part] = both[1]


# A crossing is seen if the inner pixel's face is the edge's own surface, or one in front of it, and the outer pixel's lies behind the
# edge: the surfaces that both show are continued to it. What that asks of memory is asked for some crossings at once, and early: who drew
# the pixels was often another thread.
@wp.func_native(once(LINE + SPOTS + FETCH + f"""
const float inner_tolerance = {INNER_TOLERANCE_PX}f, outer_tolerance = {OUTER_TOLERANCE}f;
""" + """
struct Crossing { float x, y, nearness, distance; int edge, inner, outer, turn, place; };
const int most = 64, wide = lens.width, high = lens.height;
const int *const corner = faces.data, *const shown = face_id.data, *const ends = vertices.data;
const wp::vec3* const points = camera.data;
Crossing held[most];
int count = 0, place = begin, inside[most], outside[most];
const auto fetch_corners = [&](int f) {
    if (f >= 0) for (int k = 0; k < 3; ++k) fetch(points + corner[3 * f + k]);
};
const auto depth_on = [&](int f, const Crossing& at) {
    if (f < 0) return INFINITY;
    const wp::vec3 &a = points[corner[3 * f]], &b = points[corner[3 * f + 1]], &c = points[corner[3 * f + 2]];
    const Spot spot = run_of(a, b, c, sight_x(at.x), sight_y(at.y)).at(0.0f);
    return -(spot.a * a[2] + spot.b * b[2] + spot.c * c[2]);
};
const auto settle = [&]() {
    for (int n = 0; n < count; ++n) {
        inside[n] = shown[held[n].inner], outside[n] = shown[held[n].outer];
        fetch(corner + 3 * (inside[n] < 0 ? 0 : inside[n])), fetch(corner + 3 * (outside[n] < 0 ? 0 : outside[n]));
    }
    for (int n = 0; n < count; ++n) fetch_corners(inside[n]), fetch_corners(outside[n]);
    for (int n = 0; n < count; ++n) {
        const Crossing& at = held[n];
        const float depth = perspective ? 1.0f / at.nearness : -at.nearness, tolerance = outer_tolerance * wp::abs(depth);
        const float size = (perspective ? depth : 1.0f) / (0.5f * (focal_x + focal_y));
        if (depth_on(outside[n], at) <= depth + tolerance) continue;
        if (!(depth_on(inside[n], at) <= depth + inner_tolerance * size + tolerance)) continue;
        const union { float value; unsigned int bits; } ordered = {at.distance < 0.0f ? 0.0f : at.distance < 1.0f ? at.distance : 1.0f};
        const long long pair = at.inner * 4ll + at.turn;
        keys.data[at.place] = pair * (1ll << 31) + ordered.bits;  // the bits of a float that is not negative order like an integer
        edges.data[at.place] = at.edge, inners.data[at.place] = at.inner, outers.data[at.place] = at.outer;
        distances.data[at.place] = at.distance;
    }
    count = 0;
};
for (int n = start; n < start + number; ++n) {
    const int e = found.data[n], side = sides.data[2 * e];
    const Line line = line_of(points[ends[2 * e]], points[ends[2 * e + 1]]);
    // Going down the screen, the left-hand side is where x grows; going right, it is where y falls.
    const bool left = (facing.data[side >> 1] < 0) == (side & 1), grows = line.end_across > line.across;
    const bool surface_before = (left == line.steep) == grows;
    const int across = line.steep ? wide : high, stride = line.steep ? wide : 1, step = line.steep ? 1 : wide;
    for (int row = line.first; row < line.stop; ++row, ++place) {
        keys.data[place] = none;
        const float centre = (float)row + 0.5f, fraction = (centre - line.across) / (line.end_across - line.across);
        const float position = line.along + fraction * (line.end_along - line.along), before = wp::floor(position - 0.5f);
        if (!(before >= 0.0f && before <= (float)(across - 2))) continue;
        const int cell = row * stride + (int)before * step;
        const int inner = surface_before ? cell : cell + step, outer = surface_before ? cell + step : cell;
        const float past = position - (before + 0.5f), distance = surface_before ? past : 1.0f - past;
        const float nearness = line.nearness + fraction * (line.end_nearness - line.nearness);
        held[count++] = Crossing{
            line.steep ? position : centre, line.steep ? centre : position, nearness, distance, e, inner, outer,
            (line.steep ? 0 : 2) + (outer > inner), place,
        };
        fetch(shown + inner), fetch(shown + outer);
        if (count == most) settle();
    }
}
settle();
"""))
def cross_lines(
    start: int, number: int, begin: int, none: wp.int64, vertices: Ints, sides: Ints, facing: Bytes, faces: Ints, camera: Vec3s,
    face_id: Ints, near: float, lens: Lens, found: Ints, keys: Longs, edges: Ints, inners: Ints, outers: Ints, distances: Floats,
):
    """The crossings of some outline edges with scan lines; a key for those that are seen orders them by pair of pixels and distance."""
    ...


@kernel
def _cross(
    first: int, vertices: Ints, sides: Ints, facing: Bytes, faces: Ints, camera: Vec3s, face_id: Ints, near: float,
    lens: Lens, chunk: int, found: Ints, kept: Ints, starts: Ints, keys: Longs, edges: Ints, inners: Ints, outers: Ints,
    distances: Floats,
):
    """See ``cross_lines``; none if there is not room for all. The owner is a chunk of edges."""
    part = first + wp.tid()
    if starts[starts.shape[0] - 1] <= keys.shape[0]:
        cross_lines(
            part * chunk, kept[part], starts[part], NONE, vertices, sides, facing, faces, camera, face_id, near, lens, found, keys, edges,
            inners, outers, distances,
        )


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
