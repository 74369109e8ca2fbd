"""Adam with one step length for the whole tensor.

Nicolet, Jacobson, Jakob 2021, section 3.4: dividing by the largest second moment instead of each one's own keeps the
direction of a smooth gradient smooth.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class AdamUniform:
    """Parameters move at most about ``rate`` per step, in the direction of the smoothed gradient."""

    def __init__(self, parameters: Sequence[Tensor], rate: float = 0.1, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.rate = rate
        self._parameters, self._betas = list(parameters), betas
        self._means, self._squares = ([torch.zeros_like(p) for p in self._parameters] for _ in range(2))
        self._steps = [0] * len(self._parameters)

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        beta1, beta2 = self._betas
        for n, (p, mean, square) in enumerate(zip(self._parameters, self._means, self._squares, strict=True)):
            if p.grad is None:
                continue
            self._steps[n] += 1
            mean.lerp_(p.grad, 1 - beta1)
            square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            largest = (square.max() / (1 - beta2 ** self._steps[n])).sqrt()
            p.sub_(mean / (1 - beta1 ** self._steps[n]) / largest.clamp_min(1e-30), alpha=self.rate)
