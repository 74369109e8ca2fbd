"""Reading textures along runs of pixels, and handing gradients back to them.

These innermost loops are C++, which Warp compiles for processors and for CUDA like everything else: of its own statements it makes
code that takes two to three times as long. Each function below says what its text does; the text of ``_TEXELS`` is part of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import warp as wp

from .bins import Floats, Ints, Vec3s
from .texture import Image

# Texel edges lie at 0 and 1, row 0 on top, as in Blender. A clipped image is black outside.
_TEXELS = """
struct Level { int width, height, row; wp::vec3* texel; };
struct Taps {
    int left, right, top, bottom;
    float on_left, on_right, on_top, on_bottom, inside_left, inside_right, inside_top, inside_bottom;
};

const auto level_of = [&](int number) {
    if (number == 0) return Level{image.width, image.height, image.row, texels.data + image.texel};
    Level level{image.width, image.height, image.row, coarse.data + image.coarse};
    for (int step = 0; step < number; ++step) {
        if (step > 0) level.texel += level.width * level.height;
        level.row += level.height;
        level.width = wp::max(1, level.width / 2);
        level.height = wp::max(1, level.height / 2);
    }
    return level;
};
const auto below = [](float value) { const int i = (int)value; return i - ((float)i > value); };
const auto within = [](int i, int size) { return (float)(i >= 0 && i < size); };
const auto wrapped = [&](int i, int size) {
    if (image.extension == 1 || image.extension == 2) return wp::clamp(i, 0, size - 1);
    const int period = image.extension == 3 ? 2 * size : size;
    int j = i % period;
    if (j < 0) j += period;
    return j < size ? j : period - 1 - j;
};
const auto taps_at = [&](const Level& level, const wp::vec3& at) {
    float x = at[0] * (float)level.width - 0.5f, y = (1.0f - at[1]) * (float)level.height - 0.5f;
    if (image.closest) { x = (float)below(x + 0.5f); y = (float)below(y + 0.5f); }
    const int left = below(x), top = below(y);
    x -= (float)left;
    y -= (float)top;
    Taps taps{left, left + 1, top, top + 1, 1.0f - x, x, 1.0f - y, y, 1.0f, 1.0f, 1.0f, 1.0f};
    if (left < 0 || left + 1 >= level.width || top < 0 || top + 1 >= level.height) {
        if (image.extension == 2) {
            taps.inside_left = within(left, level.width);
            taps.inside_right = within(left + 1, level.width);
            taps.inside_top = within(top, level.height);
            taps.inside_bottom = within(top + 1, level.height);
            taps.on_left *= taps.inside_left;
            taps.on_right *= taps.inside_right;
            taps.on_top *= taps.inside_top;
            taps.on_bottom *= taps.inside_bottom;
        }
        taps.left = wrapped(left, level.width);
        taps.right = wrapped(left + 1, level.width);
        taps.top = wrapped(top, level.height);
        taps.bottom = wrapped(top + 1, level.height);
    }
    return taps;
};
const auto look = [&](const Level& level, const wp::vec3& at) {
    const Taps taps = taps_at(level, at);
    const wp::vec3 *above = level.texel + taps.top * level.width, *under = level.texel + taps.bottom * level.width;
    return taps.on_top * (taps.on_left * above[taps.left] + taps.on_right * above[taps.right])
        + taps.on_bottom * (taps.on_left * under[taps.left] + taps.on_right * under[taps.right]);
};
const auto look_between = [&](const wp::vec3& at) {
    const int number = (int)at[2];
    const float share = at[2] - (float)number;
    const wp::vec3 color = look(level_of(number), at);
    return share > 0.0f ? color + share * (look(level_of(number + 1), at) - color) : color;
};
"""


def _with_texels(text: str) -> Callable[..., Any]:
    return wp.func_native(_TEXELS + text)


@_with_texels("""
const auto decode = [](float value) { return value <= 0.04045f ? value / 12.92f : wp::pow((value + 0.055f) / 1.055f, 2.4f); };
for (int n = pixel; n < pixel + count; ++n) {
    const wp::vec3& at = address.data[n];
    if (filtered ? at[2] == 0.0f : at[2] > 0.0f) continue;
    const wp::vec3 color = filtered ? look_between(at) : look(level_of(0), at);
    rgb.data[n] = image.encoded ? wp::vec3(decode(color[0]), decode(color[1]), decode(color[2])) : color;
}
""")
def look_run(image: Image, pixel: int, count: int, filtered: int, texels: Vec3s, coarse: Vec3s, address: Vec3s, rgb: Vec3s):
    """Colours of those pixels of a run that read the image itself, or of those that read smaller levels."""
    ...


@_with_texels("""
const auto slope = [](float value) {
    return value <= 0.04045f ? 1.0f / 12.92f : wp::pow((value + 0.055f) / 1.055f, 1.4f) * (2.4f / 1.055f);
};
const auto slope_in = [&](const Level& level, const wp::vec3& at, const wp::vec3& g) {
    const Taps taps = taps_at(level, at);
    const wp::vec3 *above = level.texel + taps.top * level.width, *under = level.texel + taps.bottom * level.width;
    const float a = wp::dot(g, above[taps.left]), b = wp::dot(g, above[taps.right]);
    const float c = wp::dot(g, under[taps.left]), d = wp::dot(g, under[taps.right]);
    const float on_top = taps.on_left * a + taps.on_right * b, on_bottom = taps.on_left * c + taps.on_right * d;
    const float across = taps.on_top * (taps.inside_right * b - taps.inside_left * a)
        + taps.on_bottom * (taps.inside_right * d - taps.inside_left * c);
    const float down = taps.inside_bottom * on_bottom - taps.inside_top * on_top;
    return wp::vec2(across * (float)level.width, -down * (float)level.height);
};
for (int n = pixel; n < pixel + count; ++n) {
    const wp::vec3& at = address.data[n];
    if (image.encoded) {
        const wp::vec3 color = look_between(at);
        for (int k = 0; k < 3; ++k) by_rgb.data[n][k] *= slope(color[k]);
    }
    wp::vec2 by_uv(0.0f);
    if (!image.closest) {
        const int number = (int)at[2];
        const float share = at[2] - (float)number;
        by_uv = slope_in(level_of(number), at, by_rgb.data[n]);
        if (share > 0.0f) by_uv += share * (slope_in(level_of(number + 1), at, by_rgb.data[n]) - by_uv);
    }
    step.data[n] = by_uv[0] * to_b[0] + by_uv[1] * to_b[1];
    step.data[n + step.shape[0] / 2] = by_uv[0] * to_c[0] + by_uv[1] * to_c[1];
}
""")
def slope_run(
    image: Image, pixel: int, count: int, to_b: wp.vec2, to_c: wp.vec2, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s,
    step: Floats,
):
    """What a run's gradients for colours mean for the barycentric coordinates of b and c; none where the closest texel is read.

    ``to_b`` and ``to_c`` lead from the first corner's texture coordinates to those of the others. Where texels are encoded the
    gradient becomes that for the encoded colour.
    """
    ...


@_with_texels("""
const auto mine = [&](int row) { return ((row >> 3) & mask) == owner; };
const auto give = [&](const Level& level, const wp::vec3& at, const wp::vec3& g) {
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
const Level whole = level_of(0);
const float rows = (float)whole.height, last = rows - 1.5f;
for (int n = pixel; n < pixel + count; ++n) {
    if (face_id.data[n] < 0) continue;
    const wp::vec3 &at = address.data[n], &g = by_rgb.data[n];
    if (at[2] == 0.0f) {
        const float top = (1.0f - at[1]) * rows - 0.5f;  // most pixels are somebody else's: that has to be quick to tell
        const int row = whole.row + (int)top;
        if (mask == 0 || top < 0.0f || top > last || mine(row) || mine(row + 1)) give(whole, at, g);
        continue;
    }
    const int number = (int)at[2];
    const float share = at[2] - (float)number;
    give(level_of(number), at, (1.0f - share) * g);
    if (share > 0.0f) give(level_of(number + 1), at, share * g);
}
""")
def give_run(
    image: Image, pixel: int, count: int, owner: int, mask: int, face_id: Ints, address: Vec3s, by_rgb: Vec3s, texels: Vec3s,
    coarse: Vec3s,
):
    """Adds the gradients of pixels to those of the texels that they read, as far as these are the owner's: rows take turns, eight each."""
    ...


@_with_texels("""
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
""")
def offer(image: Image, pixel: int, address: Vec3s, by_rgb: Vec3s, texels: Vec3s, coarse: Vec3s, place: Ints, value: Vec3s):
    """Writes what a pixel gives to which of up to eight texels; ``texels`` are counted first, then those of the levels."""
    ...
