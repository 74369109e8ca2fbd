"""sRGB (IEC 61966-2-1) in kernels, without calls of a library's power function, which cost more than all else that happens to a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import warp as wp
from jaxtyping import Float
from torch import Tensor

from ...kernels.arrays import Floats
from ...kernels.launch import Launch, Launcher, inside_kernel
from .copies import copy_values
from .lanes import VECTORIZED

if TYPE_CHECKING:
    from .texture import Textures

# C++ as in ``lookup``. Roots by two steps of Halley's method, from a guess that divides the exponent.
_ROOTS = """
const auto divided = [](float value, unsigned int by, unsigned int offset) {
    union { float value; unsigned int bits; } guess = {value};
    guess.bits = guess.bits / by + offset;
    return guess.value;
};
const auto nearer = [](float root, float power, float p, float value) {  // power: of the root, p times itself
    return root * (((p - 1.0f) * power + (p + 1.0f) * value) / ((p + 1.0f) * power + (p - 1.0f) * value));
};
"""

# ``curve`` is y to the power of 1.4, for y from 0.09 on: y times the square of its fifth root.
DECODING = _ROOTS + """
const auto curve = [&](float y) {
    float root = divided(y, 5, 852000000);
    for (int step = 0; step < 2; ++step) {
        const float square = root * root;
        root = nearer(root, square * square * root, 5.0f, y);
    }
    return y * root * root;
};
const auto decode = [&](float value) {
    const float y = (value + 0.055f) * (1.0f / 1.055f), curved = y * curve(y);
    return value <= 0.04045f ? value * (1.0f / 12.92f) : curved;
};
const auto decoding_slope = [&](float value) {
    const float curved = curve((value + 0.055f) * (1.0f / 1.055f)) * (2.4f / 1.055f);
    return value <= 0.04045f ? 1.0f / 12.92f : curved;
};
"""

# ``curve`` is 1.055 times the value to the power of 1 / 2.4, from 0.003 on: the fifth power of its twelfth root.
_ENCODING = _ROOTS + """
const auto curve = [&](float value) {
    float root = divided(value, 12, 976000000);
    for (int step = 0; step < 2; ++step) {
        const float cube = root * root * root, sixth = cube * cube;
        root = nearer(root, sixth * sixth, 12.0f, value);
    }
    const float square = root * root;
    return 1.055f * (square * square * root);
};
"""


@wp.func_native(_ENCODING + """
const float* const from = linear.data;
float* const to = encoded.data;
""" + VECTORIZED + """
for (int n = start; n < stop; ++n) {
    const float value = from[n], curved = curve(value) - 0.055f;
    to[n] = value <= 0.0031308f ? value * 12.92f : curved;
}
""")
def encode_part(start: int, stop: int, linear: Floats, encoded: Floats):
    """Encodes some of the values, which are not clipped; the straight part is also used below 0."""
    ...


@wp.func_native(_ENCODING + """
const float* const from = linear.data;
float* const to = gradient.data;
""" + VECTORIZED + """
for (int n = start; n < stop; ++n) {
    const float value = from[n], curved = curve(value) / (2.4f * value);
    to[n] *= value <= 0.0031308f ? 12.92f : curved;
}
""")
def unencode_part(start: int, stop: int, linear: Floats, gradient: Floats):
    """Turns gradients for encoded values into those for linear ones, on the spot."""
    ...


@inside_kernel
def _encode(first: int, begin: int, end: int, chunk: int, linear: Floats, encoded: Floats):
    """The owner is a chunk of the values from ``begin`` to ``end``."""
    start = begin + (first + wp.tid()) * chunk
    encode_part(start, wp.min(start + chunk, end), linear, encoded)


@inside_kernel
def _unencode(first: int, begin: int, end: int, chunk: int, linear: Floats, gradient: Floats):
    """The owner is a chunk of the values from ``begin`` to ``end``."""
    start = begin + (first + wp.tid()) * chunk
    unencode_part(start, wp.min(start + chunk, end), linear, gradient)


def encode_texels(textures: Textures, launcher: Launcher) -> list[Launch]:
    """Fills in all texels, if any image is read as sRGB: encoded, and those of the others as they are."""
    return _each(_encode, textures, textures.texels, launcher, copy_values) if any(textures.encoded) else []


def unencode_gradients(textures: Textures, gradients: Float[Tensor, "T 3"], launcher: Launcher) -> list[Launch]:
    """Turns the gradients for encoded texels into those for what was encoded, on the spot."""
    return _each(_unencode, textures, gradients, launcher)


def _each(
    encoding: wp.Kernel, textures: Textures, values: Tensor, launcher: Launcher, other: wp.Kernel | None = None
) -> list[Launch]:
    """Launches for the images that are encoded, and for the others, if there is something to be done with them."""
    launches, begin = [], 0
    for (width, height), encoded in zip(textures.sizes, textures.encoded, strict=True):
        end, work = begin + 3 * width * height, encoding if encoded else other
        if work is not None and end > begin:
            owners, chunk = launcher.chunks(end - begin, 1)
            launches.append(Launch(work, owners, begin, end, chunk, textures.linear, values, items=(end - begin) // 12))
        begin = end
    return launches
