"""Fixed sets of sample points: the same at every surface point and in every run, so that what they sum to is smooth and repeatable."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

GOLDEN = (5.0**0.5 - 1.0) / 2.0


@lru_cache(maxsize=32)
def square(count: int) -> Float[Tensor, "S 2"]:
    """Points spread evenly over the unit square, their mean at its middle: a lattice turned by about the golden ratio (Korobov 1959)."""
    step = min((k for k in range(1, count + 1) if math.gcd(k, count) == 1), key=lambda k: abs(k - GOLDEN * count))
    index = torch.arange(count, dtype=torch.float64)
    return torch.stack([(index + 0.5) / count, ((index * step) % count + 0.5) / count], dim=1)


@lru_cache(maxsize=32)
def disk(count: int) -> Float[Tensor, "S 2"]:
    """Points spread evenly over the unit disk: Vogel's spiral."""
    index = torch.arange(count, dtype=torch.float64)
    radius, angle = ((index + 0.5) / count).sqrt(), index * math.pi * (3.0 - math.sqrt(5.0))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def like(pattern: Tensor, tensor: Tensor) -> Tensor:
    """The pattern on the device and in the dtype of ``tensor``."""
    return pattern.to(device=tensor.device, dtype=tensor.dtype)
