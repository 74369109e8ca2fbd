"""Adding up: many small contributions into few places, in a fixed order, and lengths into places."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints
from ...kernels.launch import Call, Launch, Launcher, Work, kernel


@wp.func_native("""
const int* const places = place.data;
const float* const values = value.data;
float* const totals = total.data;
const int count = starts.data ? rows_each * starts.data[starts.shape[0] - 1] : place.shape[0];
for (int n = 0; n < count; ++n) {
    const int row = places[n];
    if (row < 0 || ((row >> 6) & mask) != owner) continue;
    if (width == 3) for (int k = 0; k < 3; ++k) totals[3 * row + k] += values[3 * n + k];
    else for (int k = 0; k < width; ++k) totals[width * row + k] += values[width * n + k];
}
""")
def add_rows(place: Ints, value: Floats, starts: Ints, rows_each: int, width: int, owner: int, mask: int, total: Floats):
    """Adds every row of ``value`` to the row of ``total`` that ``place`` names, if that is the owner's; a negative place takes nothing.

    With ``starts`` there are only so many rows, ``rows_each`` for each thing, as the last of them says.
    """
    ...


@kernel
def _add(first: int, place: Ints, value: Floats, starts: Ints, rows_each: int, width: int, mask: int, total: Floats):
    """See ``add_rows``. Owners take turns with 64 rows each, and add in the order of the list: their number does not matter."""
    add_rows(place, value, starts, rows_each, width, first + wp.tid(), mask, total)


@wp.func_native("""
const int* const from = counts.data;
int *to = starts.data, total = 0;
const int things = counts.shape[0] / parts;
for (int n = 0; n < things; ++n)
    for (int part = 0; part < parts; ++part) {
        *to++ = total;
        total += from[part * things + n];
    }
*to = total;
""")
def start_each(counts: Ints, parts: int, starts: Ints):
    """See ``starts_of``."""
    ...


@kernel
def _start(first: int, counts: Ints, parts: int, starts: Ints):
    """See ``starts_of``. There is one owner."""
    start_each(counts, parts, starts)


def starts_of(counts: Int[Tensor, "*P N"], launcher: Launcher) -> tuple[Int[Tensor, " M"], Work]:
    """Where each starts if they follow each other; the last number is that of all. What finds it is still to be run.

    Several parts take turns: the first of every part, then the second of every part, and so on.
    """
    starts = launcher.empty(counts.numel() + 1, dtype=torch.int32)
    if launcher.device.type == "cpu":
        return starts, Launch(_start, 1, counts, counts.shape[0] if counts.dim() > 1 else 1, starts, alone=True)

    def add_up() -> None:
        starts[0] = 0
        torch.cumsum(counts.t().reshape(-1), 0, dtype=torch.int32, out=starts[1:])

    return starts, Call(add_up)


def add_into(
    total: Float[Tensor, ...], place: Int[Tensor, "N *each"], value: Float[Tensor, ...], launcher: Launcher,
    starts: Int[Tensor, " M"] | None = None,
) -> Work:
    """``total[place] += value`` row by row; where a place repeats, in the order of the list. Negative places take nothing.

    On a processor ``starts`` says with its last number how many of the N count, if not all.
    """
    width = value.numel() // place.numel() if place.numel() else 1
    if launcher.device.type == "cpu":
        owners = 1 << (launcher.threads.bit_length() - 1)  # a power of two: whose turn it is must be quick to tell
        each = place[:1].numel()
        return Launch(_add, owners, place, value, starts, each, width, owners - 1, total, items=value.numel() // 8)

    def add() -> None:
        rows = place.reshape(-1).long()
        kept = rows >= 0
        # torch sorts the places first on CUDA, so that this is the same sum every time
        total.view(-1, width).index_put_((rows[kept],), value.reshape(-1, width)[kept], accumulate=True)

    return Call(add)
