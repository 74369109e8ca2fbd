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


def cross_cuts(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], shells: Int[Tensor, " F"], face_id: Int[Tensor, "H W"], view: View,
    launcher: Launcher, inner: Int[Tensor, " E"], outer: Int[Tensor, " E"], before: Sequence[Work],
) -> Steps[tuple[Int[Tensor, "D 2"], Int[Tensor, " D"], Int[Tensor, " D"], Float[Tensor, " D"]]]:
    """The two faces, inner and outer pixel and distance of every cut; ``inner`` and ``outer`` are the pixels beside outline edges,
    which what is to be run ``before`` finds, -1 for none.

    Two pixels that show different shells lie on either side of a cut if each shell's plane, continued to the other pixel, lies behind
    there, and if no outline passes between them: beyond its outline a surface has no plane.
    """
    right, below = launcher.empty(2, view.height, view.width).unbind(0)
    meeting = Launch(_meet, view.height, faces, camera, shells, face_id, lens_of(view), right, below, items=face_id.numel())
    yield [*before, meeting]
    used = inner >= 0
    inner, outer = inner[used], outer[used]
    lower, level = torch.minimum(inner, outer).long(), (inner - outer).abs() == 1
    parts = []
    for distance, step, outlined in ((right.view(-1), 1, lower[level]), (below.view(-1), view.width, lower[~level])):
        distance[outlined] = -1.0
        found = torch.nonzero(distance >= 0).squeeze(1)
        parts.append((found, found + step, distance[found]))
    first, second, distances = (torch.cat(column) for column in zip(*parts, strict=True))
    flat = face_id.view(-1)
    return torch.stack([flat[first], flat[second]], dim=1), first.int(), second.int(), distances
