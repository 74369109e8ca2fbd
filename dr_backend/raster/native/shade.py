"""Light of small lamps and of the sky on matte surfaces, and handing its gradients back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import shown_faces
from .launch import Launcher, array, inside_kernel
from .rasterize import pixel_owners, shape_of, span
from .sums import add_into

SUN, BULB, SPOT, AREA, SKY = range(5)  # what a line of the table may be
IS_SUN, IS_SPOT, IS_AREA, IS_SKY = (wp.constant(kind) for kind in (SUN, SPOT, AREA, SKY))
PER_PI = wp.constant(wp.float32(0.3183098861837907))
TINY = wp.constant(wp.float32(1.1e-19))  # length below which a normal is none, as in ``geometry.normals``


@dataclass(frozen=True)
class Lamps:
    """All light of a scene, a line for each lamp and a last one for the sky."""

    lines: Float[Tensor, "L 3 3"]  # place; unit vector backward along the light; strength and colour. See ``reach``
    shapes: Float[Tensor, "L 3"]  # kind and two numbers of the cone, constants
    shares: Float[Tensor, "V L"] | None  # that reach each vertex
    directions: Float[Tensor, "S 3"]  # of a sky that is not the same all around; the sky's line is added to it
    power: Float[Tensor, "S 3"]


@wp.struct
class Reach:
    """What a lamp of strength 1 sends to a surface point, and how that changes."""

    irradiance: float
    by_normal: wp.vec3
    by_axis: wp.vec3
    by_place: wp.vec3  # of the lamp; the opposite for the surface point


@wp.func
def beam(shape: wp.vec3, cosine: float) -> wp.vec2:
    """Share of a bulb's light at this cosine to its axis, and its derivative: the twins are in ``shading.lamps``."""
    kind = int(shape[0])
    if kind == IS_SPOT:
        ramp = (cosine - shape[1]) / shape[2]
        if ramp <= 0.0:
            return wp.vec2(0.0, 0.0)
        if ramp >= 1.0:
            return wp.vec2(1.0, 0.0)
        return wp.vec2(ramp * ramp * (3.0 - 2.0 * ramp), 6.0 * ramp * (1.0 - ramp) / shape[2])
    if kind == IS_AREA:
        if cosine <= 0.0:
            return wp.vec2(0.0, 0.0)
        if shape[2] == 0.0:
            return wp.vec2(cosine, 1.0)
        run, rise = wp.max(cosine, 1.0e-6), wp.sqrt(wp.max(1.0 - cosine * cosine, 1.0e-12))
        left = shape[1] - rise / run
        if left <= 0.0:
            return wp.vec2(0.0, 0.0)
        falling = shape[2] / (run * run * rise)
        return wp.vec2(cosine * left * shape[2], left * shape[2] + cosine * falling)
    return wp.vec2(1.0, 0.0)


@wp.func
def reach(shape: wp.vec3, place: wp.vec3, axis: wp.vec3, point: wp.vec3, normal: wp.vec3) -> Reach:
    """A sun's strength counts on a surface that faces it; a bulb's and an area lamp's at distance 1, there and on their axis."""
    found = Reach()
    kind = int(shape[0])
    if kind == IS_SKY:
        found.irradiance = 1.0
        return found
    if kind == IS_SUN:
        found.irradiance = wp.max(wp.dot(normal, axis), 0.0)
        if found.irradiance > 0.0:
            found.by_normal = axis
            found.by_axis = normal
        return found
    offset = place - point
    squared = wp.max(wp.dot(offset, offset), 1.0e-12)
    inverse = 1.0 / wp.sqrt(squared)
    toward = offset * inverse
    cosine = wp.dot(toward, normal)
    if cosine <= 0.0:
        return found
    share = beam(shape, wp.dot(toward, axis))
    found.irradiance = cosine * share[0] / squared
    found.by_normal = toward * (share[0] / squared)
    found.by_axis = toward * (cosine * share[1] / squared)
    by_toward = normal * (share[0] / squared) + axis * (cosine * share[1] / squared)
    found.by_place = (by_toward - toward * (wp.dot(toward, by_toward) + 2.0 * found.irradiance)) * inverse
    return found


@wp.func
def from_sky(normal: wp.vec3, directions: Vec3s, power: Vec3s) -> wp.vec3:
    """Irradiance by the sky's directions."""
    total = wp.vec3(0.0)
    for s in range(directions.shape[0]):
        total += wp.max(wp.dot(normal, directions[s]), 0.0) * power[s]
    return total


@wp.func
def share_of(shares: Floats, lamps: int, lamp: int, corners: wp.vec3i, weights: wp.vec3) -> float:
    """Share of a lamp's light at barycentric coordinates within a face."""
    if shares.shape[0] == 0:
        return 1.0
    return (
        weights[0] * shares[corners[0] * lamps + lamp]
        + weights[1] * shares[corners[1] * lamps + lamp]
        + weights[2] * shares[corners[2] * lamps + lamp]
    )


@wp.func
def direction_of(normal: wp.vec3, side: float) -> wp.vec3:
    """The unit vector along a normal, on the viewer's side; zero for one without length."""
    size = wp.length(normal)
    if size <= TINY:
        return wp.vec3(0.0)
    return normal * (side / size)


@wp.func
def light_at(
    corners: wp.vec3i, weights: wp.vec3, point: wp.vec3, normal: wp.vec3, lines: Vec3s, shapes: Vec3s, shares: Floats, directions: Vec3s,
    power: Vec3s,
) -> wp.vec3:
    """Irradiance at a surface point by all lamps and the sky."""
    count = shapes.shape[0]
    total = wp.vec3(0.0)
    for n in range(count):
        received = reach(shapes[n], lines[3 * n], lines[3 * n + 1], point, normal)
        strength = wp.vec3(lines[3 * n + 2])
        if int(shapes[n][0]) == IS_SKY:
            strength += from_sky(normal, directions, power)
        total += (received.irradiance * share_of(shares, count, n, corners, weights)) * strength
    return total


@wp.struct
class Pulled:
    """What a gradient for irradiance asks of a surface point and its normal."""

    by_point: wp.vec3
    by_normal: wp.vec3


@wp.func
def pull_at(
    corners: wp.vec3i, weights: wp.vec3, point: wp.vec3, normal: wp.vec3, asked: wp.vec3, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s,
) -> Pulled:
    """The gradient of ``light_at``."""
    count = shapes.shape[0]
    found = Pulled()
    for n in range(count):
        received = reach(shapes[n], lines[3 * n], lines[3 * n + 1], point, normal)
        share = share_of(shares, count, n, corners, weights)
        pull = share * wp.dot(asked, lines[3 * n + 2])
        found.by_point -= pull * received.by_place
        found.by_normal += pull * received.by_normal
        if int(shapes[n][0]) == IS_SKY:
            for s in range(directions.shape[0]):
                if wp.dot(normal, directions[s]) > 0.0:
                    found.by_normal += (share * wp.dot(asked, power[s])) * directions[s]
    return found


@wp.func
def straighten(by_normal: wp.vec3, mixed: wp.vec3, normal: wp.vec3, side: float) -> wp.vec3:
    """What a gradient for ``direction_of`` a normal means for that normal."""
    size = wp.length(mixed)
    if size <= TINY:
        return wp.vec3(0.0)
    return (by_normal - normal * wp.dot(normal, by_normal)) * (side / size)


@inside_kernel
def _shade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, width: int, height: int, own_width: int, own_height: int,
    own_columns: int, light: Vec3s,
):
    """Irradiance over π at pixel centres, none where nothing is seen. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    last, side = int(-1), float(1.0)
    corners = wp.vec3i(0, 0, 0)
    a, b, c = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0)
    na, nb, nc = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0)
    for y in range(y0, wp.min(y0 + own_height, height)):
        for x in range(x0, wp.min(x0 + own_width, width)):
            pixel = y * width + x
            f = face_id[pixel]
            if f < 0:
                light[pixel] = wp.vec3(0.0)
            else:
                if f != last:
                    last = f
                    corners = wp.vec3i(faces[3 * f], faces[3 * f + 1], faces[3 * f + 2])
                    a, b, c = wp.vec3(positions[corners[0]]), wp.vec3(positions[corners[1]]), wp.vec3(positions[corners[2]])
                    na, nb, nc = wp.vec3(normals[3 * f]), wp.vec3(normals[3 * f + 1]), wp.vec3(normals[3 * f + 2])
                    side = float(facing[f])
                at = weights[pixel]
                normal = direction_of(at[0] * na + at[1] * nb + at[2] * nc, side)
                point = at[0] * a + at[1] * b + at[2] * c
                light[pixel] = light_at(corners, at, point, normal, lines, shapes, shares, directions, power) * PER_PI


@inside_kernel
def _unshade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, camera: Vec3s, xy: Vec2s, near: float, entries: Ints, tiles: Ints, tile_width: int,
    tile_height: int, columns: int, width: int, height: int, face_id: Ints, shown: Ints, weights: Vec3s, by_light: Vec3s,
    by_weight: Vec3s, vertex: Ints, corner: Ints, by_corner: Vec3s, by_normal: Vec3s,
):
    """What the gradient for irradiance means for barycentric coordinates and a face's corners. The owner is an entry of a bin.

    Every pixel that is seen has one: that of its face and tile. ``vertex`` and ``corner`` say what the sums are for; -1 for nothing.
    """
    entry = first + wp.tid()
    f, tile = entries[entry], tiles[entry]
    for k in range(3):
        vertex[3 * entry + k] = -1
        corner[3 * entry + k] = -1
    if shown[f] == 0:
        return
    corners = wp.vec3i(faces[3 * f], faces[3 * f + 1], faces[3 * f + 2])
    x0, y0 = (tile % columns) * tile_width, (tile / columns) * tile_height
    top, bottom = int(y0), wp.min(y0 + tile_height, height)
    left, right = int(x0), wp.min(x0 + tile_width, width)
    nearest = wp.max(camera[corners[0]][2], wp.max(camera[corners[1]][2], camera[corners[2]][2]))
    whole = nearest <= -near  # otherwise corners have no place on the screen: look everywhere
    shape = shape_of(xy[corners[0]], xy[corners[1]], xy[corners[2]], height)
    if whole:
        top, bottom = wp.max(y0, shape.first), wp.min(y0 + tile_height, shape.stop)
    around, normals_around = wp.mat33(0.0), wp.mat33(0.0)  # a row for each corner
    on_points, on_normals = wp.mat33(0.0), wp.mat33(0.0)
    seen = bool(False)
    for y in range(top, bottom):
        start, stop = int(left), int(right)
        if whole:
            run = span(shape, y, width)
            start, stop = wp.max(left, run.first), wp.min(right, run.stop)
        for x in range(start, stop):
            pixel = y * width + x
            if face_id[pixel] == f:
                if not seen:
                    seen = True
                    around = wp.matrix_from_rows(positions[corners[0]], positions[corners[1]], positions[corners[2]])
                    normals_around = wp.matrix_from_rows(normals[3 * f], normals[3 * f + 1], normals[3 * f + 2])
                at, side = weights[pixel], float(facing[f])
                mixed = wp.transpose(normals_around) * at
                normal = direction_of(mixed, side)
                asked = by_light[pixel] * PER_PI
                pulled = pull_at(corners, at, wp.transpose(around) * at, normal, asked, lines, shapes, shares, directions, power)
                on_normal = straighten(pulled.by_normal, mixed, normal, side)
                by_weight[pixel] = around * pulled.by_point + normals_around * on_normal
                on_points += wp.outer(at, pulled.by_point)
                on_normals += wp.outer(at, on_normal)
    if seen:
        for k in range(3):
            vertex[3 * entry + k] = corners[k]
            corner[3 * entry + k] = 3 * f + k
            by_corner[3 * entry + k] = on_points[k]
            by_normal[3 * entry + k] = on_normals[k]


@inside_kernel
def _unlight(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    face_id: Ints, weights: Vec3s, by_light: Vec3s, width: int, height: int, own_width: int, own_height: int, own_columns: int,
    by_line: Vec3s,
):
    """What the gradient for irradiance means for the lamps. The owner is a rectangle of pixels, with lines of its own to add it up in."""
    owner = first + wp.tid()
    count = shapes.shape[0]
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for n in range(count):
        on_place, on_axis, on_strength = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0)
        for y in range(y0, wp.min(y0 + own_height, height)):
            for x in range(x0, wp.min(x0 + own_width, width)):
                pixel = y * width + x
                f = face_id[pixel]
                if f >= 0:
                    corners = wp.vec3i(faces[3 * f], faces[3 * f + 1], faces[3 * f + 2])
                    at = weights[pixel]
                    mixed = at[0] * normals[3 * f] + at[1] * normals[3 * f + 1] + at[2] * normals[3 * f + 2]
                    point = at[0] * positions[corners[0]] + at[1] * positions[corners[1]] + at[2] * positions[corners[2]]
                    received = reach(shapes[n], lines[3 * n], lines[3 * n + 1], point, direction_of(mixed, float(facing[f])))
                    asked = by_light[pixel] * (PER_PI * share_of(shares, count, n, corners, at))
                    pull = wp.dot(asked, lines[3 * n + 2])
                    on_place += pull * received.by_place
                    on_axis += pull * received.by_axis
                    on_strength += received.irradiance * asked
        line = 3 * (owner * count + n)
        by_line[line] = on_place
        by_line[line + 1] = on_axis
        by_line[line + 2] = on_strength


@dataclass(frozen=True)
class Surface:
    """The triangles that are lit, and one view of them."""

    faces: Int[Tensor, "F 3"]
    positions: Float[Tensor, "V 3"]
    normals: Float[Tensor, "F 3 3"]
    lamps: Lamps
    projected: Projected
    bins: Bins
    face_id: Int[Tensor, "H W"]
    weights: Float[Tensor, "H W 3"]
    view: View

    def arguments(self, sky: bool = True) -> list[object]:
        """What all kernels of this file begin with."""
        lamps = self.lamps
        lit = [array(self.faces), array(self.positions, 3), array(self.normals, 3), array(self.bins.facing), array(lamps.lines, 3)]
        lit += [array(lamps.shapes, 3), array(lamps.shares)]
        return lit + [array(lamps.directions, 3), array(lamps.power, 3)] if sky else lit


def shade(surface: Surface, launcher: Launcher) -> Float[Tensor, "H W 3"]:
    """Irradiance over π of pixels, none where nothing is seen; the twin of ``shading.diffuse.reflected``."""
    view = surface.view
    owners, shape = pixel_owners(surface.bins, view, launcher)
    light = torch.empty_like(surface.weights)
    launcher.run(
        _shade, owners, *surface.arguments(), array(surface.face_id), array(surface.weights, 3), view.width, view.height, *shape,
        array(light, 3), items=surface.face_id.numel(),
    )
    return light


def unshade(
    surface: Surface, by_light: Float[Tensor, "H W 3"], launcher: Launcher, grad_positions: Float[Tensor, "V 3"],
    grad_normals: Float[Tensor, "F 3 3"],
) -> Float[Tensor, "H W 3"]:
    """The gradient for barycentric coordinates, undefined where nothing is seen. Those for positions and corner normals are added up."""
    bins, projected, view = surface.bins, surface.projected, surface.view
    by_weight = torch.empty_like(surface.weights)
    count = len(bins.entries)
    place = torch.empty(2, count, 3, dtype=torch.int32, device=by_light.device)
    by_corner = torch.empty(2, count, 3, 3, device=by_light.device)
    shown = shown_faces(surface.faces, surface.face_id, launcher)
    launcher.run(
        _unshade, count, *surface.arguments(), array(projected.camera, 3), array(projected.xy, 2), view.near, array(bins.entries),
        array(bins.tiles), bins.width, bins.height, bins.columns, view.width, view.height, array(surface.face_id), array(shown),
        array(surface.weights, 3), array(by_light, 3), array(by_weight, 3), array(place[0]), array(place[1]), array(by_corner[0], 3),
        array(by_corner[1], 3), items=surface.face_id.numel(),
    )
    add_into(grad_positions, place[0], by_corner[0], launcher)
    add_into(grad_normals.view(-1, 3), place[1], by_corner[1], launcher)
    return by_weight


def unlight(surface: Surface, by_light: Float[Tensor, "H W 3"], launcher: Launcher) -> Float[Tensor, "L 3 3"]:
    """The gradient for the lamps' lines."""
    view = surface.view
    owners, shape = pixel_owners(surface.bins, view, launcher)
    by_line = torch.empty(owners, *surface.lamps.lines.shape, device=by_light.device)
    launcher.run(
        _unlight, owners, *surface.arguments(sky=False), array(surface.face_id), array(surface.weights, 3), array(by_light, 3),
        view.width, view.height, *shape, array(by_line, 3), items=surface.face_id.numel(),
    )
    return by_line.double().sum(0).float()
