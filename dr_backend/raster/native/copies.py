"""Copies, made by all threads: one alone takes as long as many a kernel."""

from __future__ import annotations

import warp as wp
from jaxtyping import Float
from torch import Tensor

from ...kernels.arrays import Floats
from ...kernels.launch import Launch, Launcher, Work, inside_kernel


@wp.func_native("for (int n = start; n < stop; ++n) copy.data[n] = values.data[n];")
def copy_part(start: int, stop: int, values: Floats, copy: Floats):
    """Copies some of the numbers."""
    ...


@inside_kernel
def copy_values(first: int, begin: int, end: int, chunk: int, values: Floats, copy: Floats):
    """Copies. The owner is a chunk of the numbers from ``begin`` to ``end``."""
    start = begin + (first + wp.tid()) * chunk
    copy_part(start, wp.min(start + chunk, end), values, copy)


def copied(values: Float[Tensor, ...], launcher: Launcher) -> tuple[Float[Tensor, ...], Work]:
    """A copy, and what is still to be run to make it."""
    copy, count = launcher.empty(*values.shape), values.numel()
    owners, chunk = launcher.chunks(count, 1)
    return copy, Launch(copy_values, owners, 0, count, chunk, values, copy, items=count // 16)
