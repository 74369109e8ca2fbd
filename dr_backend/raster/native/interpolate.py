"""Where on its face each pixel lies, and what that means for the face's corners."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .launch import Launcher, array, kernel
from .rasterize import pixel_owners, shape_of, span
from .sums import add_into

SLIVER = wp.constant(wp.float32(1.0e-7))  # area over squared size below which barycentric coordinates are rounding errors

Vec4s = wp.array(dtype=wp.vec4)


@wp.struct
class Lens:
    """The intrinsics of a view."""

    focal: wp.vec2
    centre: wp.vec2
    perspective: int
    width: int
    height: int


def lens_of(view: View) -> Any:
    """A view's intrinsics as an argument of kernels."""
    lens = Lens()
    lens.focal, lens.centre = wp.vec2(*view.focal_px.tolist()), wp.vec2(*view.centre_px.tolist())
    lens.perspective, lens.width, lens.height = int(view.perspective), view.width, view.height
    return lens


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
def barycentric(a: wp.vec2, b: wp.vec2, c: wp.vec2) -> wp.vec4:
    """Barycentric coordinates, kept within 0..1, and twice the signed area, of corners by their offsets from the line of sight.

    The area is 0, and the coordinates are equal, where the triangle is seen so nearly edge-on that rounding decides.
    """
    wa, wb, wc = cross2(b, c), cross2(c, a), cross2(a, b)
    total = wa + wb + wc
    size = wp.max(wp.dot(a, a), wp.max(wp.dot(b, b), wp.dot(c, c)))
    if wp.abs(total) <= SLIVER * size:
        return wp.vec4(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0)
    side = wp.where(total < 0.0, -1.0, 1.0)
    wa, wb, wc = wp.max(side * wa, 0.0), wp.max(side * wb, 0.0), wp.max(side * wc, 0.0)
    scale = 1.0 / (wa + wb + wc)
    return wp.vec4(wa * scale, wb * scale, wc * scale, total)


@wp.func
def surface_depth(a: wp.vec3, b: wp.vec3, c: wp.vec3, lens: Lens, x_px: float, y_px: float) -> float:
    """Depth of a triangle (camera space) at a pixel position; beyond its edges that of the nearest point in barycentric coordinates."""
    sight = ray(lens, x_px, y_px)
    at = barycentric(beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective))
    return -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2])


@kernel
def _locate(
    first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int,
    weights: Vec3s, depth: Floats,
):
    """Barycentric coordinates and depth at pixel centres. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    last = int(-1)
    a, b, c = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0)
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        for x in range(x0, wp.min(x0 + own_width, lens.width)):
            pixel = y * lens.width + x
            f = face_id[pixel]
            if f < 0:
                weights[pixel] = wp.vec3(0.0)
            else:
                if f != last:
                    last = f
                    a, b, c = wp.vec3(camera[faces[3 * f]]), wp.vec3(camera[faces[3 * f + 1]]), wp.vec3(camera[faces[3 * f + 2]])
                sight = ray(lens, float(x) + 0.5, float(y) + 0.5)
                p, q, r = beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective)
                at = barycentric(p, q, r)
                weights[pixel] = wp.vec3(at[0], at[1], at[2])
                depth[pixel] = -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2])


@kernel
def _show(first: int, width: int, face_id: Ints, shown: Ints):
    """Marks the faces that pixels show; several owners may write the same mark. The owner is a row."""
    row = first + wp.tid()
    last = int(-1)
    for pixel in range(row * width, row * width + width):
        f = face_id[pixel]
        if f != last:
            last = f
            if f >= 0:
                shown[f] = 1


@wp.func
def on_intrinsics(asked: wp.vec3, sight: wp.vec2, reach: float, lens: Lens) -> wp.vec4:
    """What a corner's gradient at a pixel means for centre x, centre y, focal x and focal y."""
    move_x, move_y = reach * asked[0] / lens.focal[0], -reach * asked[1] / lens.focal[1]
    return wp.vec4(move_x, move_y, move_x * sight[0], -move_y * sight[1])


@kernel
def _pull(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, near: float, entries: Ints, tiles: Ints, tile_width: int, tile_height: int,
    columns: int, face_id: Ints, shown: Ints, lens: Lens, by_weight: Vec3s, by_depth: Floats, place: Ints, by_corner: Vec3s,
    by_lens: Vec4s,
):
    """What a face's pixels within a tile ask of its corners. The owner is an entry of a bin.

    With d a pixel's line of sight, n the face's normal and e_i the edge opposite corner i, a corner j that moves by δ changes the
    barycentric coordinates by -b_j (d × e_i) · δ / (n · d), and the depth by b_j n · δ / (n · d).
    """
    entry = first + wp.tid()
    f, tile = entries[entry], tiles[entry]
    i, j, k = faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]
    a, b, c = camera[i], camera[j], camera[k]
    x0, y0 = (tile % columns) * tile_width, (tile / columns) * tile_height
    top, bottom = int(y0), wp.min(y0 + tile_height, lens.height)
    left, right = int(x0), wp.min(x0 + tile_width, lens.width)
    whole = wp.max(a[2], wp.max(b[2], c[2])) <= -near  # otherwise corners have no place on the screen: look everywhere
    shape = shape_of(xy[i], xy[j], xy[k], lens.height)
    if whole:
        top, bottom = wp.max(y0, shape.first), wp.min(y0 + tile_height, shape.stop)
    if shown[f] == 0:
        top = bottom
    normal, ea, eb, ec = wp.cross(b - a, c - a), c - b, a - c, b - a
    ga, gb, gc, on_lens = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0), wp.vec4(0.0)
    seen = bool(False)
    for y in range(top, bottom):
        start, stop = int(left), int(right)
        if whole:
            run = span(shape, y, lens.width)
            start, stop = wp.max(left, run.first), wp.min(right, run.stop)
        for x in range(start, stop):
            pixel = y * lens.width + x
            if face_id[pixel] == f:
                sight = ray(lens, float(x) + 0.5, float(y) + 0.5)
                at = barycentric(
                    beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective)
                )
                if at[3] != 0.0:
                    seen = True
                    d = wp.vec3(sight[0], sight[1], -1.0)
                    if lens.perspective == 0:
                        d = wp.vec3(0.0, 0.0, -1.0)
                    g = by_weight[pixel]
                    asked = wp.cross(d, g[0] * ea + g[1] * eb + g[2] * ec) / at[3]  # n · d is minus twice the area
                    if by_depth.shape[0] > 0:
                        asked -= normal * (by_depth[pixel] / at[3])
                    ga += at[0] * asked
                    gb += at[1] * asked
                    gc += at[2] * asked
                    if by_lens.shape[0] > 0:
                        reach = wp.where(lens.perspective != 0, -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2]), 1.0)
                        on_lens += on_intrinsics(asked, sight, reach, lens)
    place[3 * entry] = wp.where(seen, i, -1)
    place[3 * entry + 1] = wp.where(seen, j, -1)
    place[3 * entry + 2] = wp.where(seen, k, -1)
    by_corner[3 * entry] = ga
    by_corner[3 * entry + 1] = gb
    by_corner[3 * entry + 2] = gc
    if by_lens.shape[0] > 0:
        by_lens[entry] = on_lens


def interpolate(
    projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View,
    launcher: Launcher,
) -> Float[Tensor, "H W 3"]:
    """Barycentric coordinates at pixel centres, zero where nothing is seen; ``depth`` is made exact in place."""
    weights = torch.empty(view.height, view.width, 3, device=faces.device)
    owners, shape = pixel_owners(bins, view, launcher)
    launcher.run(
        _locate, owners, array(faces), array(projected.camera, 3), array(face_id), lens_of(view), *shape, array(weights, 3), array(depth),
        items=face_id.numel(),
    )
    return weights


def shown_faces(faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], launcher: Launcher) -> Int[Tensor, " F"]:
    """1 for faces that pixels show, else 0."""
    height, width = face_id.shape
    shown = torch.zeros(len(faces), dtype=torch.int32, device=faces.device)
    launcher.run(_show, height, width, array(face_id), array(shown), items=face_id.numel())
    return shown


def pull_corners(
    projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher,
    by_weight: Float[Tensor, "H W 3"], by_depth: Float[Tensor, "H W"] | None, grad_camera: Float[Tensor, "V 3"], intrinsics: bool,
) -> Float[Tensor, " 4"] | None:
    """Adds the gradient for vertices in camera space to ``grad_camera``; exact within faces.

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
        array(place), array(by_corner, 3), array(by_lens, 4), items=face_id.numel(),
    )
    add_into(grad_camera, place, by_corner, launcher)
    return None if by_lens is None else by_lens.double().sum(0).float()
