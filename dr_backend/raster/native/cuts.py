"""Where surfaces of different shells cut through each other between the centres of neighbouring pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, Work, cut_kernel
from ..project import View
from .screen import Lens, lens_of
from .sums import starts_of


@wp.struct
class Plane:
    """A face's plane at a pixel position."""

    nearness: float
    weights: wp.vec3  # barycentric coordinates, beyond 0..1 outside of the face
    normal: wp.vec3
    area: float  # twice, on the screen and signed; 0 for a face seen edge-on
    sight: wp.vec2


@wp.func
def ray(lens: Lens, x_px: float, y_px: float) -> wp.vec2:
    """Where the line of sight of a pixel position meets the plane at distance 1; an orthographic line of sight's distance from the axis."""
    return wp.vec2((x_px - lens.centre[0]) / lens.focal[0], -(y_px - lens.centre[1]) / lens.focal[1])


@wp.func
def beside(p: wp.vec3, sight: wp.vec2, perspective: int) -> wp.vec2:
    """A point's offset from a line of sight, parallel to the image plane."""
    if perspective == 0:
        return wp.vec2(p[0] - sight[0], p[1] - sight[1])
    return wp.vec2(p[0] + p[2] * sight[0], p[1] + p[2] * sight[1])


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> float:
    """Twice the signed area between two vectors."""
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def plane_at(faces: Ints, camera: Vec3s, f: int, lens: Lens, x_px: float, y_px: float) -> Plane:
    """A face's plane continued to a pixel position."""
    a, b, c = camera[faces[3 * f]], camera[faces[3 * f + 1]], camera[faces[3 * f + 2]]
    found = Plane()
    sight = ray(lens, x_px, y_px)
    p, q, r = beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective)
    weights = wp.vec3(cross2(q, r), cross2(r, p), cross2(p, q))
    area = weights[0] + weights[1] + weights[2]
    found.area = area
    found.sight = sight
    found.normal = wp.cross(b - a, c - a)
    if area != 0.0:
        # the plane meets the line of sight at -(a · n) / area, positive in front of the camera
        depth = -wp.dot(a, found.normal) / area
        found.nearness = wp.where(depth != 0.0, 1.0 / wp.where(depth != 0.0, depth, 1.0), 0.0)
        if lens.perspective == 0:
            found.nearness = (weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2]) / area
        found.weights = weights / area
    return found


@wp.func
def meet(faces: Ints, camera: Vec3s, f: int, g: int, lens: Lens, x: float, y: float, along_x: float, along_y: float) -> float:
    """How far from one pixel centre to the next the faces that the two show cut through each other; -1 where they do not.

    A line acts on the pairs of pixels that it crosses most steeply, and only on these: with both its movement would count twice.
    """
    here, there = plane_at(faces, camera, f, lens, x, y), plane_at(faces, camera, g, lens, x + along_x, y + along_y)
    g_here, f_there = plane_at(faces, camera, g, lens, x, y), plane_at(faces, camera, f, lens, x + along_x, y + along_y)
    before, after = here.nearness - g_here.nearness, there.nearness - f_there.nearness
    if not (before > 0.0 and after > 0.0):
        return -1.0
    beside_f = plane_at(faces, camera, f, lens, x + along_y, y + along_x)
    beside_g = plane_at(faces, camera, g, lens, x + along_y, y + along_x)
    across = wp.abs(beside_f.nearness - beside_g.nearness - before)
    if across > before + after or (across == before + after and along_y > 0.0):
        return -1.0
    return before / (before + after)


@cut_kernel
def _meet(first: int, faces: Ints, camera: Vec3s, shells: Ints, face_id: Ints, lens: Lens, right: Floats, below: Floats):
    """Where the surface cuts another on the way to the pixel on the right and to the one below; -1 for nowhere. The owner is a row."""
    y = first + wp.tid()
    for x in range(lens.width):
        pixel = y * lens.width + x
        f = face_id[pixel]
        to_right, to_below = float(-1.0), float(-1.0)
        if f >= 0:
            at_x, at_y = float(x) + 0.5, float(y) + 0.5
            if x + 1 < lens.width:
                g = face_id[pixel + 1]
                if g >= 0 and g != f:
                    if shells[g] != shells[f]:
                        to_right = meet(faces, camera, f, g, lens, at_x, at_y, 1.0, 0.0)
            if y + 1 < lens.height:
                g = face_id[pixel + lens.width]
                if g >= 0 and g != f:
                    if shells[g] != shells[f]:
                        to_below = meet(faces, camera, f, g, lens, at_x, at_y, 0.0, 1.0)
        right[pixel] = to_right
        below[pixel] = to_below


@wp.func
def pull_plane(plane: Plane, faces: Ints, f: int, by_nearness: float, lens: Lens, n: int, place: Ints, by_corner: Vec3s) -> wp.vec4:
    """Writes what the nearness of a plane at a position asks of its three corners; what it asks of the intrinsics."""
    result = wp.vec4(0.0)
    by_depth, reach = -by_nearness, float(1.0)
    if lens.perspective != 0:
        by_depth = -by_nearness * plane.nearness * plane.nearness
        reach = 1.0 / plane.nearness
    asked = plane.normal * (-by_depth / plane.area)
    for k in range(3):
        place[n + k] = faces[3 * f + k]
        by_corner[n + k] = by_corner[n + k] + plane.weights[k] * asked
    move_x, move_y = reach * asked[0] / lens.focal[0], -reach * asked[1] / lens.focal[1]
    result[0] = move_x
    result[1] = move_y
    result[2] = move_x * plane.sight[0]
    result[3] = -move_y * plane.sight[1]
    return result


@cut_kernel
def pull_cuts(
    first: int, cut: Ints, inner: Ints, outer: Ints, by_distance: Floats, faces: Ints, camera: Vec3s, lens: Lens, place: Ints,
    by_corner: Vec3s, by_lens: Floats,
):
    """What the distances ask of the corners of both faces. The owner is a cut.

    With u the lead in nearness of the inner face at the inner pixel and v that of the outer face at the outer one, the distance is
    u / (u + v).
    """
    c = first + wp.tid()
    if inner[c] < 0:
        for k in range(6):
            place[6 * c + k] = -1
        return
    f, g = cut[2 * c], cut[2 * c + 1]
    x, y = float(inner[c] % lens.width) + 0.5, float(inner[c] / lens.width) + 0.5
    far_x, far_y = float(outer[c] % lens.width) + 0.5, float(outer[c] / lens.width) + 0.5
    f_here, g_here = plane_at(faces, camera, f, lens, x, y), plane_at(faces, camera, g, lens, x, y)
    f_there, g_there = plane_at(faces, camera, f, lens, far_x, far_y), plane_at(faces, camera, g, lens, far_x, far_y)
    u, v = f_here.nearness - g_here.nearness, g_there.nearness - f_there.nearness
    by_u = by_distance[c] * v / ((u + v) * (u + v))
    by_v = -by_distance[c] * u / ((u + v) * (u + v))
    for k in range(6):
        by_corner[6 * c + k] = wp.vec3(0.0)
    total = pull_plane(f_here, faces, f, by_u, lens, 6 * c, place, by_corner)
    total += pull_plane(f_there, faces, f, -by_v, lens, 6 * c, place, by_corner)
    total += pull_plane(g_here, faces, g, -by_u, lens, 6 * c + 3, place, by_corner)
    total += pull_plane(g_there, faces, g, by_v, lens, 6 * c + 3, place, by_corner)
    if by_lens.shape[0] > 0:
        for k in range(4):
            by_lens[4 * c + k] = total[k]


@wp.func_native("""
int rights = 0, belows = 0;
for (int x = 0; x < width; ++x) rights += right.data[y * width + x] >= 0.0f;
for (int x = 0; x < width; ++x) belows += below.data[y * width + x] >= 0.0f;
return wp::vec2i(rights, belows);
""")
def count_cuts(y: int, width: int, right: Floats, below: Floats) -> wp.vec2i:
    """How many cuts there are between pixels of a row, and of it and the next."""
    ...


@cut_kernel
def _count(first: int, width: int, height: int, right: Floats, below: Floats, counts: Ints):
    """See ``count_cuts``. The owner is a row."""
    y = first + wp.tid()
    found = count_cuts(y, width, right, below)
    counts[y] = found[0]
    counts[height + y] = found[1]


@wp.func_native("""
for (int c = 0; c < inner.shape[0]; ++c) {
    const int one = inner.data[c], two = outer.data[c];
    if (one >= 0) (two - one == 1 || one - two == 1 ? right : below).data[one < two ? one : two] = -1.0f;
}
""")
def leave_outlines(inner: Ints, outer: Ints, right: Floats, below: Floats):
    """Drops cuts between pixels between which an outline passes."""
    ...


@cut_kernel
def _leave(first: int, inner: Ints, outer: Ints, right: Floats, below: Floats):
    """See ``leave_outlines``. There is one owner."""
    leave_outlines(inner, outer, right, below)


@wp.func_native("""
const int rows = (starts.shape[0] - 1) / 2, room = cut.shape[0] / 2, all = starts.data[2 * rows], edges = inner.shape[0] - room;
if (all > room) return;
for (int part = 0; part < 2; ++part) {
    const float* const found = (part ? below : right).data;
    int place = starts.data[part * rows + y];
    for (int pixel = y * width; pixel < (y + 1) * width; ++pixel) {
        if (!(found[pixel] >= 0.0f)) continue;
        const int next = pixel + (part ? width : 1);
        cut.data[2 * place] = face_id.data[pixel], cut.data[2 * place + 1] = face_id.data[next];
        inner.data[edges + place] = pixel, outer.data[edges + place] = next, distance.data[edges + place] = found[pixel];
        ++place;
    }
}
""")
def list_cuts(
    y: int, width: int, right: Floats, below: Floats, starts: Ints, face_id: Ints, cut: Ints, inner: Ints, outer: Ints, distance: Floats
):
    """Writes down the cuts of a row behind the crossings of edges; none if there is not room for all."""
    ...


@cut_kernel
def _list(
    first: int, width: int, right: Floats, below: Floats, starts: Ints, face_id: Ints, cut: Ints, inner: Ints, outer: Ints, distance: Floats
):
    """See ``list_cuts``. The owner is a row."""
    list_cuts(first + wp.tid(), width, right, below, starts, face_id, cut, inner, outer, distance)


@wp.func_native("""
const int edges = from_inner.shape[0], all = starts.data[starts.shape[0] - 1], room = inner.shape[0] - edges;
for (int c = 0; c < edges; ++c) inner.data[c] = from_inner.data[c], outer.data[c] = from_outer.data[c], distance.data[c] = origin.data[c];
for (int c = edges + (all > room ? 0 : all); c < edges + room; ++c) inner.data[c] = outer.data[c] = -1;
""")
def join_edges(from_inner: Ints, from_outer: Ints, origin: Floats, starts: Ints, inner: Ints, outer: Ints, distance: Floats):
    """Puts the crossings of edges before the cuts, and marks the places behind them that are left over."""
    ...


@cut_kernel
def _join(first: int, from_inner: Ints, from_outer: Ints, origin: Floats, starts: Ints, inner: Ints, outer: Ints, distance: Floats):
    """See ``join_edges``. There is one owner."""
    join_edges(from_inner, from_outer, origin, starts, inner, outer, distance)


def cross_cuts(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], shells: Int[Tensor, " F"], face_id: Int[Tensor, "H W"], view: View,
    launcher: Launcher, edges: Sequence[Tensor], before: Sequence[Work],
) -> Steps[tuple[Int[Tensor, "D 2"], list[Tensor], list[Work]]]:
    """The two faces of every cut; inner pixel, outer pixel and distance of the crossings of ``edges``, which come first, and of cuts.

    What is to be run ``before`` finds those of edges. Two pixels that show different shells lie on either side of a cut if each shell's
    plane, continued to the other pixel, lies behind there, and if no outline passes between them: beyond its outline a surface has no
    plane. Crossings that are not used have -1 for a pixel. And what is still to be run for all that.
    """
    right, below = launcher.empty(2, view.height, view.width).unbind(0)
    meeting = Launch(_meet, view.height, faces, camera, shells, face_id, lens_of(view), right, below, items=face_id.numel())
    if launcher.device.type != "cpu":
        yield [*before, meeting]
        return *_cuts_by_torch(edges, right, below, face_id), []
    counts = launcher.empty(2 * view.height, dtype=torch.int32)
    starts, add_up = starts_of(counts, launcher)
    leave = Launch(_leave, 1, *edges[:2], right, below, alone=True)
    count = Launch(_count, view.height, view.width, view.height, right, below, counts, items=face_id.numel() // 8)
    yield [*before, meeting, leave, count, add_up]
    number, room = edges[0].shape[0], launcher.count(starts, view.width + view.height)
    cut, distance = launcher.empty(room, 2, dtype=torch.int32), launcher.empty(number + room)
    inner, outer = (launcher.empty(number + room, dtype=torch.int32) for _ in range(2))
    joint = [inner, outer, distance]
    listing = Launch(_list, view.height, view.width, right, below, starts, face_id, cut, *joint, items=face_id.numel() // 8)
    return cut, joint, [listing, Launch(_join, 1, *edges, starts, *joint, alone=True)]


def _cuts_by_torch(
    edges: Sequence[Tensor], right: Float[Tensor, "H W"], below: Float[Tensor, "H W"], face_id: Int[Tensor, "H W"]
) -> tuple[Int[Tensor, "D 2"], list[Tensor]]:
    """The same on a graphics card, where torch has ready what would take several kernels."""
    used = edges[0] >= 0
    inner, outer = edges[0][used], edges[1][used]
    lower, level = torch.minimum(inner, outer).long(), (inner - outer).abs() == 1
    parts = []
    for distance, step, outlined in ((right.view(-1), 1, lower[level]), (below.view(-1), face_id.shape[1], lower[~level])):
        distance[outlined] = -1.0
        found = torch.nonzero(distance >= 0).squeeze(1)
        parts.append((found.int(), (found + step).int(), distance[found]))
    cuts = [torch.cat(column) for column in zip(*parts, strict=True)]
    flat = face_id.view(-1)
    faces = torch.stack([flat[cuts[0].long()], flat[cuts[1].long()]], dim=1)
    return faces, [torch.cat(pair) for pair in zip(edges, cuts, strict=True)]
