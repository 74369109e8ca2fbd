"""How far a render's colours are from a photo's."""

from jaxtyping import Float
from torch import Tensor

SCALE = 0.1  # linear colour difference beyond which a pixel counts as an outlier and its pull stops growing


def photometric(rgb: Float[Tensor, "H W 3"], photo: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W"]:
    """Charbonnier distance of linear colours per pixel, averaged over channels and 0 where they agree.

    Quadratic for small differences, linear for large ones (Charbonnier et al., "Two deterministic half-quadratic
    regularization algorithms for computed imaging", ICIP 1994): highlights and wrong pixels cannot dominate.
    Both images are premultiplied by their coverage. Gradient exact, for ``rgb``.
    """
    return (((rgb - photo) / SCALE).square() + 1).sqrt().sub(1).mul(SCALE).mean(-1)
