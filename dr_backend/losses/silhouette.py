"""How far a render's coverage is from a mask."""

from jaxtyping import Float
from torch import Tensor


def silhouette(alpha: Float[Tensor, "H W"], mask: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """Squared difference of coverage per pixel: 1 where one is full and the other empty. Gradient exact, for ``alpha``."""
    return (alpha - mask).square()
