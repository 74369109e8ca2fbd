"""Reading textures."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

SHARP = 2.0  # texels per pixel up to which bilinear lookups, two texels wide, miss none


def _halved(image: Float[Tensor, "H W K"]) -> Float[Tensor, "h w K"]:
    """The image at half the size; each texel is the mean of those that it takes the place of."""
    height, width, depth = image.shape
    if height % 2 or width % 2:
        size = (max(1, height // 2), max(1, width // 2))
        return interpolate(image.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)
    top, bottom = image.reshape(height // 2, 2, width * depth).unbind(1)  # several times faster than torch's pooling
    left, right = (top + bottom).view(height // 2, width // 2, 2, depth).unbind(2)
    return 0.25 * (left + right)


def smaller_levels(image: Float[Tensor, "H W K"], highest: int) -> list[Float[Tensor, "h w K"]]:
    """The image and up to ``highest`` levels of half the size each. Gradients: exact."""
    levels = [image]
    while len(levels) <= highest and max(levels[-1].shape[:2]) > 1:
        levels.append(_halved(levels[-1]))
    return levels


def level_for(texels: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    """The level to read where a pixel covers so many texels. By area it follows slanted surfaces with less blur than by their longer side.

    Williams 1983, "Pyramidal parametrics". No gradients.
    """
    return 0.5 * torch.log2((texels.detach() / SHARP).clamp_min(1.0))


def sample_texture(
    image: Float[Tensor, "H W K"], uv: Float[Tensor, "P 2"], extension: Literal["repeat", "extend"] = "repeat"
) -> Float[Tensor, "P K"]:
    """Bilinear lookups. (0, 0) is the lower left of the image, whose row 0 is on top; texel edges lie at 0 and 1, as in Blender.

    ``repeat`` tiles the image, ``extend`` continues its border. Gradients: exact for image and coordinates.
    """
    height, width = image.shape[:2]
    if len(uv) == 0:
        return image.new_zeros(0, image.shape[2]) + 0.0 * uv.sum()
    if extension == "repeat":
        margin = uv.new_tensor([0.5 / width, 0.5 / height])
        low, high = torch.aminmax(uv.detach(), dim=0)
        if not bool(((low >= margin) & (high <= 1.0 - margin)).all()):
            # One more texel on each side lets the border interpolate with the opposite one.
            image = torch.cat([image[-1:], image, image[:1]])
            image = torch.cat([image[:, -1:], image, image[:, :1]], dim=1)
            size = uv.new_tensor([width, height])
            uv = ((uv - uv.detach().floor()) * size + 1.0) / (size + 2.0)
    grid = torch.stack([2.0 * uv[:, 0] - 1.0, 1.0 - 2.0 * uv[:, 1]], dim=1)
    texels = image.permute(2, 0, 1)[None]
    return grid_sample(texels, grid[None, :, None], mode="bilinear", padding_mode="border", align_corners=False)[0, :, :, 0].T
