"""Light of small lamps and of the sky on matte surfaces, and handing its gradients back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Bytes, Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Work, lamp_kernel
from ..project import View
from .bins import Bins
from .interpolate import Runs
from .lamps import shade_row, unlight_row, unshade_row
from .rasterize import pixel_owners
from .sums import add_into, merge


@dataclass(frozen=True)
class Lamps:
    """All light of a scene, a line for each lamp and a last one for the sky."""

    lines: Float[Tensor, "L 3 3"]  # place; unit vector backward along the light; strength and colour. See ``lamps``
    shapes: Float[Tensor, "L 3"]  # kind and two numbers of the cone, constants
    shares: Float[Tensor, "V L"] | None  # that reach each vertex
    directions: Float[Tensor, "S 3"]  # of a sky that is not the same all around; the sky's line is added to it
    power: Float[Tensor, "S 3"]


@dataclass(frozen=True)
class Lighting:
    """What lights the surfaces of a scene, and which way these are turned."""

    lamps: Lamps
    normals: Float[Tensor, "F 3 3"]  # of corners, in the world


@lamp_kernel
def _shade(
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s, shares: Floats,
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
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s, shares: Floats,
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
    first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s, shares: Floats,
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
    const float asked = by_product.data[n];
    if (by_right.data) by_right.data[n] = asked * left.data[n];
    by_product.data[n] = asked * right.data[n];
}
""")
def unmultiply_part(start: int, stop: int, left: Floats, right: Floats, by_product: Floats, by_right: Floats):
    """Gradients for some of the factors: that for the left one takes the place of the product's; the other's if there is room for it."""
    ...


@lamp_kernel
def _multiply(first: int, chunk: int, left: Floats, right: Floats, product: Floats):
    """The owner is a chunk of numbers."""
    part = first + wp.tid()
    multiply_part(part * chunk, wp.min((part + 1) * chunk, product.shape[0]), left, right, product)


@lamp_kernel
def _unmultiply(first: int, chunk: int, left: Floats, right: Floats, by_product: Floats, by_right: Floats):
    """See ``unmultiply_part``. The owner is a chunk of numbers."""
    part = first + wp.tid()
    unmultiply_part(part * chunk, wp.min((part + 1) * chunk, by_product.shape[0]), left, right, by_product, by_right)


@dataclass(frozen=True)
class Lit:
    """A view of surfaces, and the light that reaches them."""

    surfaces: Lighting
    faces: Int[Tensor, "F 3"]
    positions: Float[Tensor, "V 3"]
    bins: Bins
    face_id: Int[Tensor, "H W"]
    runs: Runs
    weights: Float[Tensor, "H W 3"]
    view: View
    albedo: Float[Tensor, "H W 3"]
    light: Float[Tensor, "H W 3"]  # irradiance over π, none where nothing is seen

    def arguments(self, sky: bool = True) -> list[object]:
        """What all kernels of this file begin with."""
        lamps = self.surfaces.lamps
        lit = [self.faces, self.positions, self.surfaces.normals, self.bins.facing, lamps.lines]
        lit += [lamps.shapes, lamps.shares]
        return lit + [lamps.directions, lamps.power] if sky else lit


@dataclass(frozen=True)
class Unlit:
    """What gradients for lit colours mean, and what is still to be run to find out."""

    by_weight: Float[Tensor, "H W 3"] | None  # for barycentric coordinates, undefined where nothing is seen; none where nothing moves
    by_lines: Float[Tensor, "N L 3 3"] | None  # for the lamps' lines, to be added up; none where nobody wants to know
    chain: list[Launch]  # pixel by pixel, of the same owners
    adding: list[Work]  # for positions in the world and corner normals


def shade(lit: Lit, launcher: Launcher) -> tuple[Float[Tensor, "H W 3"], list[Launch]]:
    """Colours in the light, the twin of ``shading.diffuse.reflected``. What computes them, and the light, is a chain of the same owners."""
    view, pixels = lit.view, lit.face_id.numel()
    owners, shape = pixel_owners(lit.bins, view, launcher)
    rgb = launcher.empty(view.height, view.width, 3, lasting=True)
    work = Launch(
        _shade, owners, *lit.arguments(), lit.face_id, lit.weights, view.width, view.height, *shape, lit.light, items=pixels
    )
    return rgb, [work, Launch(_multiply, owners, 3 * shape[0] * shape[1], lit.albedo, lit.light, rgb, items=pixels // 8)]


def unshade(
    lit: Lit, by_rgb: Float[Tensor, "H W 3"], launcher: Launcher, grad_positions: Float[Tensor, "V 3"] | None,
    grad_normals: Float[Tensor, "F 3 3"] | None, lamps: bool,
) -> Unlit:
    """The adjoint of ``shade``: ``by_rgb`` becomes the gradient for albedo, others are added to those for positions and corner normals.

    These are none where nothing moves; ``lamps`` says whether theirs are wanted. Which share of a lamp's light reaches a vertex is
    constant, and so is a sky that is not the same all around.
    """
    view, pixels = lit.view, lit.face_id.numel()
    owners, shape = pixel_owners(lit.bins, view, launcher)
    by_light = launcher.empty(*by_rgb.shape) if lamps or grad_positions is not None else None
    chain = [Launch(_unmultiply, owners, 3 * shape[0] * shape[1], lit.albedo, lit.light, by_rgb, by_light, items=pixels // 8)]
    by_weight = by_lines = None
    adding: list[Work] = []
    seen = [lit.face_id, lit.weights, by_light, view.width, view.height, *shape]
    if lamps:
        by_lines = launcher.zeros(owners, *lit.surfaces.lamps.lines.shape)
        chain.append(Launch(_unlight, owners, *lit.arguments(sky=False), *seen, by_lines, items=pixels))
    if grad_positions is not None and grad_normals is not None:
        by_weight, total = launcher.empty(*by_rgb.shape), launcher.count(lit.runs.starts, 0)
        places = [launcher.empty(total, 3, dtype=torch.int32) for _ in range(2)]
        asked = [launcher.empty(total, 3, 3) for _ in range(2)]
        chain.append(Launch(_unshade, owners, *lit.arguments(), *seen, lit.runs.starts, by_weight, *places, *asked, items=pixels))
        for grad, place, value in zip((grad_positions, grad_normals.view(-1, 3)), places, asked, strict=True):
            lists = None
            if launcher.device.type == "cpu":
                lists, merging = merge(lit.runs.starts, shape[1], place, value, launcher)
                chain.append(merging)
            adding.append(add_into(grad, place, value, launcher, lists))
    return Unlit(by_weight, by_lines, chain, adding)
