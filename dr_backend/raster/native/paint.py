"""Base colours of pixels, and handing their gradients back to textures."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from .. import texture
from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import Lens, cross2, lens_of, run_end, run_of, within
from .launch import Launcher, array, inside_kernel, kernel
from .rasterize import pixel_owners
from .sums import add_into
from .texture import (
    Image,
    Level,
    Taps,
    Textures,
    decode,
    floor_of,
    image_of,
    level_of,
    lookup_at,
    taps_at,
    tidy,
    trilinear,
)

SHARP = wp.constant(wp.float32(texture.SHARP))


@inside_kernel
def _paint(
    first: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s, coarse: Vec3s,
    face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int, address: Vec3s, weights: Vec3s, depth: Floats,
    highest_of: Floats, rgb: Vec3s,
):
    """Texture coordinates, level, depth and base colours at pixel centres, black where nothing is seen; each owner's highest level.

    Barycentric coordinates too, if there is room for them. Pixels that read a smaller level are left to ``_repaint``. The owner is a
    rectangle of pixels.
    """
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    highest = float(0.0)
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        x = int(x0)
        while x < wp.min(x0 + own_width, lens.width):
            f = face_id[y * lens.width + x]
            stop = run_end(face_id, y * lens.width, x, wp.min(x0 + own_width, lens.width))
            if f < 0:
                for pixel in range(y * lens.width + x, y * lens.width + stop):
                    rgb[pixel] = wp.vec3(0.0)
                    if weights.shape[0] > 0:
                        weights[pixel] = wp.vec3(0.0)
            else:
                a, b, c = camera[faces[3 * f]], camera[faces[3 * f + 1]], camera[faces[3 * f + 2]]
                ta, tb, tc = uvs[3 * f], uvs[3 * f + 1], uvs[3 * f + 2]
                run = run_of(a, b, c, lens, x, y)
                m = face_material[f]
                image = image_of(table, m)
                texels_per_area = wp.abs(cross2(tb - ta, tc - ta)) * float(image.width) * float(image.height)
                density = texels_per_area / (SHARP * lens.focal[0] * lens.focal[1])
                for number in range(stop - x):
                    pixel = y * lens.width + x + number
                    at = within(run, number)
                    far = -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2])
                    depth[pixel] = far
                    if weights.shape[0] > 0:
                        weights[pixel] = wp.vec3(at[0], at[1], at[2])
                    if image.width == 0:
                        rgb[pixel] = colors[m]
                    else:
                        covered = density * wp.abs(at[3]) * wp.where(lens.perspective != 0, far * far, 1.0)
                        level = level_for(covered, image)
                        highest = wp.max(highest, level)
                        uv = at[0] * ta + at[1] * tb + at[2] * tc
                        where = wp.vec3(tidy(uv[0], image.extension), tidy(uv[1], image.extension), level)
                        address[pixel] = where
                        if level == 0.0:
                            rgb[pixel] = shown_as(image, lookup_at(image, 0, where, texels, coarse))
            x = stop
    highest_of[owner] = highest


@wp.func
def level_for(covered: float, image: Image) -> float:
    """The level to read, of an image of which a pixel covers so many times the texels that are read as they are."""
    if covered <= 1.0:
        return 0.0
    return wp.min(0.5 * wp.log2(covered), float(image.levels - 1))


@wp.func
def shown_as(image: Image, color: wp.vec3) -> wp.vec3:
    """A colour as it looks, from one as the image's texels hold it."""
    if image.encoded != 0:
        return wp.vec3(decode(color[0]), decode(color[1]), decode(color[2]))
    return color


@inside_kernel
def _repaint(
    first: int, face_id: Ints, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, width: int, height: int,
    own_width: int, own_height: int, own_columns: int, rgb: Vec3s,
):
    """Base colours at pixel centres that read a smaller level. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        for x in range(x0, wp.min(x0 + own_width, width)):
            pixel = y * width + x
            f = face_id[pixel]
            if f >= 0:
                image = image_of(table, face_material[f])
                if image.width > 0:
                    at = address[pixel]
                    if at[2] > 0.0:
                        rgb[pixel] = shown_as(image, trilinear(image, at, texels, coarse))


@wp.func
def mine(row: int, owner: int, mask: int) -> bool:
    """Whether a row of texels belongs to this owner: they take turns, eight rows each."""
    return ((row >> 3) & mask) == owner


@wp.func
def concerns(level: Level, v: float, owner: int, mask: int) -> bool:
    """Whether a lookup in this level may touch a row of the owner's; quicker than finding its texels."""
    if mask == 0:
        return True
    top = floor_of((1.0 - v) * float(level.height) - 0.5)
    if top < 0 or top + 1 >= level.height:
        return True
    return mine(level.row + top, owner, mask) or mine(level.row + top + 1, owner, mask)


@wp.func
def give(level: Level, at: Taps, g: wp.vec3, owner: int, mask: int, total: Vec3s):
    """Adds to the gradient of the texels around a point, as far as their rows belong to the owner."""
    above, below = level.texel + at.top * level.width, level.texel + at.bottom * level.width
    if mine(level.row + at.top, owner, mask):
        share = at.on_top * g
        total[above + at.left] = total[above + at.left] + at.on_left * share
        total[above + at.right] = total[above + at.right] + at.on_right * share
    if mine(level.row + at.bottom, owner, mask):
        share = at.on_bottom * g
        total[below + at.left] = total[below + at.left] + at.on_left * share
        total[below + at.right] = total[below + at.right] + at.on_right * share


@kernel
def _gather(
    first: int, mask: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s, by_rgb: Vec3s, grad_texels: Vec3s,
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
                if concerns(level, at[1], owner, mask):
                    taps = taps_at(level, at[0], at[1], image.extension, image.closest)
                    if number == 0:
                        give(level, taps, (1.0 - share) * g, owner, mask, grad_texels)
                    else:
                        give(level, taps, (1.0 - share) * g, owner, mask, grad_coarse)
                if share > 0.0:
                    level = level_of(image, number + 1)
                    if concerns(level, at[1], owner, mask):
                        taps = taps_at(level, at[0], at[1], image.extension, image.closest)
                        give(level, taps, share * g, owner, mask, grad_coarse)


@wp.func
def offer(level: Level, at: Taps, g: wp.vec3, start: int, n: int, place: Ints, value: Vec3s):
    """Writes what the texels around a point are to get."""
    above, below = start + level.texel + at.top * level.width, start + level.texel + at.bottom * level.width
    place[n] = above + at.left
    place[n + 1] = above + at.right
    place[n + 2] = below + at.left
    place[n + 3] = below + at.right
    value[n] = (at.on_top * at.on_left) * g
    value[n + 1] = (at.on_top * at.on_right) * g
    value[n + 2] = (at.on_bottom * at.on_left) * g
    value[n + 3] = (at.on_bottom * at.on_right) * g


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


def paint(
    projected: Projected, faces: Int[Tensor, "F 3"], uvs: Float[Tensor, "F 3 2"], face_material: Int[Tensor, " F"], textures: Textures,
    face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher, weigh: bool,
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W 3"], Float[Tensor, "H W 3"] | None, float]:
    """Base colours of pixels that need no smaller level, texture coordinates and level of all, and with ``weigh`` barycentric coordinates.

    Where nothing is seen the first and the last are zero, the second undefined. Makes ``depth`` exact.

    Returns:
        These three, and the highest level.
    """
    owners, shape = pixel_owners(bins, view, launcher)
    rgb = torch.empty(view.height, view.width, 3, device=faces.device)
    address, weights = torch.empty_like(rgb), torch.empty_like(rgb) if weigh else None
    highest = torch.empty(owners, device=faces.device)
    launcher.run(
        _paint, owners, array(faces), array(projected.camera, 3), array(uvs, 2), array(face_material), array(textures.table),
        array(textures.colors, 3), array(textures.texels, 3), array(textures.coarse, 3), array(face_id), lens_of(view), *shape,
        array(address, 3), array(weights, 3), array(depth), array(highest), array(rgb, 3), items=face_id.numel(),
    )
    return rgb, address, weights, float(highest.max())


def repaint(
    face_id: Int[Tensor, "H W"], face_material: Int[Tensor, " F"], textures: Textures, address: Float[Tensor, "H W 3"], bins: Bins,
    view: View, launcher: Launcher, rgb: Float[Tensor, "H W 3"],
) -> None:
    """Writes the base colours of pixels that need a smaller level."""
    owners, shape = pixel_owners(bins, view, launcher)
    launcher.run(
        _repaint, owners, array(face_id), array(face_material), array(textures.table), array(textures.texels, 3),
        array(textures.coarse, 3), array(address, 3), view.width, view.height, *shape, array(rgb, 3), items=face_id.numel(),
    )


def gather_texels(
    face_id: Int[Tensor, "H W"], face_material: Int[Tensor, " F"], textures: Textures, where: Float[Tensor, "H W 3"],
    by_rgb: Float[Tensor, "H W 3"], launcher: Launcher, grad_texels: Float[Tensor, "T 3"], grad_coarse: Float[Tensor, "C 3"],
) -> None:
    """Adds a view's gradient for colours to that of the textures and their levels."""
    shared = [array(face_id), array(face_material), array(textures.table), array(where, 3), array(by_rgb, 3)]
    if launcher.device.type == "cpu":
        owners = 1 << (launcher.threads.bit_length() - 1)  # a power of two: whose turn it is must be quick to tell
        launcher.run(_gather, owners, owners - 1, *shared, array(grad_texels, 3), array(grad_coarse, 3), items=face_id.numel())
        return
    place = torch.empty(face_id.numel(), 8, dtype=torch.int32, device=face_id.device)
    value = torch.empty(face_id.numel(), 8, 3, device=face_id.device)
    launcher.run(_offer, face_id.numel(), *shared, len(grad_texels), array(place), array(value, 3))
    total = torch.cat([grad_texels, grad_coarse])
    add_into(total, place, value, launcher)
    grad_texels.copy_(total[: len(grad_texels)])
    grad_coarse.copy_(total[len(grad_texels) :])
