"""Handing the gradients of pixels back to the texels that they read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Ints, Longs, Vec3s
from ...kernels.launch import BLOCKS_PER_THREAD, Launch, Launcher, Work, graphics_kernel, kernel, once
from .lookup import TEXELS
from .strips import STRIP
from .sums import add_into
from .texture import FIELDS, Read, Textures, spread_levels


# Rows of texels are counted over all levels of all images. A group is 2 ** shift of them; an owner has groups that follow each other.
@wp.func_native(once(TEXELS + f"const int most = {STRIP};" + """
const int groups = ((rows - 1) >> shift) + 1, low = groups * owner / owners, high = groups * (owner + 1) / owners;
if (low == high) return;
const unsigned long long own = (high - low == 64 ? ~0ull : (1ull << (high - low)) - 1) << low;
const int first_row = low << shift, last_row = high << shift;
const auto mine = [&](int row) { return row >= first_row && row < last_row; };
if (fresh) {
    for (int material = 0; material < table.shape[0] / fields; ++material) {
        image = image_of(material);
        for (int number = 0; number < (filtered ? image.levels : image.levels > 0); ++number) {
            const Level level = level_of(number);
            const int from = wp::max(first_row - level.row, 0), to = wp::min(last_row - level.row, level.height);
            for (int k = from * level.width; k < to * level.width; ++k) level.texel[k] = wp::vec3(0.0f);
        }
    }
}
const auto add = [](float* pair, float left, float right, const wp::vec3& g) {
    for (int k = 0; k < 3; ++k) {
        pair[k] += left * g[k];
        pair[k + 3] += right * g[k];
    }
};
const auto give = [&](const Level& level, const wp::vec3& at, const wp::vec3& g) {
    const Inner inner = inner_at(level, at[0], at[1]);
    if (inner.above) {
        const int row = level.row + inner.row;
        const float lower = inner.bottom, upper = 1.0f - lower, right = inner.right, left = 1.0f - right;
        if (mine(row)) add(inner.above, upper * left, upper * right, g);
        if (mine(row + 1)) add(inner.under, lower * left, lower * right, g);
        return;
    }
    const Taps taps = taps_at(level, at);
    if (mine(level.row + taps.top)) {
        wp::vec3* above = level.texel + taps.top * level.width;
        above[taps.left] += (taps.on_top * taps.on_left) * g;
        above[taps.right] += (taps.on_top * taps.on_right) * g;
    }
    if (mine(level.row + taps.bottom)) {
        wp::vec3* under = level.texel + taps.bottom * level.width;
        under[taps.left] += (taps.on_bottom * taps.on_left) * g;
        under[taps.right] += (taps.on_bottom * taps.on_right) * g;
    }
};
const int *const seen = face_id.data, *const materials = face_material.data, across = (width + most - 1) / most;
const wp::vec3 *const addresses = address.data, *const by_colors = by_rgb.data;
int material = -1;
Level whole{};
for (int strip = 0; strip < reads.shape[0]; ++strip) {
    if (!(reads.data[strip] & own)) continue;
    const int y = strip / across, x = strip % across * most, first = y * width + x, end = first + wp::min(most, width - x);
    for (int n = first; n < end; ++n) {
        if (seen[n] < 0) continue;
        const int shown = materials ? materials[seen[n]] : 0;
        if (shown != material) {
            material = shown;
            image = image_of(material);
            whole = level_of(0);
        }
        if (image.width == 0) continue;
        const wp::vec3 &at = addresses[n], &g = by_colors[n];
        if (at[2] == 0.0f) {
            give(whole, at, g);
            continue;
        }
        const int number = (int)at[2];
        const float share = at[2] - (float)number;
        give(level_of(number), at, (1.0f - share) * g);
        if (share > 0.0f) give(level_of(number + 1), at, share * g);
    }
}
"""))
def gather(
    owner: int, owners: int, rows: int, shift: int, width: int, fresh: int, filtered: int, face_id: Ints,
    face_material: Ints, table: Ints, address: Vec3s, reads: Longs, by_rgb: Vec3s, texels: Vec3s, coarse: Vec3s,
):
    """Adds the gradients of pixels to those of the texels that they read, as far as these are the owner's.

    With ``fresh`` the owner's are cleared first, those of smaller levels only if something is ``filtered``.
    """
    ...


@kernel
def _gather(
    first: int, owners: int, rows: int, shift: int, width: int, fresh: int, filtered: int, face_id: Ints,
    face_material: Ints, table: Ints, address: Vec3s, reads: Longs, by_rgb: Vec3s, grad_texels: Vec3s, grad_coarse: Vec3s,
):
    """See ``gather``. Each texel has one owner and sums in the order of pixels: so the number of owners does not matter."""
    gather(
        first + wp.tid(), owners, rows, shift, width, fresh, filtered, face_id, face_material, table, address, reads, by_rgb,
        grad_texels, grad_coarse,
    )


@wp.func_native(once(TEXELS + """
image = image_of(material);
const wp::vec3 &at = address.data[pixel], &g = by_rgb.data[pixel];
const int number = (int)at[2];
const float share = at[2] - (float)number;
const auto offer = [&](int number, const wp::vec3& g, int n) {
    const Level level = level_of(number);
    const Taps taps = taps_at(level, at);
    const int start = (int)(number == 0 ? level.texel - texels.data : level.texel - coarse.data + texels.shape[0]);
    const int rows[2] = {taps.top, taps.bottom}, columns[2] = {taps.left, taps.right};
    const float on_rows[2] = {taps.on_top, taps.on_bottom}, on_columns[2] = {taps.on_left, taps.on_right};
    for (int k = 0; k < 4; ++k) {
        place.data[n + k] = start + rows[k / 2] * level.width + columns[k % 2];
        value.data[n + k] = (on_rows[k / 2] * on_columns[k % 2]) * g;
    }
};
offer(number, (1.0f - share) * g, 8 * pixel);
if (share > 0.0f) offer(number + 1, share * g, 8 * pixel + 4);
"""))
def offer(
    table: Ints, material: int, pixel: int, address: Vec3s, by_rgb: Vec3s, texels: Vec3s, coarse: Vec3s, place: Ints, value: Vec3s
):
    """Writes what a pixel gives to which of up to eight texels; ``texels`` are counted first, then those of the levels."""
    ...


@graphics_kernel
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


def texel_gradients(
    views: Sequence[tuple[Int[Tensor, "_ _"], Read, Float[Tensor, "_ _ 3"]]], face_material: Int[Tensor, " F"], textures: Textures,
    filtered: bool, launcher: Launcher,
) -> tuple[Float[Tensor, "*T 3"], list[Work]]:
    """The gradient for all texels from faces, what was read, and the gradient for colours of each view's pixels.

    ``filtered`` says whether anybody read a smaller level. What does it is still to be run.
    """
    on_cpu, sizes = launcher.device.type == "cpu", (textures.texels.numel() // 3, len(textures.coarse))
    if on_cpu and views:
        grad_texels, grad_coarse = launcher.empty(*textures.linear.shape, lasting=True), launcher.empty(sizes[1], 3)
    else:
        total = launcher.zeros(sum(sizes), 3)
        grad_texels, grad_coarse = total.split(sizes)
    work: list[Work] = []
    for number, (face_id, read, by_rgb) in enumerate(views):
        gradients = by_rgb, grad_texels, grad_coarse
        pixels = face_id.numel()
        if on_cpu:
            owners = 1 if launcher.threads == 1 else BLOCKS_PER_THREAD * launcher.threads
            flags = int(number == 0), int(filtered)
            gather = Launch(
                _gather, owners, owners, textures.rows, textures.shift, face_id.shape[1], *flags, face_id,
                textures.of_faces(face_material), textures.table, read.address, read.groups, *gradients, items=pixels,
            )
            work.append(gather)
            continue
        place = launcher.empty(pixels, 8, dtype=torch.int32)
        value = launcher.empty(pixels, 8, 3)
        offered = Launch(_offer, pixels, face_id, face_material, textures.table, read.address, *gradients, place, value)
        work += [offered, add_into(total, place, value, launcher)]
    return grad_texels.view_as(textures.linear), work + (spread_levels(textures, grad_texels, grad_coarse) if filtered else [])
