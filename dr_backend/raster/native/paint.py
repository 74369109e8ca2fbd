"""Base colours of pixels, and handing their gradients back to textures and faces."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from .. import texture
from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import Lens, barycentric, beside, cross2, lens_of, ray
from .launch import Launcher, array, kernel
from .rasterize import pixel_owners
from .sums import add_into
from .texture import (
    Image,
    Level,
    Taps,
    Textures,
    decode,
    decode_slope,
    floor_of,
    image_of,
    level_of,
    taps_at,
    tidy,
    trilinear,
    trilinear_slope,
)

SHARP = wp.constant(wp.float32(texture.SHARP))


@kernel
def _address(
    first: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, face_id: Ints, lens: Lens,
    own_width: int, own_height: int, own_columns: int, address: Vec3s, depth: Floats, highest_of: Floats,
):
    """Texture coordinates, level and depth at pixel centres, and each owner's highest level. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    last = int(-1)
    a, b, c = wp.vec3(0.0), wp.vec3(0.0), wp.vec3(0.0)
    ta, tb, tc = wp.vec2(0.0), wp.vec2(0.0), wp.vec2(0.0)
    density, highest = float(0.0), float(0.0)
    image = Image()
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        for x in range(x0, wp.min(x0 + own_width, lens.width)):
            pixel = y * lens.width + x
            f = face_id[pixel]
            if f >= 0:
                if f != last:
                    last = f
                    a, b, c = wp.vec3(camera[faces[3 * f]]), wp.vec3(camera[faces[3 * f + 1]]), wp.vec3(camera[faces[3 * f + 2]])
                    ta, tb, tc = wp.vec2(uvs[3 * f]), wp.vec2(uvs[3 * f + 1]), wp.vec2(uvs[3 * f + 2])
                    image = image_of(table, face_material[f])
                    texels = float(image.width) * float(image.height)
                    density = wp.abs(cross2(tb - ta, tc - ta)) * texels / (lens.focal[0] * lens.focal[1])
                sight = ray(lens, float(x) + 0.5, float(y) + 0.5)
                at = barycentric(
                    beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective)
                )
                reach = -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2])
                depth[pixel] = reach
                if lens.perspective == 0:
                    reach = float(1.0)
                covered = density * reach * reach
                number = float(0.0)
                if covered > SHARP * wp.abs(at[3]) and at[3] != 0.0:
                    number = wp.min(0.5 * wp.log2(covered / (SHARP * wp.abs(at[3]))), float(image.levels - 1))
                    highest = wp.max(highest, number)
                uv = at[0] * ta + at[1] * tb + at[2] * tc
                address[pixel] = wp.vec3(tidy(uv[0], image.extension), tidy(uv[1], image.extension), number)
    highest_of[owner] = highest


@kernel
def _paint(
    first: int, face_id: Ints, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s, coarse: Vec3s, address: Vec3s,
    width: int, height: int, own_width: int, own_height: int, own_columns: int, rgb: Vec3s,
):
    """Base colours at pixel centres, black where nothing is seen. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    m = int(-1)
    image = Image()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        for x in range(x0, wp.min(x0 + own_width, width)):
            pixel = y * width + x
            f = face_id[pixel]
            if f < 0:
                rgb[pixel] = wp.vec3(0.0)
            else:
                if face_material[f] != m:
                    m = face_material[f]
                    image = image_of(table, m)
                if image.width == 0:
                    rgb[pixel] = colors[m]
                else:
                    color = trilinear(image, address[pixel], texels, coarse)
                    if image.encoded != 0:
                        color = wp.vec3(decode(color[0]), decode(color[1]), decode(color[2]))
                    rgb[pixel] = color


@kernel
def _unpaint(
    first: int, face_id: Ints, uvs: Vec2s, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s,
    by_rgb: Vec3s, width: int, height: int, own_width: int, own_height: int, own_columns: int, by_weight: Vec3s,
):
    """What the gradient for colours means for barycentric coordinates; where texels are encoded ``by_rgb`` becomes that for these.

    The owner is a rectangle of pixels.
    """
    owner = first + wp.tid()
    m = int(-1)
    image = Image()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        for x in range(x0, wp.min(x0 + own_width, width)):
            pixel = y * width + x
            f = face_id[pixel]
            if f >= 0:
                result = wp.vec3(0.0)
                if face_material[f] != m:
                    m = face_material[f]
                    image = image_of(table, m)
                if image.width > 0:
                    at, g = address[pixel], wp.vec3(by_rgb[pixel])
                    if image.encoded != 0:
                        color = trilinear(image, at, texels, coarse)
                        g = wp.cw_mul(g, wp.vec3(decode_slope(color[0]), decode_slope(color[1]), decode_slope(color[2])))
                        by_rgb[pixel] = g
                    by_uv = trilinear_slope(image, at, g, texels, coarse)
                    result = wp.vec3(wp.dot(by_uv, uvs[3 * f]), wp.dot(by_uv, uvs[3 * f + 1]), wp.dot(by_uv, uvs[3 * f + 2]))
                by_weight[pixel] = result


@wp.func
def mine(row: int, owner: int, owners: int) -> bool:
    """Whether a row of texels belongs to this owner: they take turns, eight rows each."""
    return (row / 8) % owners == owner


@wp.func
def concerns(level: Level, v: float, owner: int, owners: int) -> bool:
    """Whether a lookup in this level may touch a row of the owner's; quicker than finding its texels."""
    if owners == 1:
        return True
    top = floor_of((1.0 - v) * float(level.height) - 0.5)
    if top < 0 or top + 1 >= level.height:
        return True
    return mine(level.row + top, owner, owners) or mine(level.row + top + 1, owner, owners)


@wp.func
def give(level: Level, at: Taps, g: wp.vec3, owner: int, owners: int, total: Vec3s):
    """Adds to the gradient of the texels around a point, as far as their rows belong to the owner."""
    above, below = level.texel + at.top * level.width, level.texel + at.bottom * level.width
    if mine(level.row + at.top, owner, owners):
        total[above + at.left] = total[above + at.left] + (at.down[0] * at.across[0]) * g
        total[above + at.right] = total[above + at.right] + (at.down[0] * at.across[1]) * g
    if mine(level.row + at.bottom, owner, owners):
        total[below + at.left] = total[below + at.left] + (at.down[1] * at.across[0]) * g
        total[below + at.right] = total[below + at.right] + (at.down[1] * at.across[1]) * g


@kernel
def _gather(
    first: int, owners: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s, by_rgb: Vec3s, grad_texels: Vec3s,
    grad_coarse: Vec3s,
):
    """Gradients of texels, each of which has one owner and sums in the order of pixels: so the number of owners does not matter."""
    owner = first + wp.tid()
    m = int(-1)
    image = Image()
    for pixel in range(face_id.shape[0]):
        f = face_id[pixel]
        if f >= 0:
            if face_material[f] != m:
                m = face_material[f]
                image = image_of(table, m)
            if image.width > 0:
                at, g = address[pixel], by_rgb[pixel]
                number = int(at[2])
                share = at[2] - float(number)
                level = level_of(image, number)
                if concerns(level, at[1], owner, owners):
                    taps = taps_at(level, at[0], at[1], image.extension, image.closest)
                    if number == 0:
                        give(level, taps, (1.0 - share) * g, owner, owners, grad_texels)
                    else:
                        give(level, taps, (1.0 - share) * g, owner, owners, grad_coarse)
                if share > 0.0:
                    level = level_of(image, number + 1)
                    if concerns(level, at[1], owner, owners):
                        taps = taps_at(level, at[0], at[1], image.extension, image.closest)
                        give(level, taps, share * g, owner, owners, grad_coarse)


@wp.func
def offer(level: Level, at: Taps, g: wp.vec3, start: int, n: int, place: Ints, value: Vec3s):
    """Writes what the texels around a point are to get."""
    above, below = start + level.texel + at.top * level.width, start + level.texel + at.bottom * level.width
    place[n] = above + at.left
    place[n + 1] = above + at.right
    place[n + 2] = below + at.left
    place[n + 3] = below + at.right
    value[n] = (at.down[0] * at.across[0]) * g
    value[n + 1] = (at.down[0] * at.across[1]) * g
    value[n + 2] = (at.down[1] * at.across[0]) * g
    value[n + 3] = (at.down[1] * at.across[1]) * g


@kernel
def _offer(
    first: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s, by_rgb: Vec3s, texels: int, place: Ints, value: Vec3s
):
    """What each pixel gives to which texels; ``place`` counts the images' texels first, then those of the levels. The owner is a pixel."""
    pixel = first + wp.tid()
    for n in range(8):
        place[8 * pixel + n] = -1
    f = face_id[pixel]
    if f >= 0:
        image = image_of(table, face_material[f])
        if image.width > 0:
            at, g = address[pixel], by_rgb[pixel]
            number = int(at[2])
            share = at[2] - float(number)
            level = level_of(image, number)
            taps = taps_at(level, at[0], at[1], image.extension, image.closest)
            offer(level, taps, (1.0 - share) * g, wp.where(number == 0, 0, texels), 8 * pixel, place, value)
            if share > 0.0:
                level = level_of(image, number + 1)
                taps = taps_at(level, at[0], at[1], image.extension, image.closest)
                offer(level, taps, share * g, texels, 8 * pixel + 4, place, value)


def address(
    projected: Projected, faces: Int[Tensor, "F 3"], uvs: Float[Tensor, "F 3 2"], face_material: Int[Tensor, " F"], textures: Textures,
    face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher,
) -> tuple[Float[Tensor, "H W 3"], float]:
    """Texture coordinates and level of pixels (undefined where nothing is seen), and the highest level. Makes ``depth`` exact."""
    owners, shape = pixel_owners(bins, view, launcher)
    found = torch.empty(view.height, view.width, 3, device=faces.device)
    highest = torch.empty(owners, device=faces.device)
    launcher.run(
        _address, owners, array(faces), array(projected.camera, 3), array(uvs, 2), array(face_material), array(textures.table),
        array(face_id), lens_of(view), *shape, array(found, 3), array(depth), array(highest), items=face_id.numel(),
    )
    return found, float(highest.max())


def paint(
    face_id: Int[Tensor, "H W"], face_material: Int[Tensor, " F"], textures: Textures, where: Float[Tensor, "H W 3"], bins: Bins,
    view: View, launcher: Launcher,
) -> Float[Tensor, "H W 3"]:
    """Base colours of pixels, black where nothing is seen."""
    owners, shape = pixel_owners(bins, view, launcher)
    rgb = torch.empty(view.height, view.width, 3, device=face_id.device)
    launcher.run(
        _paint, owners, array(face_id), array(face_material), array(textures.table), array(textures.colors, 3), array(textures.texels, 3),
        array(textures.coarse, 3), array(where, 3), view.width, view.height, *shape, array(rgb, 3), items=face_id.numel(),
    )
    return rgb


def unpaint(
    face_id: Int[Tensor, "H W"], uvs: Float[Tensor, "F 3 2"], face_material: Int[Tensor, " F"], textures: Textures,
    where: Float[Tensor, "H W 3"], by_rgb: Float[Tensor, "H W 3"], bins: Bins, view: View, launcher: Launcher,
) -> Float[Tensor, "H W 3"]:
    """The gradient for barycentric coordinates, undefined where nothing is seen, from that for colours.

    Where texels are encoded ``by_rgb`` becomes that for encoded colours.
    """
    owners, shape = pixel_owners(bins, view, launcher)
    by_weight = torch.empty(view.height, view.width, 3, device=face_id.device)
    launcher.run(
        _unpaint, owners, array(face_id), array(uvs, 2), array(face_material), array(textures.table), array(textures.texels, 3),
        array(textures.coarse, 3), array(where, 3), array(by_rgb, 3), view.width, view.height, *shape, array(by_weight, 3),
        items=face_id.numel(),
    )
    return by_weight


def gather_texels(
    face_id: Int[Tensor, "H W"], face_material: Int[Tensor, " F"], textures: Textures, where: Float[Tensor, "H W 3"],
    by_rgb: Float[Tensor, "H W 3"], launcher: Launcher, grad_texels: Float[Tensor, "T 3"], grad_coarse: Float[Tensor, "C 3"],
) -> None:
    """Adds a view's gradient for colours to that of the textures and their levels."""
    shared = [array(face_id), array(face_material), array(textures.table), array(where, 3), array(by_rgb, 3)]
    if launcher.device.type == "cpu":
        owners = launcher.threads
        launcher.run(_gather, owners, owners, *shared, array(grad_texels, 3), array(grad_coarse, 3), items=face_id.numel())
        return
    place = torch.empty(face_id.numel(), 8, dtype=torch.int32, device=face_id.device)
    value = torch.empty(face_id.numel(), 8, 3, device=face_id.device)
    launcher.run(_offer, face_id.numel(), *shared, len(grad_texels), array(place), array(value, 3))
    total = torch.cat([grad_texels, grad_coarse])
    add_into(total, place, value, launcher)
    grad_texels.copy_(total[: len(grad_texels)])
    grad_coarse.copy_(total[len(grad_texels) :])
