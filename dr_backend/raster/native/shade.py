"""Light of small lamps and of the sky on matte surfaces, and handing its gradients back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, lamp_kernel
from ..project import View
from .bins import Bins
from .interpolate import Runs
from .lamps import shade_row, unlight_row, unshade_row
from .rasterize import pixel_owners
from .sums import add_into


@dataclass(frozen=True)
class Lamps:
    """All light of a scene, a line for each lamp and a last one for the sky."""

    lines: Float[Tensor, "L 3 3"]  # place; unit vector backward along the light; strength and colour. See ``lamps``
    shapes: Float[Tensor, "L 3"]  # kind and two numbers of the cone, constants
    shares: Float[Tensor, "V L"] | None  # that reach each vertex
    directions: Float[Tensor, "S 3"]  # of a sky that is not the same all around; the sky's line is added to it
    power: Float[Tensor, "S 3"]


@lamp_kernel
def _shade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, width: int, height: int, own_width: int, own_height: int,
    own_columns: int, light: Vec3s,
):
    """Irradiance over π at pixel centres, none where nothing is seen. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        shade_row(
            y * width + x0, wp.min(own_width, width - x0), faces, positions, normals, facing, lines, shapes, shares, directions, power,
            face_id, weights, light,
        )


@lamp_kernel
def _unshade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, by_light: Vec3s, width: int, height: int, own_width: int,
    own_height: int, own_columns: int, starts: Ints, by_weight: Vec3s, vertex: Ints, corner: Ints, by_corner: Vec3s, by_normal: Vec3s,
):
    """What the gradient for irradiance means, see ``unshade_row``. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        unshade_row(
            y * width + x0, wp.min(own_width, width - x0), starts[y * own_columns + column], faces, positions, normals, facing, lines,
            shapes, shares, directions, power, face_id, weights, by_light, by_weight, vertex, corner, by_corner, by_normal,
        )


@lamp_kernel
def _unlight(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Ints, lines: Vec3s, shapes: Vec3s, shares: Floats,
    face_id: Ints, weights: Vec3s, by_light: Vec3s, width: int, height: int, own_width: int, own_height: int, own_columns: int,
    by_line: Vec3s,
):
    """What the gradient for irradiance means for the lamps. The owner is a rectangle of pixels, with lines of its own to add it up in."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, height)):
        unlight_row(
            y * width + x0, wp.min(own_width, width - x0), owner, faces, positions, normals, facing, lines, shapes, shares, face_id,
            weights, by_light, by_line,
        )


@wp.func_native("for (int n = start; n < stop; ++n) product.data[n] = left.data[n] * right.data[n];")
def multiply_part(start: int, stop: int, left: Floats, right: Floats, product: Floats):
    """Products of some of the numbers."""
    ...


@wp.func_native("""
for (int n = start; n < stop; ++n) {
    if (by_left.data) by_left.data[n] = by_product.data[n] * right.data[n];
    if (by_right.data) by_right.data[n] = by_product.data[n] * left.data[n];
}
""")
def unmultiply_part(start: int, stop: int, left: Floats, right: Floats, by_product: Floats, by_left: Floats, by_right: Floats):
    """Gradients for some of the factors, as far as there is room for them."""
    ...


@lamp_kernel
def _multiply(first: int, chunk: int, left: Floats, right: Floats, product: Floats):
    """The owner is a chunk of numbers."""
    part = first + wp.tid()
    multiply_part(part * chunk, wp.min((part + 1) * chunk, product.shape[0]), left, right, product)


@lamp_kernel
def _unmultiply(first: int, chunk: int, left: Floats, right: Floats, by_product: Floats, by_left: Floats, by_right: Floats):
    """The owner is a chunk of numbers."""
    part = first + wp.tid()
    unmultiply_part(part * chunk, wp.min((part + 1) * chunk, by_product.shape[0]), left, right, by_product, by_left, by_right)


@dataclass(frozen=True)
class Surface:
    """The triangles that are lit, and one view of them."""

    faces: Int[Tensor, "F 3"]
    positions: Float[Tensor, "V 3"]
    normals: Float[Tensor, "F 3 3"]
    lamps: Lamps
    bins: Bins
    face_id: Int[Tensor, "H W"]
    runs: Runs
    weights: Float[Tensor, "H W 3"]
    view: View

    def arguments(self, sky: bool = True) -> list[object]:
        """What all kernels of this file begin with."""
        lamps = self.lamps
        lit = [self.faces, self.positions, self.normals, self.bins.facing, lamps.lines]
        lit += [lamps.shapes, lamps.shares]
        return lit + [lamps.directions, lamps.power] if sky else lit


def shade(surface: Surface, launcher: Launcher) -> Steps[Float[Tensor, "H W 3"]]:
    """Irradiance over π of pixels, none where nothing is seen; the twin of ``shading.diffuse.reflected``."""
    view = surface.view
    owners, shape = pixel_owners(surface.bins, view, launcher)
    light = launcher.empty(*surface.weights.shape)
    work = Launch(
        _shade, owners, *surface.arguments(), surface.face_id, surface.weights, view.width, view.height, *shape, light,
        items=surface.face_id.numel(),
    )
    yield [work]
    return light


def unshade(
    surface: Surface, by_light: Float[Tensor, "H W 3"], launcher: Launcher, grad_positions: Float[Tensor, "V 3"],
    grad_normals: Float[Tensor, "F 3 3"],
) -> Steps[Float[Tensor, "H W 3"]]:
    """The gradient for barycentric coordinates, undefined where nothing is seen. Those for positions and corner normals are added up."""
    view, runs = surface.view, surface.runs
    by_weight = launcher.empty(*surface.weights.shape)
    total = launcher.count(runs.starts, 0)
    place = launcher.empty(2, total, 3, dtype=torch.int32)
    by_corner = launcher.empty(2, total, 3, 3)
    owners, shape = pixel_owners(surface.bins, view, launcher)
    work = Launch(
        _unshade, owners, *surface.arguments(), surface.face_id, surface.weights, by_light, view.width, view.height, *shape, runs.starts,
        by_weight, place[0], place[1], by_corner[0], by_corner[1], items=surface.face_id.numel(),
    )
    by_vertex = add_into(grad_positions, place[0], by_corner[0], launcher)
    yield [work, by_vertex, add_into(grad_normals.view(-1, 3), place[1], by_corner[1], launcher)]
    return by_weight


def unlight(surface: Surface, by_light: Float[Tensor, "H W 3"], launcher: Launcher) -> Steps[Float[Tensor, "L 3 3"]]:
    """The gradient for the lamps' lines."""
    view = surface.view
    owners, shape = pixel_owners(surface.bins, view, launcher)
    by_line = launcher.zeros(owners, *surface.lamps.lines.shape)
    work = Launch(
        _unlight, owners, *surface.arguments(sky=False), surface.face_id, surface.weights, by_light, view.width, view.height, *shape,
        by_line, items=surface.face_id.numel(),
    )
    yield [work]
    return by_line.double().sum(0).float()


def multiply(left: Float[Tensor, "H W 3"], right: Float[Tensor, "H W 3"], launcher: Launcher) -> Steps[Float[Tensor, "H W 3"]]:
    """The product of two images."""
    product = launcher.empty(*left.shape)
    owners, chunk = launcher.chunks(product.numel(), 1)
    yield [Launch(_multiply, owners, chunk, left, right, product, items=product.numel() // 16)]
    return product


def unmultiply(
    left: Float[Tensor, "H W 3"], right: Float[Tensor, "H W 3"], by_product: Float[Tensor, "H W 3"], needed: Sequence[bool],
    launcher: Launcher,
) -> Steps[tuple[Float[Tensor, "H W 3"] | None, ...]]:
    """The gradients for two images from that for their product, as far as they are ``needed``."""
    by_product = by_product.contiguous()
    found = tuple(launcher.empty(*left.shape) if wanted else None for wanted in needed)
    owners, chunk = launcher.chunks(left.numel(), 1)
    factors = left, right, by_product
    yield [Launch(_unmultiply, owners, chunk, *factors, *found, items=left.numel() // 8)]
    return found
