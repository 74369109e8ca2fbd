"""How far a render's coverage is from a mask."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _Squares(Function):
    """The sum of squared differences: torch would walk over the image three times as often for it and its gradient."""

    @staticmethod
    def forward(ctx: Any, alpha: Tensor, mask: Tensor) -> Tensor:
        step = alpha - mask
        ctx.save_for_backward(step)
        flat = step.reshape(-1)
        return torch.dot(flat, flat)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (step,) = ctx.saved_tensors
        return step * (2 * grad), None


def silhouette(alpha: Float[Tensor, "H W"], mask: Float[Tensor, "H W"]) -> Float[Tensor, ""]:
    """Squared difference of coverage, summed over pixels: one where one is full and the other empty. Gradient exact, for ``alpha``."""
    return _Squares.apply(alpha, mask)
