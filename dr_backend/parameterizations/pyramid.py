"""An image as the sigmoid of a sum of coarse and fine images.

Coarse levels receive the gradients of many texels at once, so colour spreads quickly and into places that no photo shows,
while what the image already holds there as detail stays. The sigmoid keeps every texel between 0 and 1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SMALLEST = 1 / 1024  # sigmoid's ends are infinitely far away; a step below 8-bit linear's first code is near enough


class Pyramid:
    """Image (H, W, 3) in 0…1 ↔ levels, finest first, each a quarter of the side of the one before, down to about 16 texels."""

    def __init__(self, height: int, width: int) -> None:
        self.sizes = [(height, width)]
        while max(self.sizes[-1]) > 32:
            self.sizes.append((max(1, self.sizes[-1][0] // 4), max(1, self.sizes[-1][1] // 4)))

    def to_latents(self, value: Float[Tensor, "H W 3"]) -> list[Tensor]:
        """The image in the finest level, zeros in all others."""
        image = value.detach().clamp(SMALLEST, 1 - SMALLEST).logit().permute(2, 0, 1)[None].contiguous()
        return [image] + [image.new_zeros(1, 3, *size) for size in self.sizes[1:]]

    def to_value(self, latents: list[Tensor]) -> Float[Tensor, "H W 3"]:
        """The image; sums from coarse to fine, so that only the last enlargement works at full size."""
        total = latents[-1]
        for level in reversed(latents[:-1]):
            total = level + F.interpolate(total, size=level.shape[2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(total)[0].permute(1, 2, 0)
