"""What pixels ask of the corners of their faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s, Vec4s, array
from ...kernels.launch import Launch, Launcher, Steps, inside_kernel
from ..project import Projected, View
from .bins import Bins
from .interpolate import Lens, Runs, lens_of
from .lookup import pull_row
from .rasterize import pixel_owners
from .sums import add_into
from .texture import Textures


@inside_kernel
def _pull(
    first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int, starts: Ints,
    by_weight: Vec3s, by_depth: Floats, uvs: Vec2s, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s,
    by_rgb: Vec3s, place: Ints, by_corner: Vec3s, by_lens: Vec4s,
):
    """What pixels ask of the corners of their faces, see ``pull_row``. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        pull_row(
            x0, y, wp.min(own_width, lens.width - x0), starts[y * own_columns + column], faces, camera, face_id, lens, by_weight, by_depth,
            uvs, face_material, table, texels, coarse, address, by_rgb, place, by_corner, by_lens,
        )


@dataclass(frozen=True)
class Painted:
    """The textures that coloured a view, where its pixels read them, and the gradient for what they read."""

    textures: Textures
    uvs: Float[Tensor, "F 3 2"]
    face_material: Int[Tensor, " F"]
    address: Float[Tensor, "H W 3"]
    by_rgb: Float[Tensor, "H W 3"]


def _arguments(painted: Painted | None) -> list[Any]:
    """The textures, and where they are read, as kernels take them; empty if nothing is painted."""
    if painted is None:
        return [array(None, width) for width in (2, 1, 1, 3, 3, 3, 3)]
    made = painted.textures
    vectors = [array(each, 3) for each in (made.texels, made.coarse, painted.address, painted.by_rgb)]
    return [array(painted.uvs, 2), array(painted.face_material), array(made.table), *vectors]


def pull_corners(
    projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], bins: Bins, runs: Runs, view: View, launcher: Launcher,
    by_weight: Float[Tensor, "H W 3"] | None, by_depth: Float[Tensor, "H W"] | None, painted: Painted | None,
    grad_camera: Float[Tensor, "V 3"], intrinsics: bool,
) -> Steps[Float[Tensor, " 4"] | None]:
    """Adds the gradient for vertices in camera space to ``grad_camera``; exact within faces.

    It comes from those for barycentric coordinates, for depth, and for colours; where texels are encoded ``painted.by_rgb`` becomes
    that for encoded colours.

    Returns:
        With ``intrinsics`` the gradient for centre x, centre y, focal x and focal y.
    """
    device = faces.device
    place = torch.empty(runs.total, 3, dtype=torch.int32, device=device)
    by_corner = torch.empty(runs.total, 3, 3, device=device)
    by_lens = torch.empty(runs.total, 4, device=device) if intrinsics else None
    owners, shape = pixel_owners(bins, view, launcher)
    yield Launch(
        _pull, owners, array(faces), array(projected.camera, 3), array(face_id), lens_of(view), *shape, array(runs.starts),
        array(by_weight, 3), array(by_depth), *_arguments(painted), array(place), array(by_corner, 3), array(by_lens, 4),
        items=face_id.numel(),
    )
    yield from add_into(grad_camera, place, by_corner, launcher)
    return None if by_lens is None else by_lens.double().sum(0).float()
