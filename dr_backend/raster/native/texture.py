"""Reading textures, filtered where texels are smaller than pixels, and handing gradients back to them.

Levels of half the size each (Williams 1983, "Pyramidal parametrics"), read trilinearly. The level is chosen by the area that a pixel
covers on the texture: it follows slanted surfaces with less blur than its longer side would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...geometry.flatten import FlatMaterial
from .bins import Ints, Vec3s
from .launch import Launcher, array, kernel

EXTENSIONS = {"repeat": 0, "extend": 1, "clip": 2, "mirror": 3}
FIELDS = wp.constant(9)  # numbers per material in the table


@dataclass(frozen=True)
class Textures:
    """The base colours of a scene's materials as kernels read them."""

    table: Int[Tensor, "M 9"]  # see ``Image``
    colors: Float[Tensor, "M 3"]
    texels: Float[Tensor, "T 3"]  # all images, one after the other
    coarse: Float[Tensor, "C 3"]  # their smaller levels
    sizes: list[tuple[int, int]]  # width and height of each material's image; (0, 0) without
    encoded: bool  # whether any image is


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """The sizes of an image's levels, the first its own."""
    sizes = [(width, height)]
    while max(sizes[-1]) > 1:
        sizes.append((max(1, sizes[-1][0] // 2), max(1, sizes[-1][1] // 2)))
    return sizes


def tabulate(materials: Sequence[FlatMaterial], colors: Tensor, texels: Tensor) -> Textures:
    """Where everything lies; the smaller levels are still to be made by ``reduce_levels``."""
    lines = []
    texel = coarse = row = 0
    for material in materials:
        if material.image is None:
            lines.append([0] * 9)
            continue
        height, width = material.image.shape[:2]
        sizes = level_sizes(width, height)
        closest = int(material.interpolation == "closest")
        lines.append([width, height, EXTENSIONS[material.extension], len(sizes), texel, coarse, row, closest, int(material.encoded)])
        texel += width * height
        coarse += sum(w * h for w, h in sizes[1:])
        row += sum(h for _, h in sizes)
    table = torch.tensor(lines, dtype=torch.int32, device=texels.device).reshape(-1, 9)
    smaller = torch.empty(coarse, 3, device=texels.device)
    return Textures(table, colors, texels, smaller, [(n[0], n[1]) for n in lines], any(n[8] for n in lines))


@wp.struct
class Image:
    """A material's line of the table."""

    width: int
    height: int
    extension: int
    levels: int
    texel: int  # the first of the image
    coarse: int  # the first of its smaller levels
    row: int  # the first, of all levels' rows
    closest: int
    encoded: int


@wp.struct
class Level:
    """One level of one image."""

    width: int
    height: int
    texel: int  # its first one
    row: int  # its first one


@wp.func
def image_of(table: Ints, material: int) -> Image:
    """A material's line of the table; width 0 without an image."""
    line = material * FIELDS
    found = Image()
    found.width = table[line]
    found.height = table[line + 1]
    found.extension = table[line + 2]
    found.levels = table[line + 3]
    found.texel = table[line + 4]
    found.coarse = table[line + 5]
    found.row = table[line + 6]
    found.closest = table[line + 7]
    found.encoded = table[line + 8]
    return found


@wp.func
def level_of(image: Image, number: int) -> Level:
    """A level of an image; 0 is the image itself."""
    found = Level()
    found.width = image.width
    found.height = image.height
    found.texel = image.texel
    found.row = image.row
    if number > 0:
        texel, row, width, height = int(image.coarse), int(image.row), int(image.width), int(image.height)
        for step in range(number):
            if step > 0:
                texel += width * height
            row += height
            width, height = wp.max(1, width / 2), wp.max(1, height / 2)
        found.width = width
        found.height = height
        found.texel = texel
        found.row = row
    return found


@wp.func
def wrap(i: int, size: int, extension: int) -> int:
    """The texel that stands for one outside of the image; a clipped one's border, which then weighs nothing."""
    if i >= 0 and i < size:
        return i
    if extension == 1 or extension == 2:
        return wp.clamp(i, 0, size - 1)
    period = wp.where(extension == 3, 2 * size, size)
    j = i % period
    if j < 0:
        j += period
    return wp.where(j < size, j, period - 1 - j)


@wp.struct
class Taps:
    """The four texels around a point of a level: columns, rows, their weights, and what these gain per texel.

    All are plain numbers: compilers keep those in registers.
    """

    left: int
    right: int
    top: int
    bottom: int
    on_left: float
    on_right: float
    on_top: float
    on_bottom: float
    gain_left: float
    gain_right: float
    gain_top: float
    gain_bottom: float


@wp.func
def floor_of(value: float) -> int:
    """The whole number below, of a value that fits one; a call of ``floor`` would cost more."""
    index = int(value)
    return wp.where(float(index) > value, index - 1, index)


@wp.func
def tidy(value: float, extension: int) -> float:
    """A texture coordinate without the whole repeats that would cost its fraction, and never too large for a number of texels."""
    kept = wp.clamp(value, -1.0e4, 1.0e4)
    return wp.where(extension == 0, kept - wp.floor(kept), kept)


@wp.func
def inside(i: int, size: int) -> float:
    """1 within an image, 0 outside."""
    return wp.where(i >= 0 and i < size, 1.0, 0.0)


@wp.func
def taps_at(level: Level, u: float, v: float, extension: int, closest: int) -> Taps:
    """Texel edges lie at 0 and 1, row 0 on top, as in Blender. A clipped image is black outside. Coordinates come from ``tidy``."""
    found = Taps()
    x, y = u * float(level.width) - 0.5, (1.0 - v) * float(level.height) - 0.5
    if closest != 0:
        x, y = float(floor_of(x + 0.5)), float(floor_of(y + 0.5))
    left, top = floor_of(x), floor_of(y)
    x, y = x - float(left), y - float(top)
    found.left = left
    found.right = left + 1
    found.top = top
    found.bottom = top + 1
    found.on_left = 1.0 - x
    found.on_right = x
    found.on_top = 1.0 - y
    found.on_bottom = y
    found.gain_left = -1.0
    found.gain_right = 1.0
    found.gain_top = -1.0
    found.gain_bottom = 1.0
    if left < 0 or left + 1 >= level.width or top < 0 or top + 1 >= level.height:
        if extension == 2:
            found.on_left *= inside(left, level.width)
            found.on_right *= inside(left + 1, level.width)
            found.on_top *= inside(top, level.height)
            found.on_bottom *= inside(top + 1, level.height)
            found.gain_left *= inside(left, level.width)
            found.gain_right *= inside(left + 1, level.width)
            found.gain_top *= inside(top, level.height)
            found.gain_bottom *= inside(top + 1, level.height)
        found.left = wrap(left, level.width, extension)
        found.right = wrap(left + 1, level.width, extension)
        found.top = wrap(top, level.height, extension)
        found.bottom = wrap(top + 1, level.height, extension)
    return found


@wp.func
def lookup(level: Level, at: Taps, texels: Vec3s) -> wp.vec3:
    """A bilinear lookup in one level."""
    above, below = level.texel + at.top * level.width, level.texel + at.bottom * level.width
    top = at.on_left * texels[above + at.left] + at.on_right * texels[above + at.right]
    bottom = at.on_left * texels[below + at.left] + at.on_right * texels[below + at.right]
    return at.on_top * top + at.on_bottom * bottom


@wp.func
def slope(level: Level, at: Taps, g: wp.vec3, texels: Vec3s) -> wp.vec2:
    """What a gradient for the looked-up colour means for u and v."""
    above, below = level.texel + at.top * level.width, level.texel + at.bottom * level.width
    a, b = wp.dot(g, texels[above + at.left]), wp.dot(g, texels[above + at.right])
    c, d = wp.dot(g, texels[below + at.left]), wp.dot(g, texels[below + at.right])
    top, bottom = at.on_left * a + at.on_right * b, at.on_left * c + at.on_right * d
    steeper = at.on_top * (at.gain_left * a + at.gain_right * b) + at.on_bottom * (at.gain_left * c + at.gain_right * d)
    return wp.vec2(steeper * float(level.width), -(at.gain_top * top + at.gain_bottom * bottom) * float(level.height))


@wp.func
def lookup_at(image: Image, number: int, at: wp.vec3, texels: Vec3s, coarse: Vec3s) -> wp.vec3:
    """A bilinear lookup in a level of an image."""
    level = level_of(image, number)
    taps = taps_at(level, at[0], at[1], image.extension, image.closest)
    if number == 0:
        return lookup(level, taps, texels)
    return lookup(level, taps, coarse)


@wp.func
def slope_at(image: Image, number: int, at: wp.vec3, g: wp.vec3, texels: Vec3s, coarse: Vec3s) -> wp.vec2:
    """``slope`` in a level of an image."""
    level = level_of(image, number)
    taps = taps_at(level, at[0], at[1], image.extension, 0)
    if number == 0:
        return slope(level, taps, g, texels)
    return slope(level, taps, g, coarse)


@wp.func
def decode(value: float) -> float:
    """Linear value of an sRGB encoding."""
    if value <= 0.04045:
        return value / 12.92
    return wp.pow((value + 0.055) / 1.055, 2.4)


@wp.func
def decode_slope(value: float) -> float:
    """Derivative of ``decode``."""
    if value <= 0.04045:
        return 1.0 / 12.92
    return wp.pow((value + 0.055) / 1.055, 1.4) * (2.4 / 1.055)


@wp.func
def trilinear(image: Image, at: wp.vec3, texels: Vec3s, coarse: Vec3s) -> wp.vec3:
    """An image at texture coordinates and a level, encoded as its texels are."""
    if at[2] == 0.0:
        return lookup_at(image, 0, at, texels, coarse)
    number = int(at[2])
    color = lookup_at(image, number, at, texels, coarse)
    if at[2] == float(number):
        return color
    return wp.lerp(color, lookup_at(image, number + 1, at, texels, coarse), at[2] - float(number))


@wp.func
def trilinear_slope(image: Image, at: wp.vec3, g: wp.vec3, texels: Vec3s, coarse: Vec3s) -> wp.vec2:
    """What a gradient for ``trilinear`` means for u and v; nothing where the closest texel is read."""
    if image.closest != 0:
        return wp.vec2(0.0)
    if at[2] == 0.0:
        return slope_at(image, 0, at, g, texels, coarse)
    number = int(at[2])
    result = slope_at(image, number, at, g, texels, coarse)
    if at[2] == float(number):
        return result
    return wp.lerp(result, slope_at(image, number + 1, at, g, texels, coarse), at[2] - float(number))


@kernel
def _reduce(first: int, table: Ints, material: int, number: int, fine: Vec3s, coarse: Vec3s):
    """Means of the texels under each texel of the next level. The owner is one of its rows."""
    row = first + wp.tid()
    image = image_of(table, material)
    below, level = level_of(image, number), level_of(image, number + 1)
    place = level.texel + row * level.width
    if below.width == 2 * level.width and below.height == 2 * level.height:
        above = below.texel + 2 * row * below.width
        under = above + below.width
        for column in range(level.width):
            top, bottom = fine[above + 2 * column] + fine[above + 2 * column + 1], fine[under + 2 * column] + fine[under + 2 * column + 1]
            coarse[place + column] = 0.25 * (top + bottom)
    else:
        rows = window(row, below.height, level.height)
        for column in range(level.width):
            columns = window(column, below.width, level.width)
            total = wp.vec3(0.0)
            for y in range(rows[0], rows[1]):
                for x in range(columns[0], columns[1]):
                    total += fine[below.texel + y * below.width + x]
            coarse[place + column] = total / float((rows[1] - rows[0]) * (columns[1] - columns[0]))


@wp.func
def window(place: int, size: int, smaller: int) -> wp.vec2i:
    """The texels that the mean of one of the next level takes, along one side."""
    return wp.vec2i(place * size / smaller, ((place + 1) * size + smaller - 1) / smaller)


@kernel
def _spread(first: int, table: Ints, material: int, number: int, grad_fine: Vec3s, grad_coarse: Vec3s):
    """The adjoint of ``_reduce``: each texel gathers from those whose mean it entered. The owner is a row of texels."""
    row = first + wp.tid()
    image = image_of(table, material)
    below, level = level_of(image, number), level_of(image, number + 1)
    place, above = below.texel + row * below.width, level.texel + (row / 2) * level.width
    if below.width == 2 * level.width and below.height == 2 * level.height:
        for column in range(level.width):
            share = grad_coarse[above + column] * 0.25
            grad_fine[place + 2 * column] = grad_fine[place + 2 * column] + share
            grad_fine[place + 2 * column + 1] = grad_fine[place + 2 * column + 1] + share
    else:
        for column in range(below.width):
            near_y, near_x = row * level.height / below.height, column * level.width / below.width
            for y in range(wp.max(0, near_y - 1), wp.min(level.height, near_y + 2)):
                rows = window(y, below.height, level.height)
                for x in range(wp.max(0, near_x - 1), wp.min(level.width, near_x + 2)):
                    columns = window(x, below.width, level.width)
                    if row >= rows[0] and row < rows[1] and column >= columns[0] and column < columns[1]:
                        count = float((rows[1] - rows[0]) * (columns[1] - columns[0]))
                        grad_fine[place + column] = grad_fine[place + column] + grad_coarse[level.texel + y * level.width + x] / count


def _levels(textures: Textures) -> list[tuple[int, list[tuple[int, int]]]]:
    """Materials with an image, and the sizes of its levels."""
    return [(m, level_sizes(*size)) for m, size in enumerate(textures.sizes) if size[0] > 0]


def reduce_levels(textures: Textures, launcher: Launcher) -> None:
    """Makes the smaller levels of all images; each texel is the mean of those under it."""
    for material, sizes in _levels(textures):
        for number, (_, rows) in enumerate(sizes[1:]):
            fine = textures.texels if number == 0 else textures.coarse
            launcher.run(
                _reduce, rows, array(textures.table), material, number, array(fine, 3), array(textures.coarse, 3),
                items=rows * sizes[number][0],
            )


def spread_levels(
    textures: Textures, grad_texels: Float[Tensor, "T 3"], grad_coarse: Float[Tensor, "C 3"], launcher: Launcher
) -> None:
    """Hands the smaller levels' gradients down to the images'."""
    for material, sizes in _levels(textures):
        for number in range(len(sizes) - 2, -1, -1):
            fine = grad_texels if number == 0 else grad_coarse
            launcher.run(
                _spread, sizes[number][1], array(textures.table), material, number, array(fine, 3), array(grad_coarse, 3),
                items=sizes[number][0] * sizes[number][1],
            )
