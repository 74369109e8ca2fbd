"""The world's light as a fixed number of directions: from an image or from spherical harmonics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..scene import World
from ..scene.sphere import even_directions, harmonics, pixel_directions, pixel_solid_angles
from .normals import unit

DIRECTIONS = 256
MAX_WIDTH = 256  # in pixels, to which an image is averaged before it is gathered into directions


@dataclass(frozen=True)
class Sky:
    """Light from a few directions, whose sum over all of them is that of the whole world."""

    directions: Float[Tensor, "S 3"]  # unit vectors in world space, constant for the gradient
    power: Float[Tensor, "S 3"]  # radiance times solid angle


def directions_like(tensor: Tensor) -> Float[Tensor, "S 3"]:
    """Directions spread evenly over the sphere, on the device and in the dtype of ``tensor``."""
    return torch.from_numpy(even_directions(DIRECTIONS)).to(device=tensor.device, dtype=tensor.dtype)


@lru_cache(maxsize=8)
def _cells(height: int, width: int) -> tuple[Int[Tensor, " N"], Float[Tensor, "N 3"], Float[Tensor, "N 1"]]:
    """For each pixel the nearest of the even directions, its own direction and its solid angle."""
    directions = torch.from_numpy(pixel_directions(height, width)).reshape(-1, 3)
    even = torch.from_numpy(even_directions(DIRECTIONS))
    nearest = torch.cat([(part @ even.T).argmax(1) for part in directions.split(8192)])
    return nearest, directions, torch.from_numpy(pixel_solid_angles(height, width)).repeat_interleave(width, 0)


def _from_image(world: World) -> Sky:
    """Pixels gathered into cells; each cell shines from the middle of its light, so that a sun in the image keeps its place."""
    image = world.image
    height, width = image.shape[:2]
    if width > MAX_WIDTH:
        small = (max(1, round(height * MAX_WIDTH / width)), MAX_WIDTH)
        image = F.interpolate(image.permute(2, 0, 1)[None], size=small, mode="area")[0].permute(1, 2, 0)
    nearest, own, angle = (t.to(image.device) for t in _cells(*image.shape[:2]))
    light = image.reshape(-1, 3) * angle.to(image.dtype)
    power = light.new_zeros(DIRECTIONS, 3).index_add(0, nearest, light)
    with torch.no_grad():
        weight = light.sum(1, keepdim=True) + 1e-12
        middle = light.new_zeros(DIRECTIONS, 3).index_add(0, nearest, weight * own.to(light.dtype))
        middle = torch.where(middle.norm(dim=1, keepdim=True) > 0, middle, directions_like(middle))
        if world.image_from_world is not None:
            middle = middle @ world.image_from_world
    return Sky(unit(middle), power if world.strength is None else power * world.strength)


def sky_of(world: World) -> Sky | None:
    """The world as directions; None where it has one colour only. Gradients: exact for the image, its strength and the harmonics."""
    if world.harmonics is not None:
        directions = directions_like(world.harmonics)
        basis = torch.from_numpy(harmonics(even_directions(DIRECTIONS))).to(directions)
        return Sky(directions, basis @ world.harmonics * (4.0 * math.pi / DIRECTIONS))
    return None if world.image is None else _from_image(world)
