"""Adam with one step length for the whole tensor.

Nicolet, Jacobson, Jakob 2021, section 3.4: dividing by the largest second moment instead of each one's own keeps the
direction of a smooth gradient smooth.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


class AdamUniform(torch.optim.Optimizer):
    """Parameters move at most about ``lr`` per step, in the direction of the smoothed gradient."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
                state["step"] += 1
                state["mean"].lerp_(p.grad, 1 - beta1)
                state["square"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                mean = state["mean"] / (1 - beta1 ** state["step"])
                largest = (state["square"].max() / (1 - beta2 ** state["step"])).sqrt()
                p.sub_(mean / largest.clamp_min(1e-30), alpha=group["lr"])
