"""How far a render's colours are from a photo's."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

SCALE = 0.1  # linear colour difference beyond which a pixel counts as an outlier and its pull stops growing


class _Charbonnier(Function):
    """Written out, because torch would walk over the image twice as often."""

    @staticmethod
    def forward(ctx: Any, rgb: Tensor, photo: Tensor) -> Tensor:
        step = (rgb - photo).div_(SCALE)
        root = step.square().add_(1).sqrt_()
        ctx.save_for_backward(step, root)
        red, green, blue = root.unbind(-1)
        return (red + green).add_(blue).sub_(3).mul_(SCALE / 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        step, root = ctx.saved_tensors
        by_rgb, share = torch.div(step, root), grad / 3
        for channel in by_rgb.unbind(-1):
            channel.mul_(share)
        return by_rgb, None


def photometric(rgb: Float[Tensor, "H W 3"], photo: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W"]:
    """Charbonnier distance of linear colours per pixel, averaged over channels and 0 where they agree.

    Quadratic for small differences, linear for large ones (Charbonnier et al., "Two deterministic half-quadratic
    regularization algorithms for computed imaging", ICIP 1994): highlights and wrong pixels cannot dominate.
    Both images are premultiplied by their coverage. Gradient exact, for ``rgb``.
    """
    return _Charbonnier.apply(rgb, photo)
