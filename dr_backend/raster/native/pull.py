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
from .interpolate import WITHIN, Lens, Run, lens_of, ray, run_end, run_of
from .launch import Launcher, array, inside_kernel
from .lookup import slope_run
from .rasterize import pixel_owners, shape_of, span
from .sums import add_into
from .texture import Image, Textures, image_of

Vec4s = wp.array(dtype=wp.vec4)


@inside_kernel
def _steps(
    first: int, face_id: Ints, width: int, height: int, own_width: int, own_height: int, own_columns: int, by_weight: Vec3s, uvs: Vec2s,
    face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s, shown: Ints, step: Floats,
):
    """What each pixel's gradients mean for moving its point towards corner b, and towards c; marks the faces that pixels show.

    Several owners may write the same mark. The owner is a rectangle of pixels.
    """
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        x = int(x0)
        while x < wp.min(x0 + own_width, width):
            f = face_id[y * width + x]
            stop = run_end(face_id, y * width, x, wp.min(x0 + own_width, width))
            if f >= 0:
                shown[f] = 1
                image = Image()
                if by_rgb.shape[0] > 0:
                    image = image_of(table, face_material[f])
                if image.width > 0:
                    to_b, to_c = uvs[3 * f + 1] - uvs[3 * f], uvs[3 * f + 2] - uvs[3 * f]
                    slope_run(image, y * width + x, stop - x, to_b, to_c, texels, coarse, address, by_rgb, step)
                weigh_run(y * width + x, stop - x, int(image.width > 0), by_weight, step)
            x = stop


@wp.func_native("""
for (int n = pixel; n < pixel + count; ++n) {
    float &to_b = step.data[n], &to_c = step.data[n + step.shape[0] / 2];
    if (!painted) to_b = to_c = 0.0f;
    if (!by_weight.data) continue;
    to_b += by_weight.data[n][1] - by_weight.data[n][0];
    to_c += by_weight.data[n][2] - by_weight.data[n][0];
}
""")
def weigh_run(pixel: int, count: int, painted: int, by_weight: Vec3s, step: Floats):
    """Adds what gradients for barycentric coordinates mean, if there are any, to what those for colours do where the run is painted."""
    ...


@wp.func_native("""
wp::mat_t<4, 4, wp::float32> result(0.0f);
for (int n = 0; n < count; ++n) {
    if (face_id.data[pixel + n] != face) continue;""" + WITHIN + """
    const float x = sight[0] + (float)n * stride;
    const wp::vec3 d = perspective ? wp::vec3(x, sight[1], -1.0f) : wp::vec3(0.0f, 0.0f, -1.0f);
    wp::vec3 asked = wp::cross(d, step.data[pixel + n] * eb + step.data[pixel + n + face_id.shape[0]] * ec);
    if (by_depth.data) asked -= by_depth.data[pixel + n] * normal;
    asked = (run.side * scale) * asked;
    for (int k = 0; k < 3; ++k) {
        result.data[0][k] += a * asked[k];
        result.data[1][k] += b * asked[k];
        result.data[2][k] += c * asked[k];
    }
    if (by_lens.data) {
        const float reach = perspective ? a * far[0] + b * far[1] + c * far[2] : 1.0f;
        result.data[3][0] += reach * asked[0];
        result.data[3][1] -= reach * asked[1];
        result.data[3][2] += reach * asked[0] * x;
        result.data[3][3] += reach * asked[1] * sight[1];
    }
}
return result;
""")
def pull_row(
    run: Run, face: int, pixel: int, count: int, eb: wp.vec3, ec: wp.vec3, normal: wp.vec3, far: wp.vec3, sight: wp.vec2, stride: float,
    perspective: int, face_id: Ints, step: Floats, by_depth: Floats, by_lens: Vec4s,
) -> wp.mat44:
    """What the pixels of a row that show a face ask of its corners, in rows; if ``by_lens`` is there, in the last centre and focal length.

    The latter times the focal length. ``sight`` is the first pixel's line of sight, whose x grows by ``stride`` from pixel to pixel.
    """
    ...


@wp.func_native("""
while (start < stop && face_id.data[row + start] != face) ++start;
return start;
""")
def first_shown(face_id: Ints, face: int, row: int, start: int, stop: int) -> int:
    """The first of some pixels of a row that shows a face; ``stop`` if none does."""
    ...


@wp.func
def offer(n: int, vertex: int, g: wp.vec3, place: Ints, by_corner: Vec3s):
    """Writes what a vertex is to get."""
    place[n] = vertex
    by_corner[n] = g


@inside_kernel
def _pull(
    first: int, faces: Ints, camera: Vec3s, xy: Vec2s, near: float, entries: Ints, tiles: Ints, tile_width: int, tile_height: int,
    columns: int, face_id: Ints, shown: Ints, lens: Lens, step: Floats, by_depth: Floats, place: Ints, by_corner: Vec3s, by_lens: Vec4s,
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
    normal, eb, ec, far = wp.cross(b - a, c - a), a - c, b - a, wp.vec3(-a[2], -b[2], -c[2])
    asked = wp.mat44(0.0)
    for y in range(top, bottom):
        start, stop = int(left), int(right)
        if whole:
            row = span(shape, y, lens.width)
            start, stop = wp.max(left, row.first), wp.min(right, row.stop)
        start = first_shown(face_id, f, y * lens.width, start, stop)
        if start < stop:
            run = run_of(a, b, c, lens, start, y)
            sight = ray(lens, float(start) + 0.5, float(y) + 0.5)
            asked += pull_row(
                run, f, y * lens.width + start, stop - start, eb, ec, normal, far, sight, 1.0 / lens.focal[0], lens.perspective, face_id,
                step, by_depth, by_lens,
            )
    offer(3 * entry, i, wp.vec3(asked[0, 0], asked[0, 1], asked[0, 2]), place, by_corner)
    offer(3 * entry + 1, j, wp.vec3(asked[1, 0], asked[1, 1], asked[1, 2]), place, by_corner)
    offer(3 * entry + 2, k, wp.vec3(asked[2, 0], asked[2, 1], asked[2, 2]), place, by_corner)
    if by_lens.shape[0] > 0:
        fx, fy = lens.focal[0], lens.focal[1]
        by_lens[entry] = wp.vec4(asked[3, 0] / fx, asked[3, 1] / fy, asked[3, 2] / fx, asked[3, 3] / fy)


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
    count, device = len(bins.entries), faces.device
    owners, rectangle = pixel_owners(bins, view, launcher)
    shown = torch.zeros(len(faces), dtype=torch.int32, device=device)
    step = torch.empty(2, *face_id.shape, device=device)
    launcher.run(
        _steps, owners, array(face_id), view.width, view.height, *rectangle, array(by_weight, 3), *_arguments(painted), array(shown),
        array(step), items=face_id.numel(),
    )
    place = torch.empty(count, 3, dtype=torch.int32, device=device)
    by_corner = torch.empty(count, 3, 3, device=device)
    by_lens = torch.empty(count, 4, device=device) if intrinsics else None
    launcher.run(
        _pull, count, array(faces), array(projected.camera, 3), array(projected.xy, 2), view.near, array(bins.entries), array(bins.tiles),
        bins.width, bins.height, bins.columns, array(face_id), array(shown), lens_of(view), array(step), array(by_depth), array(place),
        array(by_corner, 3), array(by_lens, 4), items=face_id.numel(),
    )
    add_into(grad_camera, place, by_corner, launcher)
    return None if by_lens is None else by_lens.double().sum(0).float()
