"""The world as reflections see it: radiance from any direction, averaged over the solid angle that a sample stands for."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..raster.texture import sample_texture
from ..scene import World
from ..scene.sphere import harmonic_terms


def _image_at(world: World, directions: Float[Tensor, "N 3"], spread: Float[Tensor, " N"]) -> Float[Tensor, "N 3"]:
    """The world's image in world-space directions, from the reduced copy whose pixels are about as large as ``spread``.

    Křivánek and Colbert 2008, "Real-time shading with filtered importance sampling", eq. 7.
    """
    if world.image_from_world is not None:
        directions = directions @ world.image_from_world.T
    x, y, z = directions.unbind(1)
    uv = torch.stack([0.5 - torch.atan2(y, x) / (2.0 * math.pi), 0.5 + torch.asin(z.clamp(-1.0, 1.0)) / math.pi], dim=1)
    image = world.image
    pixel = 4.0 * math.pi / (image.shape[0] * image.shape[1])
    wanted = (0.5 * torch.log2((spread / pixel).clamp_min(1.0))).round().long()
    result = directions.new_zeros(len(directions), 3)
    level = 0
    while True:
        last = min(image.shape[:2]) < 4
        here = torch.nonzero(wanted >= level if last else wanted == level).squeeze(1)
        if len(here):
            result = result.index_copy(0, here, sample_texture(image, uv[here], "repeat"))
        if last:
            return result if world.strength is None else result * world.strength
        image = F.avg_pool2d(image.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)
        level += 1


def radiance_from(scene: FlatScene, directions: Float[Tensor, "P S 3"], spread: Float[Tensor, "P S"]) -> Float[Tensor, "P S 3"]:
    """Radiance of the world from directions, averaged over about ``spread`` steradians where it comes from an image.

    Gradients: exact for image, strength, harmonics and colour, and for directions within a reduced copy.
    """
    world, flat = scene.world, directions.reshape(-1, 3)
    if world is None:
        return torch.zeros_like(directions)
    if world.harmonics is not None:
        return (torch.stack(harmonic_terms(*flat.unbind(1)), dim=1) @ world.harmonics).view_as(directions)
    if world.image is None:
        return world.radiance.expand_as(directions)
    return _image_at(world, flat, spread.reshape(-1)).view_as(directions)
