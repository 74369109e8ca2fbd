"""How far a render's colours are from a photo's."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..kernels.optional import kernels

SCALE = 0.1  # linear colour difference beyond which a pixel counts as an outlier and its pull stops growing


class _Charbonnier(Function):
    """The sum and its gradient in one go, because torch would walk over the image three times as often."""

    @staticmethod
    def forward(ctx: Any, rgb: Tensor, photo: Tensor) -> Tensor:
        quick = kernels("losses.photometric_kernels", rgb)
        if quick is not None:
            total, slope = quick.charbonnier(rgb, photo, SCALE)
            ctx.save_for_backward(slope)
            return total / 3
        step = rgb - photo
        root = torch.addcmul(step.new_tensor(SCALE * SCALE), step, step).sqrt_()
        ctx.save_for_backward(step.div_(root))
        return root.sub_(SCALE).sum() / 3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return slope * (grad / 3), None


def photometric(rgb: Float[Tensor, "H W 3"], photo: Float[Tensor, "H W 3"]) -> Float[Tensor, ""]:
    """Charbonnier distance of linear colours, averaged over channels and summed over pixels; 0 where they agree.

    Quadratic for small differences, linear for large ones (Charbonnier et al., "Two deterministic half-quadratic
    regularization algorithms for computed imaging", ICIP 1994): highlights and wrong pixels cannot dominate.
    Both images are premultiplied by their coverage. Gradient exact, for ``rgb``.
    """
    return _Charbonnier.apply(rgb, photo)
