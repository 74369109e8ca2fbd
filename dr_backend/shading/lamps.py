"""What Blender's lamps send to surface points: direction, distance and strength of a few fixed samples of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.normals import unit
from ..scene import Light
from . import patterns

SAMPLES = 32  # of a lamp that has a size
WIDE_RAD = math.pi - 2e-4  # of an area lamp's spread: nearly all around
NARROW_SAMPLES = 64  # of an area lamp whose light ends at a rim


@dataclass(frozen=True)
class Arriving:
    """Samples of a lamp as surface points see them."""

    toward: Float[Tensor, "P S 3"]  # unit vectors to the lamp
    distance: Float[Tensor, "P S"]  # infinite for a sun
    irradiance: Float[Tensor, "P S"]  # W/m² that the sample adds to a surface facing it, before the lamp's colour
    density: Float[Tensor, "P S"] | None = None  # of the samples per steradian; None where the lamp is a point


def across(axis: Float[Tensor, "*n 3"]) -> tuple[Float[Tensor, "*n 3"], Float[Tensor, "*n 3"]]:
    """Two unit vectors at right angles to a unit vector and to each other.

    Duff et al. 2017, "Building an orthonormal basis, revisited".
    """
    x, y, z = axis.unbind(-1)
    sign = torch.where(z < 0, -1.0, 1.0).to(axis.dtype)
    a = -1.0 / (sign + z)
    b = x * y * a
    first = torch.stack([1.0 + sign * x * x * a, sign * b, -sign * x], dim=-1)
    return first, torch.stack([b, sign + y * y * a, -y], dim=-1)


def spot_factor(light: Light, cosine: Float[Tensor, "P S"]) -> Float[Tensor, "P S"]:
    """Blender's soft cone: a smooth step in the cosine of the angle to the axis, ``spot_blend`` wide from the rim inwards."""
    rim = math.cos(0.5 * light.spot_angle_rad)
    width = max((1.0 - rim) * light.spot_blend, 1e-6)
    ramp = ((cosine - rim) / width).clamp(0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def spread_factor(light: Light, cosine: Float[Tensor, "P S"]) -> Float[Tensor, "P S"]:
    """An area lamp's honeycomb: light falls linearly in the tangent of the angle to the axis and ends at half the spread; power is kept."""
    half = 0.5 * light.spread_rad
    if light.spread_rad > WIDE_RAD:
        return torch.ones_like(cosine)
    tangent = ((1.0 - cosine * cosine).clamp_min(1e-12)).sqrt() / cosine.clamp_min(1e-6)
    return (math.tan(half) - tangent).clamp_min(0.0) / max(math.tan(half) - half, 1e-9)


def is_point(light: Light) -> bool:
    """Whether the lamp has no size: then no ray meets it."""
    size = {"sun": light.angle_rad, "area": light.size}.get(light.kind, light.radius)
    return size is None or not float(size.detach().max()) > 1e-6


def _area_of(light: Light) -> Tensor:
    """Of an area lamp, or of the disk that a soft bulb turns to every point, in square world units."""
    if light.kind != "area":
        return math.pi * light.radius.square()
    return light.size.prod() * (0.25 * math.pi if light.shape == "ellipse" else 1.0)


def _from(places: Float[Tensor, "P S 3"], points: Float[Tensor, "P 3"]) -> tuple[Tensor, Tensor]:
    """Unit vectors and distances from points to places."""
    offset = places - points[:, None]
    squared = offset.square().sum(-1).clamp_min(1e-12)
    return offset * squared.rsqrt()[..., None], squared.sqrt()


def _sun(light: Light, points: Float[Tensor, "P 3"]) -> Arriving:
    backward = unit(light.world_from_light[:3, 2])
    density = None
    if is_point(light):
        toward = backward.expand(len(points), 1, 3)
    else:
        half = 0.5 * light.angle_rad
        spots = patterns.like(patterns.disk(SAMPLES), points)
        height = 1.0 - spots.square().sum(1) * (1.0 - torch.cos(half))  # even over the cone's solid angle
        wide = (1.0 - height * height).clamp_min(0.0).sqrt() / spots.norm(dim=1)
        axes = unit(light.world_from_light[:3, :2].T)
        toward = (height[:, None] * backward + (spots * wide[:, None]) @ axes).expand(len(points), -1, 3)
        density = (0.5 / math.pi / (1.0 - torch.cos(half))).expand(toward.shape[:2])
    share = 1.0 / (toward[0] @ backward).sum() if len(points) else 1.0  # a surface that faces the sun gets its whole strength
    irradiance = (light.power * share).expand(toward.shape[:2])
    return Arriving(toward, torch.full_like(irradiance, torch.inf), irradiance, density)


def _area(light: Light, points: Float[Tensor, "P 3"]) -> Arriving:
    axis = unit(-light.world_from_light[:3, 2])
    centre = light.world_from_light[:3, 3]
    if is_point(light):
        places = centre.expand(len(points), 1, 3)
    else:
        count = SAMPLES if light.spread_rad > WIDE_RAD else NARROW_SAMPLES
        if light.shape == "ellipse":
            spots = 0.5 * patterns.like(patterns.disk(count), points)
        else:
            spots = patterns.like(patterns.square(count), points) - 0.5
        places = (centre + (spots * light.size) @ unit(light.world_from_light[:3, :2].T)).expand(len(points), -1, 3)
    toward, distance = _from(places, points)
    cosine = -(toward @ axis).clamp_max(0.0)
    strength = light.power / math.pi * cosine * spread_factor(light, cosine) / places.shape[1]
    density = None if is_point(light) else distance.square() / (_area_of(light) * cosine).clamp_min(1e-9)
    return Arriving(toward, distance, strength / distance.square(), density)


def _ball(light: Light, points: Float[Tensor, "P 3"], radius: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Directions over the cone in which a ball is seen, distances to it, what each adds per W/sr of the lamp, and their density."""
    towards_centre, far = _from(light.world_from_light[:3, 3].expand(len(points), 1, 3), points)
    axis, far = towards_centre[:, 0], far[:, 0]
    sine = (radius / far).clamp_max(0.999)
    gap = sine.square() / (1.0 + (1.0 - sine.square()).sqrt())  # 1 - cosine of the cone's half angle
    spots = patterns.like(patterns.disk(SAMPLES), points)
    height = 1.0 - spots.square().sum(1) * gap[:, None]
    wide = (1.0 - height * height).clamp_min(0.0).sqrt() / spots.norm(dim=1)
    first, second = (v.detach() for v in across(axis))
    toward = height[..., None] * axis[:, None]
    toward = toward + (wide * spots[:, 0])[..., None] * first[:, None] + (wide * spots[:, 1])[..., None] * second[:, None]
    reach = far[:, None] * height - (radius.square() - far[:, None].square() * (1.0 - height * height)).clamp_min(0.0).sqrt()
    share = 2.0 * gap / (radius.square() * SAMPLES)
    return toward, reach.clamp_min(1e-6), share[:, None].expand(-1, SAMPLES), (0.5 / math.pi / gap)[:, None].expand(-1, SAMPLES)


def _bulb(light: Light, points: Float[Tensor, "P 3"]) -> Arriving:
    """A point or spot lamp: a point, a ball, or with soft falloff a disk that turns to every surface point."""
    centre = light.world_from_light[:3, 3]
    density = None
    if is_point(light):
        toward, distance = _from(centre.expand(len(points), 1, 3), points)
        share = distance.square().reciprocal()
    elif not light.soft_falloff:
        toward, distance, share, density = _ball(light, points, light.radius)
    else:
        axis = _from(centre.expand(len(points), 1, 3), points)[0][:, 0].detach()
        spots = patterns.like(patterns.disk(SAMPLES), points) * light.radius
        first, second = across(axis)
        places = centre + spots[:, :1] * first[:, None] + spots[:, 1:] * second[:, None]
        toward, distance = _from(places, points)
        cosine = (toward * axis[:, None]).sum(-1).clamp_min(0.0)
        share = cosine / (distance.square() * SAMPLES)
        density = distance.square() / (_area_of(light) * cosine).clamp_min(1e-9)
    intensity = light.power / (4.0 * math.pi) * share
    if light.kind == "spot":
        intensity = intensity * spot_factor(light, toward @ unit(light.world_from_light[:3, 2]))
    return Arriving(toward, distance, intensity, density)


def arriving(light: Light, points: Float[Tensor, "P 3"]) -> Arriving:
    """What a lamp sends to world-space points.

    Blender's watts: a point or spot lamp of P watts sends P / 4π per steradian, whatever its cone; an area lamp of area A has a radiance of
    P / πA; a sun gives its strength in W/m². A lamp without size is one sample, others some dozens.
    Gradients: exact for the lamp's leaves and the points, except that the disk of a soft bulb keeps its direction.
    """
    if light.kind == "sun":
        return _sun(light, points)
    return _area(light, points) if light.kind == "area" else _bulb(light, points)


def struck(
    light: Light, points: Float[Tensor, "P 3"], directions: Float[Tensor, "P S 3"]
) -> tuple[Float[Tensor, "P S"], Float[Tensor, "P S"], Float[Tensor, "P S"]]:
    """What rays from points meet of a lamp that has a size: its radiance before its colour, the density that ``arriving`` gives to these
    directions, and the distance; the first two are zero where a ray misses it.

    Gradients: exact for the lamp's power; whether a ray meets the lamp is constant.
    """
    if light.kind == "sun":
        return _struck_sun(light, directions)
    if light.kind == "area":
        return _struck_area(light, points, directions)
    return _struck_bulb(light, points, directions)


def _struck_sun(light: Light, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    edge = torch.cos(0.5 * light.angle_rad)
    met = (directions @ unit(light.world_from_light[:3, 2]) > edge).to(directions.dtype)
    density = 0.5 / math.pi / (1.0 - edge)
    radiance = light.power / (math.pi * (1.0 - edge * edge))
    return met * radiance, met * density, torch.full_like(met, torch.inf)


def _struck_area(light: Light, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    axes = unit(light.world_from_light[:3, :3].T)
    cosine = directions @ axes[2]
    distance = ((light.world_from_light[:3, 3] - points) @ axes[2])[:, None] / torch.where(cosine > 1e-6, cosine, 1.0)
    local = (points[:, None] + distance[..., None] * directions - light.world_from_light[:3, 3]) @ axes[:2].T / (0.5 * light.size)
    inside = local.square().sum(-1) <= 1.0 if light.shape == "ellipse" else local.abs().amax(-1) <= 1.0
    met = (inside & (cosine > 1e-6) & (distance > 0)).to(distance.dtype)
    radiance = light.power / (math.pi * _area_of(light)) * spread_factor(light, cosine.clamp(0.0, 1.0))
    density = distance.square() / (_area_of(light) * cosine).clamp_min(1e-9)
    return met * radiance, met * density, distance


def _struck_bulb(light: Light, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    axis, far = (t[:, 0] for t in _from(light.world_from_light[:3, 3].expand(len(points), 1, 3), points))
    along = torch.einsum("psk,pk->ps", directions, axis)
    sine = (1.0 - along * along).clamp_min(0.0)
    radius = light.radius
    if light.soft_falloff:
        distance = far[:, None] / along.clamp_min(1e-6)
        inside = distance.square() * sine <= radius.square()
        density = distance.square() / (_area_of(light) * along).clamp_min(1e-9)
    else:
        depth = radius.square() - far[:, None].square() * sine
        inside = depth >= 0
        distance = far[:, None] * along - depth.clamp_min(0.0).sqrt()
        edge = (radius / far).clamp_max(0.999).square()
        density = (0.5 / math.pi * (1.0 + (1.0 - edge).sqrt()) / edge)[:, None].expand_as(along)
    met = (inside & (along > 0)).to(along.dtype)
    radiance = light.power / (4.0 * math.pi * _area_of(light))
    if light.kind == "spot":
        radiance = radiance * spot_factor(light, directions @ unit(light.world_from_light[:3, 2]))
    return met * radiance, met * density, distance
