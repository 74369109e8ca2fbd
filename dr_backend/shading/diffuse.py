"""Matte surfaces under lamps and sky, with their shadows and without bounced light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.sky import directions_like
from ..scene import Light
from .lamps import arriving
from .visibility import Points, shadows_of


@dataclass(frozen=True)
class Bent:
    """Normals as a normal image bent them, and those of the smooth surface below."""

    normals: Float[Tensor, "P 3"]
    smooth: Float[Tensor, "P 3"]

    def shadowing(self, cosine: Float[Tensor, "P S"]) -> Float[Tensor, "P S"]:
        """Share of light that bent normals let through, at these cosines to the smooth surface; it softens where light grazes.

        Conty Estevez et al. 2019, "A microfacet-based shadowing function to solve the bump terminator problem", Ray Tracing Gems.
        """
        between = (self.normals * self.smooth).sum(1, keepdim=True).clamp(1e-3, 1.0).square()
        roughness = (0.125 * (1.0 / between - 1.0)).clamp(0.0, 1.0)
        steep = 1.0 / cosine.clamp(1e-3, 1.0).square() - 1.0
        return 2.0 / (1.0 + (1.0 + roughness * steep).sqrt()) * (cosine > 0)


def _from_lamp(scene: FlatScene, lamp: Light, points: Float[Tensor, "P 3"], bent: Bent, starts: Points | None) -> Float[Tensor, "P 3"]:
    """Irradiance by one lamp."""
    light = arriving(lamp, points)
    cosine = torch.einsum("psk,pk->ps", light.toward, bent.normals).clamp_min(0.0)
    if bent.smooth is not bent.normals:
        cosine = cosine * bent.shadowing(torch.einsum("psk,pk->ps", light.toward, bent.smooth))
    received = light.irradiance * cosine
    shadows = shadows_of(scene) if starts is not None and lamp.casts_shadow else None
    if shadows is not None and starts is not None:
        source = [t for t in (lamp.world_from_light, lamp.radius, lamp.size, lamp.angle_rad) if t is not None]
        kind = f"{lamp.kind} {lamp.shape} {lamp.soft_falloff}"
        received = received * shadows.visible(scene, starts, kind, source, light.toward, light.distance)
    return received.sum(1, keepdim=True) * lamp.color


def _from_sky(scene: FlatScene, bent: Bent, starts: Points | None) -> Float[Tensor, "P 3"] | None:
    """Irradiance by the world; None without one and where it is black for good."""
    radiance = scene.world_radiance
    if radiance is None or (scene.sky is None and not radiance.requires_grad and not bool(radiance.any())):
        return None
    normals = bent.normals
    shadows = shadows_of(scene) if starts is not None else None
    if scene.sky is None and shadows is None and bent.smooth is normals:
        return math.pi * radiance.expand_as(normals)
    directions = directions_like(normals) if scene.sky is None else scene.sky.directions
    cosine = (normals @ directions.T).clamp_min(0.0)
    seen = cosine if bent.smooth is normals else cosine * bent.shadowing(bent.smooth @ directions.T)
    if shadows is not None and starts is not None:
        far = torch.full_like(directions[None, :, 0], torch.inf)
        seen = seen * shadows.visible(scene, starts, "sky", [directions], directions[None], far)
    if scene.sky is not None:
        return seen @ scene.sky.power
    return math.pi * (seen.sum(1) / cosine.sum(1).clamp_min(1e-9))[:, None] * radiance


def reflected(
    scene: FlatScene,
    albedo: Float[Tensor, "P 3"],
    points: Float[Tensor, "P 3"],
    normals: Float[Tensor, "P 3"],
    starts: Points | None,
    smooth: Float[Tensor, "P 3"] | None = None,
    shares: Float[Tensor, "P L"] | None = None,
) -> Float[Tensor, "P 3"]:
    """Linear radiance toward the viewer by Lambert's law: albedo × irradiance / π, summed over lamps and world.

    ``normals`` are unit vectors on the viewer's side, ``smooth`` those before a normal image bent them; without ``starts`` nothing is
    shadowed but by ``shares`` of each lamp's light and last of the sky's. Gradients: exact for every input but visibility, which is
    constant.
    """
    bent = Bent(normals, normals if smooth is None else smooth)
    total = _from_sky(scene, bent, starts)
    total = torch.zeros_like(albedo) if total is None else total
    if shares is not None:
        total = total * shares[:, -1:]
    for index, lamp in enumerate(scene.lights):
        received = _from_lamp(scene, lamp, points, bent, starts)
        total = total + (received if shares is None else received * shares[:, index, None])
    return albedo * total / math.pi
