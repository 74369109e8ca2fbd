"""Reading textures.

These innermost loops are C++, which Warp compiles for processors and for CUDA like everything else: of its own statements it makes
code that takes two to three times as long. What pointers they use often is in constants: the compiler thinks that a store may change the
others. Each function says what its text does.
"""

from __future__ import annotations

from .lanes import VECTORIZED
from .texture import FIELDS

# Texel edges lie at 0 and 1, row 0 on top, as in Blender. A clipped image is black outside.
TEXELS = f"const int fields = {FIELDS};" + """
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
// Of two texels above and two under them, with their weights: a colour, and a number more, so that four are computed at once.
const auto mix = [](const float* above, const float* under, float e, float f, float g, float h, float* color) {
    float left_sum[4], right_sum[4];
    for (int n = 0; n < 4; ++n) left_sum[n] = e * above[n] + g * under[n];
    for (int n = 0; n < 4; ++n) right_sum[n] = f * above[2 + n] + h * under[2 + n];
    for (int n = 0; n < 4; ++n) color[n] = left_sum[n] + right_sum[(n + 1) & 3];
};
const auto look = [&](const Level& level, float u, float v) {
    const Inner inner = inner_at(level, u, v);
    if (inner.above) {
        const float x = inner.right, y = inner.bottom, both = x * y;
        float color[4];
        mix(inner.above, inner.under, 1.0f - x - y + both, x - both, y - both, both, color);
        return wp::vec3(color[0], color[1], color[2]);
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

# The logarithm to the base of 2 of a positive number, right to the last bits, without a call: from the exponent, and the series of the
# inverse hyperbolic tangent.
LOGARITHM = """
const auto log2_of = [](float value) {
    union { float value; int bits; } rest = {value};
    const int exponent = (rest.bits - 0x3f3504f3) >> 23;  // leaves a rest between the root of 1/2 and that of 2
    rest.bits -= exponent << 23;
    const float x = (rest.value - 1.0f) / (rest.value + 1.0f), y = x * x;
    const float series = 2.8853901f + y * (0.9617967f + y * (0.57707802f + y * (0.41219858f + y * 0.3205989f)));
    return (float)exponent + x * series;
};
"""

# What the pixels of a strip read, see ``strips``: texture coordinates and level, and if it is four texels within the image the first of
# them, and how far the pixel lies towards the others.
STRIP_TEXELS = """
float u[room], v[room], level[room], right[room], under[room], read[3 * room + 1];
int texel[room], line = 0;
const float* origin = nullptr;
const auto place_texels = [&](int from, int to) {
    origin = &texels.data[image.texel][0];
    line = 3 * image.width;
    const float width = (float)image.width, height = (float)image.height;
    const bool mixed = !image.closest;
""" + VECTORIZED + """
    for (int k = from; k < to; ++k) {
        const float x = u[k] * width - 0.5f, y = (1.0f - v[k]) * height - 0.5f;
        const int column = (int)x, row = (int)y;
        const bool inner = (x >= 0.0f) & (y >= 0.0f) & (column + 1 < image.width) & (row + 1 < image.height);
        texel[k] = (inner & mixed & (level[k] == 0.0f)) ? row * image.width + column : -1;
        right[k] = x - (float)column;
        under[k] = y - (float)row;
    }
    for (int k = from; k < to; k += 2) {  // neighbours mostly read the same line of the cache; what lies beyond the image does no harm
        fetch(origin + 3 * texel[k]);
        fetch(origin + 3 * texel[k] + line);
    }
};
const auto read_colors = [&](int from, int to) {
    const float* const first = origin;
    const int beneath = line;
    float top_left[room], top_right[room], low_left[room], low_right[room];
""" + VECTORIZED + """
    for (int k = from; k < to; ++k) {
        const float x = right[k], y = under[k], both = x * y;
        top_left[k] = 1.0f - x - y + both, top_right[k] = x - both, low_left[k] = y - both, low_right[k] = both;
    }
    for (int k = from; k < to; ++k) {
        if (texel[k] < 0) {
            const wp::vec3 color = look_between(wp::vec3(u[k], v[k], level[k]));
            for (int n = 0; n < 3; ++n) read[3 * k + n] = color[n];
            continue;
        }
        const float* const above = first + 3 * texel[k];
        mix(above, above + beneath, top_left[k], top_right[k], low_left[k], low_right[k], read + 3 * k);
    }
};
"""

# In which groups of rows, counted over all levels of all images, the texels lie that some pixels of a strip read: a bit for each group.
STRIP_ROWS = """
const auto rows_read = [&](int from, int to, int shift) {
    const float height = (float)image.height;
    unsigned long long groups = 0;
    for (int k = from; k < to; ++k) {
        const int row = image.row + (int)((1.0f - v[k]) * height - 0.5f);
        groups |= texel[k] < 0 ? 0ull : 1ull << (row >> shift) | 1ull << ((row + 1) >> shift);
    }
    for (int k = from; k < to; ++k) {
        if (texel[k] >= 0) continue;
        for (int number = (int)level[k]; (float)number < level[k] + 1.0f && number < image.levels; ++number) {
            const Level read = level_of(number);
            const Taps taps = taps_at(read, wp::vec3(u[k], v[k], 0.0f));
            groups |= 1ull << ((read.row + taps.top) >> shift) | 1ull << ((read.row + taps.bottom) >> shift);
        }
    }
    return groups;
};
"""
