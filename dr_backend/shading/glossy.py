"""Blender's Principled surface: a matte base under a dielectric coat, or metal; under lamps and sky, without bounced light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..scene import Light
from . import ggx, patterns
from .environment import radiance_from
from .lamps import Arriving, across, arriving, struck
from .visibility import Points, shadows_of

SAMPLES = 24  # directions in which a glossy surface looks


@dataclass(frozen=True)
class Gloss:
    """What the Principled BSDF has beside its base colour, at surface points."""

    metallic: Float[Tensor, "P 1"]
    roughness: Float[Tensor, "P 1"]
    ior: Tensor  # () of the coat, the specular level folded in


class Lobe:
    """The glossy lobe at surface points that see the viewer in directions ``view``; normals are on the viewer's side.

    Energy that single bounces between microfacets lose is given back by a factor (Turquin 2019, "Practical multiple scattering compensation
    for microfacet models"; the colour of many bounces after Kulla and Conty 2017, "Revisiting physically based shading at Imageworks").
    """

    def __init__(self, base: Float[Tensor, "P 3"], gloss: Gloss, normals: Float[Tensor, "P 3"], view: Float[Tensor, "P 3"]) -> None:
        self.base, self.gloss, self.normals, self.view = base, gloss, normals, view
        self.alpha = (gloss.roughness * gloss.roughness).clamp_min(ggx.MIN_ALPHA)
        self.cosine = (normals * view).sum(1, keepdim=True).clamp(1e-4, 1.0)
        mirror, average = ggx.mirror_share(gloss.roughness, self.cosine)
        coat, mean_coat = ggx.coat_share(gloss.roughness, self.cosine, gloss.ior)
        lost = (1.0 - mirror) / mirror.clamp_min(1e-3)
        mean_metal = base + (1.0 - base) / 21.0
        self._metal_gain = 1.0 + mean_metal * average / (1.0 - mean_metal * (1.0 - average)) * lost
        self._coat_gain = 1.0 + mean_coat * average / (1.0 - mean_coat * (1.0 - average)) * lost
        self.matte = (1.0 - gloss.metallic) * (1.0 - (coat * self._coat_gain).clamp(0.0, 1.0))

    def _tint(self, meeting: Float[Tensor, "P S"]) -> Float[Tensor, "P S 3"]:
        """Fresnel reflectance of both layers at the cosine between viewer and microfacet, with the light of many bounces."""
        schlick = (1.0 - meeting[..., None]).clamp(0.0, 1.0) ** 5
        metal = (self.base[:, None] + (1.0 - self.base[:, None]) * schlick) * self._metal_gain[:, None]
        coat = ggx.fresnel_dielectric(meeting, self.gloss.ior)[..., None] * self._coat_gain[:, None]
        share = self.gloss.metallic[:, None]
        return share * metal + (1.0 - share) * coat

    def toward(self, directions: Float[Tensor, "P S 3"]) -> tuple[Float[Tensor, "P S 3"], Float[Tensor, "P S"]]:
        """Reflected radiance per irradiance from these directions times cosine, and how densely ``sample`` picks them per solid angle."""
        half = directions + self.view[:, None]
        half = half / half.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        meeting = torch.einsum("psk,pk->ps", half, self.view).clamp(0.0, 1.0)
        upright = torch.einsum("psk,pk->ps", half, self.normals).clamp(0.0, 1.0)
        leaving = torch.einsum("psk,pk->ps", directions, self.normals)
        density, entering = ggx.density(self.alpha, upright), ggx.hidden(self.alpha, self.cosine)
        shape = density / (4.0 * self.cosine * (1.0 + entering + ggx.hidden(self.alpha, leaving))) * (leaving > 0)
        return self._tint(meeting) * shape[..., None], density / (4.0 * self.cosine * (1.0 + entering))

    def sample(self) -> tuple[Float[Tensor, "P S 3"], Float[Tensor, "P S 3"], Float[Tensor, "P S"]]:
        """Directions that the lobe reflects toward the viewer, their weight on radiance, and their density per solid angle."""
        first, second = across(self.normals)
        frame = torch.stack([first, second, self.normals], dim=1)
        spots = patterns.like(patterns.disk(SAMPLES), self.view)
        half = ggx.sample_half(self.alpha, (frame @ self.view[..., None]).squeeze(-1), spots) @ frame
        meeting = torch.einsum("psk,pk->ps", half, self.view).clamp(0.0, 1.0)
        directions = 2.0 * meeting[..., None] * half - self.view[:, None]
        leaving = torch.einsum("psk,pk->ps", directions, self.normals)
        entering = 1.0 + ggx.hidden(self.alpha, self.cosine)
        kept = entering / (entering + ggx.hidden(self.alpha, leaving)) * (leaving > 0)
        upright = torch.einsum("psk,pk->ps", half, self.normals).clamp(0.0, 1.0)
        density = ggx.density(self.alpha, upright) / (4.0 * self.cosine * entering)
        return directions, self._tint(meeting) * kept[..., None] / SAMPLES, density


def _seen(
    scene: FlatScene, starts: Points | None, kind: str, source: list[Tensor], directions: Tensor, distance: Tensor, casts: bool
) -> Tensor | float:
    shadows = shadows_of(scene) if starts is not None and casts else None
    if shadows is None or starts is None:
        return 1.0
    return shadows.visible(scene, starts, kind, source, directions, distance)


def _by_lamp(scene: FlatScene, lamp: Light, light: Arriving, visible: Tensor | float, lobe: Lobe) -> Float[Tensor, "P 3"]:
    """Light that samples of the lamp send by way of the lobe, weighed against the lobe's own samples (Veach 1997, balance heuristic)."""
    weight, lobe_density = lobe.toward(light.toward)
    cosine_free = light.irradiance * visible
    if light.density is not None:
        own = light.density * light.toward.shape[1]
        cosine_free = cosine_free * own / (own + SAMPLES * lobe_density)
    return torch.einsum("ps,psk->pk", cosine_free, weight) * lamp.color


def glossy(
    scene: FlatScene,
    lobe: Lobe,
    points: Float[Tensor, "P 3"],
    starts: Points | None,
) -> Float[Tensor, "P 3"]:
    """Linear radiance that the lobe reflects toward the viewer.

    Gradients: exact for colours, roughness, IOR, powers and positions, but visibility and which lamp a reflected ray meets are constant.
    """
    total = torch.zeros_like(lobe.base)
    directions, weights, density = lobe.sample()
    for lamp in scene.lights:
        light = arriving(lamp, points)
        source = [t for t in (lamp.world_from_light, lamp.radius, lamp.size, lamp.angle_rad) if t is not None]
        kind = f"{lamp.kind} {lamp.shape} {lamp.soft_falloff}"
        total = total + _by_lamp(
            scene, lamp, light, _seen(scene, starts, kind, source, light.toward, light.distance, lamp.casts_shadow), lobe
        )
        if light.density is None:
            continue
        radiance, lamp_density, distance = struck(lamp, points, directions)
        seen = _seen(scene, starts, f"lobe {kind}", [*source, directions], directions, distance, lamp.casts_shadow)
        share = SAMPLES * density / (SAMPLES * density + light.toward.shape[1] * lamp_density)
        total = total + torch.einsum("ps,psk->pk", radiance * share * seen, weights) * lamp.color
    if scene.world_radiance is not None:
        far = torch.full_like(density, torch.inf)
        seen = _seen(scene, starts, "lobe sky", [directions], directions, far, True)
        spread = 1.0 / (SAMPLES * density.detach()).clamp_min(1e-6)
        sky = radiance_from(scene, directions, spread.clamp_max(4.0 * math.pi))
        total = total + (sky * weights * (seen[..., None] if isinstance(seen, Tensor) else seen)).sum(1)
    return total
