"""Adding up: many small contributions into few places, in a fixed order, and lengths into places."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints
from ...kernels.launch import Call, Launch, Launcher, Work, kernel


@wp.func_native("""
for (int n = 0; n < place.shape[0]; ++n) {
    if (place.data[n] < 0) continue;
    float *to = total.data + place.data[n] * width, *from = value.data + n * width;
    for (int k = 0; k < width; ++k) to[k] += from[k];
}
""")
def add_rows(place: Ints, value: Floats, width: int, total: Floats):
    """Adds every row of ``value`` to the row of ``total`` that ``place`` names, in order; a negative place takes nothing."""
    ...


@kernel
def _add(first: int, place: Ints, value: Floats, width: int, total: Floats):
    """Adds every row of ``value`` to the row of ``total`` that ``place`` names; a negative place takes nothing. One owner, in order."""
    add_rows(place, value, width, total)


@wp.func_native("""
const int* const from = counts.data;
int *const to = starts.data, total = 0;
for (int n = 0; n < counts.shape[0]; ++n) {
    to[n] = total;
    total += from[n];
}
to[counts.shape[0]] = total;
""")
def start_each(counts: Ints, starts: Ints):
    """Where each starts if they follow each other, and where the last ends."""
    ...


@kernel
def _start(first: int, counts: Ints, starts: Ints):
    """See ``start_each``. There is one owner."""
    start_each(counts, starts)


def starts_of(counts: Int[Tensor, " N"], launcher: Launcher) -> tuple[Int[Tensor, " N1"], Work]:
    """Where each of so many starts if they follow each other; the last number is that of all. What finds it is still to be run."""
    starts = torch.empty(len(counts) + 1, dtype=torch.int32, device=counts.device)
    if launcher.device.type == "cpu":
        return starts, Launch(_start, 1, counts, starts, alone=True)

    def add_up() -> None:
        starts[0] = 0
        torch.cumsum(counts, 0, dtype=torch.int32, out=starts[1:])

    return starts, Call(add_up)


def add_into(total: Float[Tensor, ...], place: Int[Tensor, ...], value: Float[Tensor, ...], launcher: Launcher) -> Work:
    """``total[place] += value`` row by row; where a place repeats, in the order of the list. Negative places take nothing."""
    width = value.numel() // max(1, place.numel())
    if launcher.device.type == "cpu":
        return Launch(_add, 1, place, value, width, total, alone=True)

    def add() -> None:
        rows = place.reshape(-1).long()
        kept = rows >= 0
        # torch sorts the places first on CUDA, so that this is the same sum every time
        total.view(-1, width).index_put_((rows[kept],), value.reshape(-1, width)[kept], accumulate=True)

    return Call(add)
