"""The light of a scene as the native renderer's kernels read it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.normals import unit
from ..raster.native.lamps import AREA, BULB, SKY, SPOT, SUN
from ..raster.native.shade import Lamps
from ..scene import Light
from .lamps import WIDE_RAD, is_point
from .visibility import shadows_of


def _shape(light: Light) -> tuple[int, float, float]:
    """Kind and cone: see ``lamps.spot_factor`` and ``lamps.spread_factor``."""
    if light.kind == "sun":
        return SUN, 0.0, 0.0
    if light.kind == "spot":
        rim = math.cos(0.5 * light.spot_angle_rad)
        return SPOT, rim, max((1.0 - rim) * light.spot_blend, 1e-6)
    if light.kind == "area":
        half = 0.5 * light.spread_rad
        wide = light.spread_rad > WIDE_RAD
        return AREA, 0.0 if wide else math.tan(half), 0.0 if wide else 1.0 / max(math.tan(half) - half, 1e-9)
    return BULB, 0.0, 0.0


def _line(light: Light) -> Float[Tensor, "3 3"]:
    per_watt = {"sun": 1.0, "area": 1.0 / math.pi}.get(light.kind, 0.25 / math.pi)
    return torch.stack([light.world_from_light[:3, 3], unit(light.world_from_light[:3, 2]), per_watt * light.power * light.color])


def tabulate_lamps(scene: FlatScene) -> Lamps | None:
    """All light of a lit scene; None where kernels cannot shade it: surfaces that are not matte, lamps with a size, shadows that nobody has
    gathered at vertices, or a sky of many directions that may change.

    Gradients: exact for the lamps' leaves and a sky of one colour.
    """
    sky = scene.sky
    matte = scene.corner_normals is not None and all(material.gloss is None for material in scene.materials)
    if not matte or not all(is_point(light) for light in scene.lights) or (sky is not None and sky.power.requires_grad):
        return None
    if scene.shares is None and shadows_of(scene) is not None:
        return None
    like = scene.positions
    last = like.new_zeros(3, 3)
    if sky is None and scene.world_radiance is not None:
        last = torch.cat([last[:2], math.pi * scene.world_radiance[None]])
    shapes = [*(_shape(light) for light in scene.lights), (SKY, 0.0, 0.0)]
    return Lamps(
        lines=torch.stack([*(_line(light) for light in scene.lights), last]),
        shapes=torch.tensor(shapes, device=like.device, dtype=like.dtype),
        shares=None if scene.shares is None else scene.shares.contiguous(),
        directions=like.new_zeros(0, 3) if sky is None else sky.directions.contiguous(),
        power=like.new_zeros(0, 3) if sky is None else sky.power.contiguous(),
    )
