"""What pixels ask of the corners of their faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import Lens, lens_of, ray, run_of, shown_faces, within
from .launch import Launcher, array, inside_kernel
from .rasterize import shape_of, span
from .sums import add_into
from .texture import Image, Textures, decode_slope, image_of, trilinear, trilinear_slope

Vec4s = wp.array(dtype=wp.vec4)


@wp.func
def on_intrinsics(asked: wp.vec3, sight: wp.vec2, reach: float, lens: Lens) -> wp.vec4:
    """What a corner's gradient at a pixel means for centre x, centre y, focal x and focal y."""
    move_x, move_y = reach * asked[0] / lens.focal[0], -reach * asked[1] / lens.focal[1]
    return wp.vec4(move_x, move_y, move_x * sight[0], -move_y * sight[1])


@wp.func
def on_texture(image: Image, pixel: int, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s) -> wp.vec2:
    """What a pixel's gradient for its colour means for u and v; where texels are encoded it becomes that for the encoded colour."""
    if image.width == 0:
        return wp.vec2(0.0)
    at = address[pixel]
    if image.encoded != 0:
        color = trilinear(image, at, texels, coarse)
        by_rgb[pixel] = wp.cw_mul(by_rgb[pixel], wp.vec3(decode_slope(color[0]), decode_slope(color[1]), decode_slope(color[2])))
    return trilinear_slope(image, at, by_rgb[pixel], texels, coarse)


@wp.func
def weight_asked(by_weight: Vec3s, pixel: int) -> wp.vec3:
    """The gradient for a pixel's barycentric coordinates, if there is one."""
    if by_weight.shape[0] > 0:
        return by_weight[pixel]
    return wp.vec3(0.0)


@wp.func
def edge_asked(
    image: Image, pixel: int, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s, by_weight: Vec3s, along_u: wp.vec3,
    along_v: wp.vec3, eb: wp.vec3, ec: wp.vec3,
) -> wp.vec3:
    """A face's edges, each times the gradient for the barycentric coordinate of the corner opposite."""
    by_uv, g = on_texture(image, pixel, texels, coarse, address, by_rgb), weight_asked(by_weight, pixel)
    return by_uv[0] * along_u + by_uv[1] * along_v + (g[1] - g[0]) * eb + (g[2] - g[0]) * ec


@wp.func
def corner_asked(sight: wp.vec2, perspective: int, edge: wp.vec3, normal: wp.vec3, pixel: int, by_depth: Floats) -> wp.vec3:
    """What a pixel asks of all corners together, times the area; n · d is minus twice that."""
    slant = float(perspective)
    d = wp.vec3(slant * sight[0], slant * sight[1], -1.0)
    if by_depth.shape[0] > 0:
        return wp.cross(d, edge) - by_depth[pixel] * normal
    return wp.cross(d, edge)


@wp.func
def first_shown(face_id: Ints, f: int, row: int, start: int, stop: int) -> int:
    """The first of some pixels of a row that shows a face; ``stop`` if none does."""
    for x in range(start, stop):
        if face_id[row + x] == f:
            return x
    return stop


@wp.func
def offer(n: int, vertex: int, g: wp.vec3, place: Ints, by_corner: Vec3s):
    """Writes what a vertex is to get."""
    place[n] = vertex
    by_corner[n] = g


@inside_kernel
def _pull(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, near: float, entries: Ints, tiles: Ints, tile_width: int, tile_height: int,
    columns: int, face_id: Ints, shown: Ints, lens: Lens, by_weight: Vec3s, by_depth: Floats, uvs: Vec2s, face_material: Ints,
    table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s, place: Ints, by_corner: Vec3s, by_lens: Vec4s,
):
    """What a face's pixels within a tile ask of its corners. The owner is an entry of a bin.

    With d a pixel's line of sight, n the face's normal and e_i the edge opposite corner i, a corner j that moves by δ changes the
    barycentric coordinates by -b_j (d × e_i) · δ / (n · d), and the depth by b_j n · δ / (n · d).
    """
    entry = first + wp.tid()
    f, tile = entries[entry], tiles[entry]
    for corner in range(3):
        place[3 * entry + corner] = -1
    if by_lens.shape[0] > 0:
        by_lens[entry] = wp.vec4(0.0)
    if shown[f] == 0:
        return
    i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
    a, b, c = camera[i], camera[j], camera[k]
    x0, y0 = (tile % columns) * tile_width, (tile / columns) * tile_height
    top, bottom, left, right = int(y0), wp.min(y0 + tile_height, lens.height), int(x0), wp.min(x0 + tile_width, lens.width)
    shape = shape_of(xy[i], xy[j], xy[k], lens.height)
    whole = wp.max(a[2], wp.max(b[2], c[2])) <= -near  # otherwise corners have no place on the screen: look everywhere
    if whole:
        top, bottom = wp.max(y0, shape.first), wp.min(y0 + tile_height, shape.stop)
    normal, eb, ec = wp.cross(b - a, c - a), a - c, b - a
    image = Image()
    along_u, along_v = wp.vec3(0.0), wp.vec3(0.0)  # edges, weighted by the texture coordinates of the corners that they lie opposite
    if by_rgb.shape[0] > 0:
        image = image_of(table, face_material[f])
        to_b, to_c = uvs[3 * f + 1] - uvs[3 * f], uvs[3 * f + 2] - uvs[3 * f]
        along_u, along_v = to_b[0] * eb + to_c[0] * ec, to_b[1] * eb + to_c[1] * ec
    ga, gb, gc, on_lens = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0), wp.vec4(0.0)
    for y in range(top, bottom):
        start, stop = int(left), int(right)
        if whole:
            row = span(shape, y, lens.width)
            start, stop = wp.max(left, row.first), wp.min(right, row.stop)
        begin = first_shown(face_id, f, y * lens.width, start, stop)
        run = run_of(a, b, c, lens, begin, y)
        for x in range(begin, stop):
            pixel = y * lens.width + x
            if face_id[pixel] != f:
                continue
            at = within(run, x - begin)
            sight = ray(lens, float(x) + 0.5, float(y) + 0.5)
            edge = edge_asked(image, pixel, texels, coarse, address, by_rgb, by_weight, along_u, along_v, eb, ec)
            asked = corner_asked(sight, lens.perspective, edge, normal, pixel, by_depth) * at[3]
            ga += at[0] * asked
            gb += at[1] * asked
            gc += at[2] * asked
            if by_lens.shape[0] > 0:
                reach = wp.where(lens.perspective != 0, -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2]), 1.0)
                on_lens += on_intrinsics(asked, sight, reach, lens)
    offer(3 * entry, i, ga, place, by_corner)
    offer(3 * entry + 1, j, gb, place, by_corner)
    offer(3 * entry + 2, k, gc, place, by_corner)
    if by_lens.shape[0] > 0:
        by_lens[entry] = on_lens


@dataclass(frozen=True)
class Painted:
    """The textures that coloured a view, where its pixels read them, and the gradient for what they read."""

    textures: Textures
    uvs: Float[Tensor, "F 3 2"]
    face_material: Int[Tensor, " F"]
    address: Float[Tensor, "H W 3"]
    by_rgb: Float[Tensor, "H W 3"]


def _arguments(painted: Painted | None) -> list[Any]:
    """The textures, and where they are read, as kernels take them; empty if nothing is painted."""
    if painted is None:
        return [array(None, width) for width in (2, 1, 1, 3, 3, 3, 3)]
    made = painted.textures
    vectors = [array(each, 3) for each in (made.texels, made.coarse, painted.address, painted.by_rgb)]
    return [array(painted.uvs, 2), array(painted.face_material), array(made.table), *vectors]


def pull_corners(
    projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher,
    by_weight: Float[Tensor, "H W 3"] | None, by_depth: Float[Tensor, "H W"] | None, painted: Painted | None,
    grad_camera: Float[Tensor, "V 3"], intrinsics: bool,
) -> Float[Tensor, " 4"] | None:
    """Adds the gradient for vertices in camera space to ``grad_camera``; exact within faces.

    It comes from those for barycentric coordinates, for depth, and for colours; where texels are encoded ``painted.by_rgb`` becomes
    that for encoded colours.

    Returns:
        With ``intrinsics`` the gradient for centre x, centre y, focal x and focal y.
    """
    count = len(bins.entries)
    place = torch.empty(count, 3, dtype=torch.int32, device=faces.device)
    by_corner = torch.empty(count, 3, 3, device=faces.device)
    by_lens = torch.empty(count, 4, device=faces.device) if intrinsics else None
    shown = shown_faces(faces, face_id, launcher)
    launcher.run(
        _pull, count, array(faces), array(projected.camera, 3), array(projected.xy, 2), view.near, array(bins.entries), array(bins.tiles),
        bins.width, bins.height, bins.columns, array(face_id), array(shown), lens_of(view), array(by_weight, 3), array(by_depth),
        *_arguments(painted), array(place), array(by_corner, 3), array(by_lens, 4), items=face_id.numel(),
    )
    add_into(grad_camera, place, by_corner, launcher)
    return None if by_lens is None else by_lens.double().sum(0).float()
