"""Adam without the classes of ``torch.optim``: the first of these that is made loads torch's compiler, which takes a second."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = 0.8, 0.95  # shorter memories than usual: a fit has few steps


class Adam:
    """Parameters move by about ``rate`` per step, each number of them for itself (Kingma and Ba 2015)."""

    def __init__(self, parameters: Sequence[Tensor], rate: float) -> None:
        self.rate = rate
        self._parameters = list(parameters)
        self._means, self._squares = ([torch.zeros_like(p) for p in self._parameters] for _ in range(2))
        self._steps = [torch.zeros((), device=p.device) for p in self._parameters]

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        moving = [n for n, p in enumerate(self._parameters) if p.grad is not None]
        tables = self._parameters, [p.grad for p in self._parameters], self._means, self._squares
        values, gradients, means, squares = ([table[n] for n in moving] for table in tables)
        adam(
            values, gradients, means, squares, [], [self._steps[n] for n in moving], fused=True, amsgrad=False, beta1=BETAS[0],
            beta2=BETAS[1], lr=self.rate, weight_decay=0.0, eps=1e-8, maximize=False,
        )  # fmt: skip
