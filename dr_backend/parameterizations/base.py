"""The protocol of a parameterization."""

from typing import Protocol

from torch import Tensor


class Parameterization(Protocol):
    """A pair of inverse maps. Latents are a list because one value may be spread over several tensors."""

    def to_latents(self, value: Tensor) -> list[Tensor]:
        """Latents whose value is ``value``, detached."""
        ...

    def to_value(self, latents: list[Tensor]) -> Tensor:
        """The value; differentiable in the latents, exactly."""
        ...

    def to_leaf(self, latents: list[Tensor]) -> Tensor:
        """The scene's leaf, detached: the value, unless that is rendered at a smaller size."""
        ...
