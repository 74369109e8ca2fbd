"""Base colours of pixels, and handing their gradients back to textures."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from .. import texture
from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec2s, Vec3s
from .interpolate import Lens, color_run, cross2, lens_of, place_run, run_end, run_of
from .launch import Launcher, array, inside_kernel, kernel
from .lookup import give_run, look_run, offer
from .rasterize import pixel_owners
from .sums import add_into
from .texture import Textures, image_of

SHARP = wp.constant(wp.float32(texture.SHARP))


@wp.func_native("""
float highest = 0.0f;
for (int n = pixel; n < pixel + count; ++n) {
    float& level = address.data[n][2];
    level = level > 1.0f ? wp::min(0.5f * wp::log2(level), top) : 0.0f;
    highest = wp::max(highest, level);
}
return highest;
""")
def level_run(pixel: int, count: int, top: float, address: Vec3s) -> float:
    """Writes which level each pixel of a run is to read, in place of the texels that it covers; returns the highest."""
    ...


@wp.func_native("""
while (pixel < end && face_id.data[pixel] < 0) ++pixel;
return pixel;
""")
def next_seen(pixel: int, end: int, face_id: Ints) -> int:
    """The first of some pixels that shows a face."""
    ...


@wp.func_native("""
while (pixel < end && (face_id.data[pixel] < 0 || address.data[pixel][2] <= 0.0f)) ++pixel;
return pixel;
""")
def next_filtered(pixel: int, end: int, face_id: Ints, address: Vec3s) -> int:
    """The first of some pixels that reads a smaller level."""
    ...


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
                color_run(y * lens.width + x, stop - x, wp.vec3(0.0), rgb)
                if weights.shape[0] > 0:
                    color_run(y * lens.width + x, stop - x, wp.vec3(0.0), weights)
            else:
                a, b, c = camera[faces[3 * f]], camera[faces[3 * f + 1]], camera[faces[3 * f + 2]]
                ta, tb, tc = uvs[3 * f], uvs[3 * f + 1], uvs[3 * f + 2]
                run = run_of(a, b, c, lens, x, y)
                m = face_material[f]
                image = image_of(table, m)
                texels_per_area = wp.abs(cross2(tb - ta, tc - ta)) * float(image.width) * float(image.height)
                density = texels_per_area / (SHARP * lens.focal[0] * lens.focal[1])
                place_run(
                    run, y * lens.width + x, stop - x, wp.vec3(-a[2], -b[2], -c[2]), lens.perspective, ta, tb, tc, density,
                    int(image.extension == 0), depth, weights, address,
                )
                if image.width == 0:
                    color_run(y * lens.width + x, stop - x, colors[m], rgb)
                else:
                    highest = wp.max(highest, level_run(y * lens.width + x, stop - x, float(image.levels - 1), address))
                    look_run(image, y * lens.width + x, stop - x, 0, texels, coarse, address, rgb)
            x = stop
    highest_of[owner] = highest


@inside_kernel
def _repaint(
    first: int, face_id: Ints, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, width: int, height: int,
    own_width: int, own_height: int, own_columns: int, rgb: Vec3s,
):
    """Base colours at pixel centres that read a smaller level. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        end = y * width + wp.min(x0 + own_width, width)
        pixel = next_filtered(y * width + x0, end, face_id, address)
        while pixel < end:
            image = image_of(table, face_material[face_id[pixel]])
            if image.width > 0:
                look_run(image, pixel, 1, 1, texels, coarse, address, rgb)
            pixel = next_filtered(pixel + 1, end, face_id, address)


@wp.func_native("""
if (single) return end;
const int material = face_material.data[face_id.data[pixel]];
while (pixel < end && (face_id.data[pixel] < 0 || face_material.data[face_id.data[pixel]] == material)) ++pixel;
return pixel;
""")
def material_end(pixel: int, end: int, single: int, face_id: Ints, face_material: Ints) -> int:
    """The first pixel after one that shows a face of another material; ``single`` where there is but one."""
    ...


@kernel
def _gather(
    first: int, mask: int, single: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s, by_rgb: Vec3s,
    grad_texels: Vec3s, grad_coarse: Vec3s,
):
    """Gradients of texels, each of which has one owner and sums in the order of pixels: so the number of owners does not matter."""
    owner = first + wp.tid()
    end = face_id.shape[0]
    pixel = next_seen(0, end, face_id)
    while pixel < end:
        image = image_of(table, face_material[face_id[pixel]])
        stop = material_end(pixel, end, single, face_id, face_material)
        if image.width > 0:
            give_run(image, pixel, stop - pixel, owner, mask, face_id, address, by_rgb, grad_texels, grad_coarse)
        pixel = next_seen(stop, end, face_id)


@kernel
def _offer(
    first: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s, by_rgb: Vec3s, texels: Vec3s, coarse: Vec3s,
    place: Ints, value: Vec3s,
):
    """What each pixel gives to which texels; ``place`` counts the images' texels first, then those of the levels. The owner is a pixel."""
    pixel = first + wp.tid()
    for n in range(8):
        place[8 * pixel + n] = -1
    f = face_id[pixel]
    if f >= 0:
        image = image_of(table, face_material[f])
        if image.width > 0:
            offer(image, pixel, address, by_rgb, texels, coarse, place, value)


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
        single = int(len(textures.sizes) == 1)
        launcher.run(
            _gather, owners, owners - 1, single, *shared, array(grad_texels, 3), array(grad_coarse, 3), items=face_id.numel()
        )
        return
    place = torch.empty(face_id.numel(), 8, dtype=torch.int32, device=face_id.device)
    value = torch.empty(face_id.numel(), 8, 3, device=face_id.device)
    launcher.run(_offer, face_id.numel(), *shared, array(grad_texels, 3), array(grad_coarse, 3), array(place), array(value, 3))
    total = torch.cat([grad_texels, grad_coarse])
    add_into(total, place, value, launcher)
    grad_texels.copy_(total[: len(grad_texels)])
    grad_coarse.copy_(total[len(grad_texels) :])
