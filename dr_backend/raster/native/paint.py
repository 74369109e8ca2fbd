"""Base colours of pixels, and handing their gradients back to textures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s, array
from ...kernels.launch import Launch, Launcher, Steps, inside_kernel, kernel, once
from .. import texture
from ..project import Projected, View
from .bins import Bins
from .interpolate import SPOTS, Lens, Runs, count_runs, lens_of
from .lookup import DECODING, STRIP_TEXELS, TEXELS, clear_rows, give_run, offer
from .rasterize import VECTORIZED, pixel_owners
from .strips import EACH_RUN, EACH_STRETCH, STRIPS
from .sums import add_into
from .texture import FIELDS, Textures, spread_levels


@wp.func_native("""
while (pixel < end && face_id.data[pixel] < 0) ++pixel;
return pixel;
""")
def next_seen(pixel: int, end: int, face_id: Ints) -> int:
    """The first of some pixels that shows a face."""
    ...


@wp.func_native(once(TEXELS + SPOTS + STRIPS + STRIP_TEXELS + DECODING + f"const float sharp = {texture.SHARP}f;" + """
const auto kept = [](float value) { return value < -1.0e4f ? -1.0e4f : value > 1.0e4f ? 1.0e4f : value; };
const float per_area = 1.0f / (sharp * lens.focal[0] * lens.focal[1]);
wp::vec3 *const colored = rgb.data, *const addresses = address.data, *const weighed = weights.data;
float *const depths = depth.data, a[room], b[room], c[room], distance[room], highest = 0.0f;
int found = 0;
""" + EACH_STRETCH + """
        if (material < 0) {
            for (int k = from; k < to; ++k) colored[base + k] = wp::vec3(0.0f);
            if (weighed) for (int k = from; k < to; ++k) weighed[base + k] = wp::vec3(0.0f);
            continue;
        }
        image = image_of(material);
        const float texels_per_area = (float)image.width * (float)image.height * per_area;
""" + EACH_RUN + """
            found += !old;
            const wp::vec2 *uv = uvs.data + 3 * face, tp = uv[0], tq = uv[1], tr = uv[2], along = tq - tp, beside = tr - tp;
            const float density = wp::abs(along[0] * beside[1] - along[1] * beside[0]) * texels_per_area;
            for (int first = start; first < stop; first += lanes) {
                for (int k = first; k < first + lanes; ++k) {
                    const Spot at = run.at((float)(k - start));
                    a[k] = at.a, b[k] = at.b, c[k] = at.c;
                    distance[k] = -(at.a * p[2] + at.b * q[2] + at.c * r[2]);
                    u[k] = kept(at.a * tp[0] + at.b * tq[0] + at.c * tr[0]);
                    v[k] = kept(at.a * tp[1] + at.b * tq[1] + at.c * tr[1]);
                    level[k] = density * at.scale * (lens.perspective ? distance[k] * distance[k] : 1.0f);  // texels covered, for now
                }
            }
        }
        int small = 0;
""" + VECTORIZED + """
        for (int k = from; k < to; ++k) {
            depths[base + k] = distance[k];
            small |= level[k] > 1.0f;
        }
        if (weighed) for (int k = from; k < to; ++k) weighed[base + k] = wp::vec3(a[k], b[k], c[k]);
        if (image.width == 0) {
            for (int k = from; k < to; ++k) colored[base + k] = colors.data[material];
            continue;
        }
        const float top = (float)(image.levels - 1);
        for (int k = from; k < to; ++k) {
            level[k] = small && level[k] > 1.0f ? wp::min(0.5f * wp::log2(level[k]), top) : 0.0f;
            highest = level[k] > highest ? level[k] : highest;
        }
        if (image.extension == 0) {
""" + VECTORIZED + """
            for (int k = from; k < to; ++k) {
                u[k] -= wp::floor(u[k]);
                v[k] -= wp::floor(v[k]);
            }
        }
        if (addresses) for (int k = from; k < to; ++k) addresses[base + k] = wp::vec3(u[k], v[k], level[k]);
        place_texels(from, to);
        for (int k = from; k < to; ++k) colored[base + k] = color_at(k);
        if (image.encoded) {
            float* const values = &colored[base][0];
""" + VECTORIZED + """
            for (int k = 3 * from; k < 3 * to; ++k) values[k] = decode(values[k]);
        }
    }
}
return wp::vec2((float)found, highest);
"""))
def paint_row(
    x: int, y: int, count: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s,
    coarse: Vec3s, face_id: Ints, lens: Lens, address: Vec3s, weights: Vec3s, depth: Floats, rgb: Vec3s,
) -> wp.vec2:
    """Depth and base colours of pixels of a row, black where nothing is seen.

    Texture coordinates, level and barycentric coordinates too, if there is room for them. Texture coordinates lose the whole repeats that
    would cost their fraction, and are never too large for a number of texels. Returns the number of runs that show a face, and the
    highest level.
    """
    ...


@inside_kernel
def _paint(
    first: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s, coarse: Vec3s,
    face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int, address: Vec3s, weights: Vec3s, depth: Floats,
    runs: Ints, highest_of: Floats, rgb: Vec3s,
):
    """See ``paint_row``; each owner's highest level. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    highest = float(0.0)
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        found = paint_row(
            x0, y, wp.min(own_width, lens.width - x0), faces, camera, uvs, face_material, table, colors, texels, coarse, face_id, lens,
            address, weights, depth, rgb,
        )
        runs[y * own_columns + column] = int(found[0])
        highest = wp.max(highest, found[1])
    highest_of[owner] = highest


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
    first: int, mask: int, single: int, fresh: int, filtered: int, face_id: Ints, face_material: Ints, table: Ints, address: Vec3s,
    by_rgb: Vec3s, grad_texels: Vec3s, grad_coarse: Vec3s,
):
    """Gradients of texels, each of which has one owner and sums in the order of pixels: so the number of owners does not matter.

    With ``fresh`` they are cleared first; those of smaller levels only if something is ``filtered``.
    """
    owner = first + wp.tid()
    if fresh != 0:
        clear_rows(table, owner, mask, filtered, grad_texels, grad_coarse)
    end = face_id.shape[0]
    pixel = next_seen(0, end, face_id)
    while pixel < end:
        material = face_material[face_id[pixel]]
        stop = material_end(pixel, end, single, face_id, face_material)
        if table[material * FIELDS] > 0:
            give_run(table, material, pixel, stop - pixel, owner, mask, face_id, address, by_rgb, grad_texels, grad_coarse)
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
        material = face_material[f]
        if table[material * FIELDS] > 0:
            offer(table, material, pixel, address, by_rgb, texels, coarse, place, value)


def paint(
    projected: Projected, faces: Int[Tensor, "F 3"], uvs: Float[Tensor, "F 3 2"], face_material: Int[Tensor, " F"], textures: Textures,
    face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher, weigh: bool,
) -> Steps[tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W 3"], Float[Tensor, "H W 3"] | None, Runs, float]]:
    """Base colours of pixels, texture coordinates and level, and with ``weigh`` barycentric coordinates.

    Where nothing is seen the first and the last are zero, the second undefined. Makes ``depth`` exact.

    Returns:
        These three, the runs, and the highest level.
    """
    owners, shape = pixel_owners(bins, view, launcher)
    rgb = torch.empty(view.height, view.width, 3, device=faces.device)
    address, weights = torch.empty_like(rgb), torch.empty_like(rgb) if weigh else None
    highest = torch.empty(owners, device=faces.device)
    runs = torch.empty(view.height * shape[2], dtype=torch.int32, device=faces.device)
    yield Launch(
        _paint, owners, array(faces), array(projected.camera, 3), array(uvs, 2), array(face_material), array(textures.table),
        array(textures.colors, 3), array(textures.texels, 3), array(textures.coarse, 3), array(face_id), lens_of(view), *shape,
        array(address, 3), array(weights, 3), array(depth), array(runs), array(highest), array(rgb, 3),
        items=face_id.numel(),
    )
    return rgb, address, weights, count_runs(runs), float(highest.max())


def texel_gradients(
    views: Sequence[tuple[Int[Tensor, "_ _"], Float[Tensor, "_ _ 3"], Float[Tensor, "_ _ 3"]]], face_material: Int[Tensor, " F"],
    textures: Textures, filtered: bool, launcher: Launcher,
) -> Steps[Float[Tensor, "T 3"]]:
    """The gradient for all texels from faces, texture coordinates and the gradient for colours of each view's pixels.

    ``filtered`` says whether any pixel reads a smaller level.
    """
    grad_texels, grad_coarse = torch.empty_like(textures.texels), torch.empty_like(textures.coarse)
    on_cpu = launcher.device.type == "cpu"
    if not views or not on_cpu:
        grad_texels.zero_()
        grad_coarse.zero_()
    for number, (face_id, where, by_rgb) in enumerate(views):
        shared = [array(face_id), array(face_material), array(textures.table), array(where, 3), array(by_rgb, 3)]
        pixels = face_id.numel()
        if on_cpu:
            owners = 1 << (launcher.threads.bit_length() - 1)  # a power of two: whose turn it is must be quick to tell
            flags = int(len(textures.sizes) == 1), int(number == 0), int(filtered)
            yield Launch(_gather, owners, owners - 1, *flags, *shared, array(grad_texels, 3), array(grad_coarse, 3), items=pixels)
            continue
        place = torch.empty(pixels, 8, dtype=torch.int32, device=face_id.device)
        value = torch.empty(pixels, 8, 3, device=face_id.device)
        yield Launch(_offer, pixels, *shared, array(grad_texels, 3), array(grad_coarse, 3), array(place), array(value, 3))
        total = torch.cat([grad_texels, grad_coarse])
        yield from add_into(total, place, value, launcher)
        grad_texels.copy_(total[: len(grad_texels)])
        grad_coarse.copy_(total[len(grad_texels) :])
    if filtered:
        yield spread_levels(textures, grad_texels, grad_coarse)
    return grad_texels
