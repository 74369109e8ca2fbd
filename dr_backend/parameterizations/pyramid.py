"""An image as the sigmoid of a sum of coarse and fine images.

Coarse levels receive the gradients of many texels at once, so colour spreads quickly and into places that no photo shows,
while what the image already holds there as detail stays. The sigmoid keeps every texel between 0 and 1.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..kernels.optional import kernels

SMALLEST = 1 / 1024  # sigmoid's ends are infinitely far away; a step below 8-bit linear's first code is near enough
SCALE = 4  # side of a level over that of the next coarser one
BETWEEN = [(k + 0.5) / SCALE for k in range(SCALE)]  # where the fine rows lie that two coarse ones have between their middles


class _Rows(torch.autograd.Function):
    """An image with ``SCALE`` rows for each, linear in between, cut to ``size`` rows. Several times faster than torch's own, which weighs
    four texels for each. Gradient: exact.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, size: int) -> Tensor:
        height, width, depth = image.shape
        ctx.shape = image.shape
        rows = image.reshape(height, width * depth)
        fine = image.new_empty(SCALE * height, width, depth)
        fine[: SCALE // 2], fine[-SCALE // 2 :] = image[0], image[-1]
        inner = fine[SCALE // 2 : -SCALE // 2].view(height - 1, SCALE, width * depth)
        for k, between in enumerate(BETWEEN):
            torch.lerp(rows[:-1], rows[1:], between, out=inner[:, k])
        return fine if size == len(fine) else fine[:size].clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        height, width, depth = ctx.shape
        grad = grad.reshape(len(grad), width * depth)
        if len(grad) < SCALE * height:
            grad = torch.cat([grad, grad.new_zeros(SCALE * height - len(grad), width * depth)])
        inner = grad[SCALE // 2 : -SCALE // 2].view(height - 1, SCALE, width * depth)
        total = torch.zeros(height, width * depth, dtype=grad.dtype, device=grad.device)
        total[0] += grad[: SCALE // 2].sum(0)
        total[-1] += grad[-SCALE // 2 :].sum(0)
        for k, between in enumerate(BETWEEN):
            total[:-1].add_(inner[:, k], alpha=1.0 - between)
            total[1:].add_(inner[:, k], alpha=between)
        return total.view(ctx.shape), None


def _enlarged(image: Float[Tensor, "h w 3"], height: int, width: int) -> Float[Tensor, "H W 3"]:
    """The image ``SCALE`` times as large, bilinear between the middles of its texels, cut to a size. Gradient: exact."""
    wide = _Rows.apply(image.transpose(0, 1), width).transpose(0, 1)
    return _Rows.apply(wide, height)


class Pyramid:
    """Image (H, W, 3) in 0…1 ↔ levels, finest first, each a quarter of the side of the one before, down to about 16 texels.

    With ``shrink`` the value is the image at that part of its size, for photos that cannot tell its texels apart.
    """

    def __init__(self, height: int, width: int, shrink: int = 1) -> None:
        self._shrink = shrink
        self.sizes = [(height // shrink, width // shrink)]
        while max(self.sizes[-1]) > 32:
            self.sizes.append((-(-self.sizes[-1][0] // SCALE), -(-self.sizes[-1][1] // SCALE)))

    def to_latents(self, value: Float[Tensor, "H W 3"]) -> list[Tensor]:
        """The image in the finest level, zeros in all others."""
        image = value.detach().clamp(SMALLEST, 1 - SMALLEST).contiguous()
        finest = image.logit()
        if self._shrink > 1:  # ``to_leaf`` adds what has changed to the whole
            self._whole, finest = finest, _reduced(image, self._shrink).logit()
            self._start = finest.clone()
        return [finest] + [finest.new_zeros(*size, 3) for size in self.sizes[1:]]

    def to_value(self, latents: list[Tensor]) -> Float[Tensor, "h w 3"]:
        """The image; sums from coarse to fine, so that only the last enlargement works at full size."""
        quick = kernels("parameterizations.pyramid_kernels", latents[0])
        return self._sum(latents).sigmoid_() if quick is None else quick.summed(latents, squash=True)

    @torch.no_grad()
    def to_leaf(self, latents: list[Tensor]) -> Float[Tensor, "H W 3"]:
        """The image at its own size, with the detail that it had."""
        if self._shrink == 1:
            return self.to_value(latents)
        change = (self._sum(latents) - self._start).permute(2, 0, 1)[None]
        wide = F.interpolate(change, scale_factor=self._shrink, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
        return (self._whole + wide).sigmoid_().contiguous()

    @staticmethod
    def _sum(latents: list[Tensor]) -> Tensor:
        total = latents[-1].clone()
        for level in reversed(latents[:-1]):
            total = _enlarged(total, *level.shape[:2]).add_(level)
        return total


def _reduced(image: Float[Tensor, "H W 3"], shrink: int) -> Float[Tensor, "h w 3"]:
    """Means of squares of ``shrink`` texels a side."""
    height, width, depth = image.shape
    return image.view(height // shrink, shrink, width // shrink, shrink, depth).mean((1, 3))
