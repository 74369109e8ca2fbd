"""Light of small lamps and of the sky on matte surfaces, and handing its gradients back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import color_run, run_end, shown_faces
from .lamps import shade_run, unlight_run, unshade_row
from .launch import Launcher, array, inside_kernel
from .rasterize import pixel_owners, shape_of, span
from .sums import add_into


@dataclass(frozen=True)
class Lamps:
    """All light of a scene, a line for each lamp and a last one for the sky."""

    lines: Float[Tensor, "L 3 3"]  # place; unit vector backward along the light; strength and colour. See ``lamps``
    shapes: Float[Tensor, "L 3"]  # kind and two numbers of the cone, constants
    shares: Float[Tensor, "V L"] | None  # that reach each vertex
    directions: Float[Tensor, "S 3"]  # of a sky that is not the same all around; the sky's line is added to it
    power: Float[Tensor, "S 3"]


@inside_kernel
def _shade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, width: int, height: int, own_width: int, own_height: int,
    own_columns: int, light: Vec3s,
):
    """Irradiance over π at pixel centres, none where nothing is seen. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        x = int(x0)
        while x < wp.min(x0 + own_width, width):
            f = face_id[y * width + x]
            stop = run_end(face_id, y * width, x, wp.min(x0 + own_width, width))
            if f < 0:
                color_run(y * width + x, stop - x, wp.vec3(0.0), light)
            else:
                i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
                shade_run(
                    y * width + x, stop - x, wp.vec3i(i, j, k), positions[i], positions[j], positions[k], normals[3 * f],
                    normals[3 * f + 1], normals[3 * f + 2], float(facing[f]), lines, shapes, shares, directions, power, weights, light,
                )
            x = stop


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
    for n in range(3):
        vertex[3 * entry + n] = -1
        corner[3 * entry + n] = -1
    if shown[f] == 0:
        return
    i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
    x0, y0 = (tile % columns) * tile_width, (tile / columns) * tile_height
    top, bottom = int(y0), wp.min(y0 + tile_height, height)
    left, right = int(x0), wp.min(x0 + tile_width, width)
    whole = wp.max(camera[i][2], wp.max(camera[j][2], camera[k][2])) <= -near  # otherwise corners have no place on the screen
    shape = shape_of(xy[i], xy[j], xy[k], height)
    if whole:
        top, bottom = wp.max(y0, shape.first), wp.min(y0 + tile_height, shape.stop)
    for n in range(3):
        by_corner[3 * entry + n] = wp.vec3(0.0)
        by_normal[3 * entry + n] = wp.vec3(0.0)
        vertex[3 * entry + n] = faces[3 * f + n]
        corner[3 * entry + n] = 3 * f + n
    for y in range(top, bottom):
        start, stop = int(left), int(right)
        if whole:
            run = span(shape, y, width)
            start, stop = wp.max(left, run.first), wp.min(right, run.stop)
        unshade_row(
            f, y * width + start, stop - start, entry, wp.vec3i(i, j, k), positions[i], positions[j], positions[k], normals[3 * f],
            normals[3 * f + 1], normals[3 * f + 2], float(facing[f]), lines, shapes, shares, directions, power, face_id, weights,
            by_light, by_weight, by_corner, by_normal,
        )


@inside_kernel
def _unlight(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    face_id: Ints, weights: Vec3s, by_light: Vec3s, width: int, height: int, own_width: int, own_height: int, own_columns: int,
    by_line: Vec3s,
):
    """What the gradient for irradiance means for the lamps. The owner is a rectangle of pixels, with lines of its own to add it up in."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        x = int(x0)
        while x < wp.min(x0 + own_width, width):
            f = face_id[y * width + x]
            stop = run_end(face_id, y * width, x, wp.min(x0 + own_width, width))
            if f >= 0:
                i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
                unlight_run(
                    y * width + x, stop - x, owner, wp.vec3i(i, j, k), positions[i], positions[j], positions[k], normals[3 * f],
                    normals[3 * f + 1], normals[3 * f + 2], float(facing[f]), lines, shapes, shares, weights, by_light, by_line,
                )
            x = stop


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
    by_line = torch.zeros(owners, *surface.lamps.lines.shape, device=by_light.device)
    launcher.run(
        _unlight, owners, *surface.arguments(sky=False), array(surface.face_id), array(surface.weights, 3), array(by_light, 3),
        view.width, view.height, *shape, array(by_line, 3), items=surface.face_id.numel(),
    )
    return by_line.double().sum(0).float()
