"""Reading textures, filtered where texels are smaller than pixels, and handing gradients back to them.

Levels of half the size each (Williams 1983, "Pyramidal parametrics"), read trilinearly. The level is chosen by the area that a pixel
covers on the texture: it follows slanted surfaces with less blur than its longer side would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...geometry.flatten import FlatMaterial
from ...kernels.arrays import Ints, Vec3s
from ...kernels.launch import Launch, Launcher, inside_kernel

EXTENSIONS = {"repeat": 0, "extend": 1, "clip": 2, "mirror": 3}
FIELDS = wp.constant(9)  # numbers per material in the table
SMALL = 64 * 64  # texels of a level from which on all that follow are made by one thread: sharing them would take longer


Kind = tuple[int, int, str, str, bool]  # of an image: height, width, extension, interpolation, whether it is read as sRGB


@dataclass(frozen=True)
class Layout:
    """Where the images of a scene's materials lie, one after the other."""

    kinds: tuple[Kind | None, ...]
    table: Int[Tensor, "M 9"]  # see ``Image``
    sizes: list[tuple[int, int]]  # width and height of each material's image; (0, 0) without
    coarse: int  # texels of all smaller levels of all images
    rows: int  # of texels, of all levels of all images
    encoded: list[bool]  # whether each material's image is read as sRGB


@dataclass(frozen=True)
class Textures:
    """The base colours of a scene's materials as kernels read them."""

    table: Int[Tensor, "M 9"]  # of the layout
    colors: Float[Tensor, "M 3"]
    linear: Float[Tensor, "*T 3"]  # all images, one after the other
    texels: Float[Tensor, "*T 3"]  # the same, encoded where they are read as sRGB
    coarse: Float[Tensor, "C 3"]  # their smaller levels
    sizes: list[tuple[int, int]]
    rows: int
    encoded: list[bool]

    @property
    def shift(self) -> int:
        """Rows are grouped by their number without so many of its last bits, which makes at most 64 groups."""
        return max(0, (self.rows - 1).bit_length() - 6)

    def of_faces(self, face_material: Int[Tensor, " F"]) -> Int[Tensor, " F"] | None:
        """The materials of faces as kernels read them: none if all have the same, which saves looking them up."""
        return face_material if len(self.sizes) > 1 else None


@dataclass(frozen=True)
class Read:
    """What the pixels of a view read."""

    address: Float[Tensor, "H W 3"]  # texture coordinates and level
    groups: Int[Tensor, "H S"] | None  # of rows, for each strip: a bit for each. Only processors ask for them.
    highest: Float[Tensor, " N"]  # level of some of them each: where all are 0 nobody read a smaller one


@lru_cache(64)
def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """The sizes of an image's levels, the first its own."""
    sizes = [(width, height)]
    while max(sizes[-1]) > 1:
        sizes.append((max(1, sizes[-1][0] // 2), max(1, sizes[-1][1] // 2)))
    return sizes


def layout_of(materials: Sequence[FlatMaterial], device: torch.device) -> Layout:
    """Where everything lies on a device."""
    kinds = tuple(None if m.image is None else (*m.image.shape[:2], m.extension, m.interpolation, m.encoded) for m in materials)
    return _layout(kinds, device)


def textures_of(
    layout: Layout, colors: Float[Tensor, "M 3"], texels: Float[Tensor, "*T 3"], launcher: Launcher,
    made: tuple[Tensor | None, Tensor] | None = None, lasting: bool = False,
) -> Textures:
    """The textures that lie so; encoded texels, if any, and smaller levels are still to be filled in, unless they are ``made``."""
    read, coarse = made or (None, launcher.empty(layout.coarse, 3, lasting=lasting))
    if read is None:
        read = launcher.empty(*texels.shape, lasting=lasting) if any(layout.encoded) else texels
    return Textures(layout.table, colors, texels, read, coarse, layout.sizes, layout.rows, layout.encoded)


@lru_cache(16)
def _layout(kinds: tuple[Kind | None, ...], device: torch.device) -> Layout:
    """Made once for all steps of a fit."""
    lines = []
    texel = coarse = row = 0
    for kind in kinds:
        if kind is None:
            lines.append([0] * 9)
            continue
        height, width, extension, interpolation, encoded = kind
        sizes = level_sizes(width, height)
        closest = int(interpolation == "closest")
        lines.append([width, height, EXTENSIONS[extension], len(sizes), texel, coarse, row, closest, int(encoded)])
        texel += width * height
        coarse += sum(w * h for w, h in sizes[1:])
        row += sum(h for _, h in sizes)
    table = torch.tensor(lines, dtype=torch.int32, device=device).reshape(-1, 9)
    return Layout(kinds, table, [(line[0], line[1]) for line in lines], coarse, row, [bool(line[8]) for line in lines])


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


@wp.func_native("""
const wp::vec3* const first = fine.data + above;
wp::vec3* const means = coarse.data + place;
for (int n = 0; n < count; ++n) {
    const wp::vec3 *top = first + 2 * n, *bottom = top + width;
    for (int k = 0; k < 3; ++k) means[n][k] = 0.25f * ((top[0][k] + top[1][k]) + (bottom[0][k] + bottom[1][k]));
}
""")
def halve_row(place: int, count: int, above: int, width: int, fine: Vec3s, coarse: Vec3s):
    """Means of two by two texels of which the first is ``above``, in an image of a ``width``."""
    ...


@wp.func_native("""
wp::vec3* const texels = fine.data + place;
const wp::vec3* const given = coarse.data + above;
for (int n = 0; n < count; ++n) {
    for (int k = 0; k < 3; ++k) {
        const float quarter = 0.25f * given[n][k];
        texels[2 * n][k] += quarter;
        texels[2 * n + 1][k] += quarter;
    }
}
""")
def double_row(place: int, count: int, above: int, fine: Vec3s, coarse: Vec3s):
    """Gives every other texel of a row, and the one after it, a quarter of the one above them."""
    ...


@wp.func
def reduce_row(image: Image, number: int, row: int, fine: Vec3s, coarse: Vec3s):
    """Means of the texels under each texel of a row of the next level."""
    below, level = level_of(image, number), level_of(image, number + 1)
    place = level.texel + row * level.width
    if below.width == 2 * level.width and below.height == 2 * level.height:
        halve_row(place, level.width, below.texel + 2 * row * below.width, below.width, fine, coarse)
    else:
        rows = window(row, below.height, level.height)
        for column in range(level.width):
            columns = window(column, below.width, level.width)
            total = wp.vec3(0.0)
            for y in range(rows[0], rows[1]):
                for x in range(columns[0], columns[1]):
                    total += fine[below.texel + y * below.width + x]
            coarse[place + column] = total / float((rows[1] - rows[0]) * (columns[1] - columns[0]))


@inside_kernel
def _reduce(first: int, table: Ints, material: int, number: int, fine: Vec3s, coarse: Vec3s):
    """Makes the next level. The owner is one of its rows."""
    reduce_row(image_of(table, material), number, first + wp.tid(), fine, coarse)


@inside_kernel
def _reduce_small(first: int, table: Ints, material: int, number: int, coarse: Vec3s):
    """Makes all levels after one that is not the image itself. There is one owner."""
    image = image_of(table, material)
    for n in range(number, image.levels - 1):
        for row in range(level_of(image, n + 1).height):
            reduce_row(image, n, row, coarse, coarse)


@wp.func
def window(place: int, size: int, smaller: int) -> wp.vec2i:
    """The texels that the mean of one of the next level takes, along one side."""
    return wp.vec2i(place * size / smaller, ((place + 1) * size + smaller - 1) / smaller)


@wp.func
def spread_row(image: Image, number: int, row: int, grad_fine: Vec3s, grad_coarse: Vec3s):
    """The adjoint of ``reduce_row``: each texel of a row gathers from those whose mean it entered."""
    below, level = level_of(image, number), level_of(image, number + 1)
    place, above = below.texel + row * below.width, level.texel + (row / 2) * level.width
    if below.width == 2 * level.width and below.height == 2 * level.height:
        double_row(place, level.width, above, grad_fine, grad_coarse)
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


@inside_kernel
def _spread(first: int, table: Ints, material: int, number: int, grad_fine: Vec3s, grad_coarse: Vec3s):
    """The adjoint of ``_reduce``. The owner is a row of texels."""
    spread_row(image_of(table, material), number, first + wp.tid(), grad_fine, grad_coarse)


@inside_kernel
def _spread_small(first: int, table: Ints, material: int, number: int, grad_coarse: Vec3s):
    """The adjoint of ``_reduce_small``. There is one owner."""
    image = image_of(table, material)
    for step in range(image.levels - 1 - number):
        n = image.levels - 2 - step
        for row in range(level_of(image, n).height):
            spread_row(image, n, row, grad_coarse, grad_coarse)


def _levels(textures: Textures) -> Iterator[tuple[int, list[tuple[int, int]], int]]:
    """Materials with an image, the sizes of its levels, and which of them is the first that is small; never the image itself."""
    for material, size in enumerate(textures.sizes):
        if size[0] > 0:
            sizes = level_sizes(*size)
            small = next((n for n, (width, height) in enumerate(sizes) if n > 0 and width * height <= SMALL), len(sizes))
            yield material, sizes, small


def reduce_levels(textures: Textures) -> list[Launch]:
    """Makes the smaller levels of all images, each from the one before; each texel is the mean of those under it."""
    launches, table, coarse = [], textures.table, textures.coarse
    for material, sizes, small in _levels(textures):
        for number in range(min(small, len(sizes) - 1)):
            rows = sizes[number + 1][1]
            fine = textures.texels if number == 0 else coarse
            items = rows * sizes[number][0] // 4  # each takes a fraction of a pixel's time
            launches.append(Launch(_reduce, rows, table, material, number, fine, coarse, items=items))
        if small < len(sizes) - 1:
            launches.append(Launch(_reduce_small, 1, table, material, small, coarse, alone=True))
    return launches


def spread_levels(textures: Textures, grad_texels: Float[Tensor, "T 3"], grad_coarse: Float[Tensor, "C 3"]) -> list[Launch]:
    """Hands the smaller levels' gradients down to the images', from one level to the next."""
    launches, table = [], textures.table
    for material, sizes, small in _levels(textures):
        if small < len(sizes) - 1:
            launches.append(Launch(_spread_small, 1, table, material, small, grad_coarse, alone=True))
        for number in range(min(small, len(sizes) - 1) - 1, -1, -1):
            fine = grad_texels if number == 0 else grad_coarse
            items = sizes[number][0] * sizes[number][1] // 8
            launches.append(Launch(_spread, sizes[number][1], table, material, number, fine, grad_coarse, items=items))
    return launches
