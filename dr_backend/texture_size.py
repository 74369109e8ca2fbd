"""How many texels the photos can tell apart."""

import math
from collections.abc import Sequence

import torch

from .geometry.flatten import FlatScene
from .raster.project import project, view_of
from .scene import Scene

SMALLEST, LARGEST = 64, 4096


@torch.no_grad()
def texture_sides(scene: Scene, flat: FlatScene, cameras: Sequence[str], wanted: int) -> dict[str, int]:
    """Side in texels, per material with an image, at which one texel is about one pixel of the photo that shows it best.

    A power of two between 64 and 4096; ``wanted`` overrides it unless it is 0.
    """
    names = [name for name, material in scene.materials.items() if material.base_color_image is not None]
    if wanted:
        return dict.fromkeys(names, wanted)
    best = torch.zeros(len(flat.faces), device=flat.positions.device)
    for name in cameras:
        view = view_of(scene.cameras[name], flat.positions)
        screen = project(flat.positions, view)
        in_front = screen.depth[flat.faces].amin(1) > view.near
        best = torch.maximum(best, torch.where(in_front, _area(screen.xy[flat.faces]), 0.0))
    uv_area = _area(flat.uvs)
    sides = {}
    for index, (name, textured) in enumerate(flat.topology.material_keys):
        if name not in names or not textured:
            continue
        chosen = flat.face_material == index
        share = float(uv_area[chosen].sum().clamp(0.05, 1.0))
        side = math.sqrt(float(best[chosen].sum()) / share)
        sides[name] = min(LARGEST, max(SMALLEST, 2 ** round(math.log2(max(side, 1.0)))))
    return sides


def _area(triangles: torch.Tensor) -> torch.Tensor:
    """Area of 2-D triangles (F, 3, 2) → (F,)."""
    a, b, c = triangles.unbind(1)
    u, v = b - a, c - a
    return 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).abs()
