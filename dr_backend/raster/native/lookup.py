"""Reading textures along runs of pixels, and handing gradients back to them.

These innermost loops are C++, which Warp compiles for processors and for CUDA like everything else: of its own statements it makes
code that takes two to three times as long. Each function below says what its text does; the text of ``_TEXELS`` is part of all.
"""

from __future__ import annotations

import warp as wp

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s, Vec4s
from ...kernels.launch import once
from .. import texture
from .interpolate import CORNERS, RUNS, SPOTS, Lens
from .texture import FIELDS

# Texel edges lie at 0 and 1, row 0 on top, as in Blender. A clipped image is black outside.
_TEXELS = f"const int fields = {FIELDS};" + """
struct Image { int width, height, extension, levels, texel, coarse, row, closest, encoded; };
const auto image_of = [&](int material) {
    const int* line = table.data + fields * material;
    return Image{line[0], line[1], line[2], line[3], line[4], line[5], line[6], line[7], line[8]};
};
Image image{};
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
struct Inner { float *above, *under; float right, bottom; int row; };  // four texels of which none lies beyond the image's edge
const auto inner_at = [&](const Level& level, float u, float v) {
    const float x = u * (float)level.width - 0.5f, y = (1.0f - v) * (float)level.height - 0.5f;
    const int left = (int)x, top = (int)y;
    if (!(x >= 0.0f && y >= 0.0f && left + 1 < level.width && top + 1 < level.height) || image.closest) return Inner{nullptr};
    float* above = &level.texel[top * level.width + left][0];
    return Inner{above, above + 3 * level.width, x - (float)left, y - (float)top, top};
};
const auto look = [&](const Level& level, float u, float v) {
    const Inner inner = inner_at(level, u, v);
    if (inner.above) {
        const float *above = inner.above, *under = inner.under, right = inner.right, bottom = inner.bottom;
        const float e = (1.0f - right) * (1.0f - bottom), f = right * (1.0f - bottom), g = (1.0f - right) * bottom, h = right * bottom;
        return wp::vec3(
            e * above[0] + f * above[3] + g * under[0] + h * under[3], e * above[1] + f * above[4] + g * under[1] + h * under[4],
            e * above[2] + f * above[5] + g * under[2] + h * under[5]);
    }
    const Taps taps = taps_at(level, wp::vec3(u, v, 0.0f));
    const wp::vec3 *above = level.texel + taps.top * level.width, *under = level.texel + taps.bottom * level.width;
    return taps.on_top * (taps.on_left * above[taps.left] + taps.on_right * above[taps.right])
        + taps.on_bottom * (taps.on_left * under[taps.left] + taps.on_right * under[taps.right]);
};
const auto look_between = [&](const wp::vec3& at) {
    const int number = (int)at[2];
    const float share = at[2] - (float)number;
    const wp::vec3 color = look(level_of(number), at[0], at[1]);
    return share > 0.0f ? color + share * (look(level_of(number + 1), at[0], at[1]) - color) : color;
};
"""


@wp.func_native(once(_TEXELS + SPOTS + f"const float sharp = {texture.SHARP}f;" + """
const auto decode = [](float value) { return value <= 0.04045f ? value / 12.92f : wp::pow((value + 0.055f) / 1.055f, 2.4f); };
const auto kept = [](float value) { return value < -1.0e4f ? -1.0e4f : value > 1.0e4f ? 1.0e4f : value; };
const float per_area = 1.0f / (sharp * lens.focal[0] * lens.focal[1]);
int material = -1, found = 0;
float highest = 0.0f;
""" + RUNS + """
    if (face < 0) {
        for (int k = start; k < n; ++k) rgb.data[k] = wp::vec3(0.0f);
        if (weights.data) for (int k = start; k < n; ++k) weights.data[k] = wp::vec3(0.0f);
        continue;
    }
    ++found;
    if (face_material.data[face] != material) {
        material = face_material.data[face];
        image = image_of(material);
    }""" + CORNERS + """
    const wp::vec2 tp = uvs.data[3 * face], tq = uvs.data[3 * face + 1], tr = uvs.data[3 * face + 2], along = tq - tp, beside = tr - tp;
    const float texels_per_area = wp::abs(along[0] * beside[1] - along[1] * beside[0]) * (float)image.width * (float)image.height;
    const float density = texels_per_area * per_area, top = (float)(image.levels - 1);
    for (int k = start; k < n; ++k) {
        const Spot at = run.at((float)(k - start));
        const float distance = -(at.a * p[2] + at.b * q[2] + at.c * r[2]);
        depth.data[k] = distance;
        if (weights.data) weights.data[k] = wp::vec3(at.a, at.b, at.c);
        const float u = kept(at.a * tp[0] + at.b * tq[0] + at.c * tr[0]), v = kept(at.a * tp[1] + at.b * tq[1] + at.c * tr[1]);
        const float covered = density * at.scale * (lens.perspective ? distance * distance : 1.0f);
        const float level = covered > 1.0f ? wp::min(0.5f * wp::log2(covered), top) : 0.0f;
        highest = level > highest ? level : highest;
        address.data[k] = image.extension == 0 ? wp::vec3(u - wp::floor(u), v - wp::floor(v), level) : wp::vec3(u, v, level);
    }
    if (image.width == 0) for (int k = start; k < n; ++k) rgb.data[k] = colors.data[material];
    else for (int k = start; k < n; ++k) {
        const wp::vec3& at = address.data[k];
        const wp::vec3 color = at[2] == 0.0f ? look(level_of(0), at[0], at[1]) : look_between(at);
        rgb.data[k] = image.encoded ? wp::vec3(decode(color[0]), decode(color[1]), decode(color[2])) : color;
    }
}
return wp::vec2((float)found, highest);
"""))
def paint_row(
    x: int, y: int, count: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s,
    coarse: Vec3s, face_id: Ints, lens: Lens, address: Vec3s, weights: Vec3s, depth: Floats, rgb: Vec3s,
) -> wp.vec2:
    """Texture coordinates, level, depth and base colours of pixels of a row, black where nothing is seen.

    Barycentric coordinates too if there is room for them. Texture coordinates lose the whole repeats that would cost their fraction, and
    are never too large for a number of texels. Returns the number of runs that show a face, and the highest level.
    """
    ...


@wp.func_native(once(_TEXELS + SPOTS + """
const auto slope = [](float value) {
    return value <= 0.04045f ? 1.0f / 12.92f : wp::pow((value + 0.055f) / 1.055f, 1.4f) * (2.4f / 1.055f);
};
const auto slope_in = [&](const Level& level, const wp::vec3& at, const wp::vec3& g) {
    const Inner inner = inner_at(level, at[0], at[1]);
    if (inner.above) {
        const float *above = inner.above, *under = inner.under;
        const float a = g[0] * above[0] + g[1] * above[1] + g[2] * above[2], b = g[0] * above[3] + g[1] * above[4] + g[2] * above[5];
        const float c = g[0] * under[0] + g[1] * under[1] + g[2] * under[2], d = g[0] * under[3] + g[1] * under[4] + g[2] * under[5];
        const float across = (b - a) + inner.bottom * ((d - c) - (b - a)), down = (c - a) + inner.right * ((d - b) - (c - a));
        return wp::vec2(across * (float)level.width, -down * (float)level.height);
    }
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
const auto slope_at = [&](int n) {  // what the gradient for a pixel's colour means for its texture coordinates
    const wp::vec3& at = address.data[n];
    if (image.encoded) {
        const wp::vec3 color = look_between(at);
        for (int k = 0; k < 3; ++k) by_rgb.data[n][k] *= slope(color[k]);
    }
    if (image.closest) return wp::vec2(0.0f, 0.0f);
    const int number = (int)at[2];
    const float share = at[2] - (float)number;
    const wp::vec2 by_uv = slope_in(level_of(number), at, by_rgb.data[n]);
    return share > 0.0f ? by_uv + share * (slope_in(level_of(number + 1), at, by_rgb.data[n]) - by_uv) : by_uv;
};
int record = first;
""" + RUNS + """
    if (face < 0) continue;
    if (by_rgb.data) image = image_of(face_material.data[face]);""" + CORNERS + """
    const wp::vec3 to_q = q - p, to_r = r - p, normal = wp::cross(to_q, to_r);
    const wp::vec2 *uv = uvs.data + 3 * face;
    const float stride = 1.0f / lens.focal[0];
    wp::vec3 by_p(0.0f), by_q(0.0f), by_r(0.0f);
    wp::vec4 by_all(0.0f);
    for (int k = start; k < n; ++k) {
        const Spot at = run.at((float)(k - start));
        float on_q = 0.0f, on_r = 0.0f;  // what moving the point towards q, and towards r, means
        if (image.width) {
            const wp::vec2 by_uv = slope_at(k);
            on_q = wp::dot(by_uv, uv[1] - uv[0]);
            on_r = wp::dot(by_uv, uv[2] - uv[0]);
        }
        if (by_weight.data) {
            on_q += by_weight.data[k][1] - by_weight.data[k][0];
            on_r += by_weight.data[k][2] - by_weight.data[k][0];
        }
        const float right = left + (float)(k - start) * stride;
        const wp::vec3 sight = lens.perspective ? wp::vec3(right, up, -1.0f) : wp::vec3(0.0f, 0.0f, -1.0f);
        wp::vec3 asked = wp::cross(sight, on_r * to_q - on_q * to_r);
        if (by_depth.data) asked -= by_depth.data[k] * normal;
        asked = (at.side * at.scale) * asked;
        by_p += at.a * asked;
        by_q += at.b * asked;
        by_r += at.c * asked;
        if (!by_lens.data) continue;
        const float reach = lens.perspective ? -(at.a * p[2] + at.b * q[2] + at.c * r[2]) : 1.0f;
        by_all += reach * wp::vec4(asked[0], -asked[1], asked[0] * right, asked[1] * up);
    }
    for (int corner = 0; corner < 3; ++corner) {
        place.data[3 * record + corner] = corners[corner];
        by_corner.data[3 * record + corner] = corner == 0 ? by_p : corner == 1 ? by_q : by_r;
    }
    if (by_lens.data) {
        const float fx = lens.focal[0], fy = lens.focal[1];
        by_lens.data[record] = wp::vec4(by_all[0] / fx, by_all[1] / fy, by_all[2] / fx, by_all[3] / fy);
    }
    ++record;
}
"""))
def pull_row(
    x: int, y: int, count: int, first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, by_weight: Vec3s, by_depth: Floats,
    uvs: Vec2s, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s, place: Ints,
    by_corner: Vec3s, by_lens: Vec4s,
):
    """What each run of a part of a row asks of its face's corners, and if there is room of the centre and the focal length.

    ``first`` is the number of the first run that shows a face. Colours ask for nothing where the closest texel is read; where texels
    are encoded their gradient becomes that for the encoded colour.

    With d a pixel's line of sight, n the face's normal and e_i the edge opposite corner i, a corner j that moves by δ changes the
    barycentric coordinates by -b_j (d × e_i) · δ / (n · d), and the depth by b_j n · δ / (n · d).
    """
    ...


@wp.func_native(once(_TEXELS + """
for (int material = 0; material < table.shape[0] / fields; ++material) {
    image = image_of(material);
    for (int number = 0; number < (filtered ? image.levels : image.levels > 0); ++number) {
        const Level level = level_of(number);
        for (int row = 0; row < level.height; ++row)
            if ((((level.row + row) >> 3) & mask) == owner)
                for (int k = 0; k < level.width; ++k) level.texel[row * level.width + k] = wp::vec3(0.0f);
    }
}
"""))
def clear_rows(table: Ints, owner: int, mask: int, filtered: int, texels: Vec3s, coarse: Vec3s):
    """Clears the owner's rows of all images, see ``give_run``; those of smaller levels only if something is ``filtered``."""
    ...


@wp.func_native(once(_TEXELS + """
const auto mine = [&](int row) { return ((row >> 3) & mask) == owner; };
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
image = image_of(material);
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
"""))
def give_run(
    table: Ints, material: int, pixel: int, count: int, owner: int, mask: int, face_id: Ints, address: Vec3s, by_rgb: Vec3s, texels: Vec3s,
    coarse: Vec3s,
):
    """Adds the gradients of pixels to those of the texels that they read, as far as these are the owner's: rows take turns, eight each."""
    ...


@wp.func_native(once(_TEXELS + """
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
