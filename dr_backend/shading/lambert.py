"""Diffuse surfaces under Blender's lamps and world, without shadows or bounced light."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.normals import unit
from ..scene import Light


def _spot_factor(light: Light, cosine: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    """Blender's soft cone: a smooth step in the cosine of the angle to the axis, ``spot_blend`` wide from the rim inwards."""
    rim = math.cos(0.5 * light.spot_angle_rad)
    width = max((1.0 - rim) * light.spot_blend, 1e-6)
    ramp = ((cosine - rim) / width).clamp(0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def irradiance(light: Light, points: Float[Tensor, "P 3"], normals: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """Light that arrives at world-space points, in W/m² per colour channel.

    Blender's watts: a point or spot lamp of P watts sends P / 4π per steradian, whatever its cone; an area lamp P / π times the cosine
    to its axis (taken as a point: good from distances of a few times its size); a sun gives its strength in W/m².
    Gradients: exact for lamp, points and normals.
    """
    axis = unit(-light.world_from_light[:3, 2])
    if light.kind == "sun":
        return (normals @ -axis).clamp_min(0.0)[:, None] * (light.power * light.color)
    offset = light.world_from_light[:3, 3] - points
    squared = offset.square().sum(1).clamp_min(1e-12)
    toward = offset * squared.rsqrt()[:, None]
    cosine = -(toward @ axis)
    intensity = light.power / (4.0 * math.pi)
    if light.kind == "area":
        intensity = light.power / math.pi * cosine.clamp_min(0.0)
    elif light.kind == "spot":
        intensity = intensity * _spot_factor(light, cosine)
    arriving = intensity * (normals * toward).sum(1).clamp_min(0.0) / squared
    return arriving[:, None] * light.color


def shade(
    albedo: Float[Tensor, "P 3"],
    points: Float[Tensor, "P 3"],
    normals: Float[Tensor, "P 3"],
    lights: Sequence[Light],
    world_radiance: Float[Tensor, " 3"] | None,
) -> Float[Tensor, "P 3"]:
    """Linear radiance toward the viewer: albedo × (world radiance + Σ irradiance / π).

    ``normals`` are unit vectors on the viewer's side. The second factor is Lambert's law; a uniform world sends π times its radiance
    to every unshadowed surface. Gradients: exact for every input.
    """
    light = torch.zeros_like(albedo) if world_radiance is None else world_radiance.expand_as(albedo)
    for lamp in lights:
        light = light + irradiance(lamp, points, normals) / math.pi
    return albedo * light
