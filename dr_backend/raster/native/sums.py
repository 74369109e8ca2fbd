"""Adding up: many small contributions into few places, in a fixed order, and lengths into places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Call, Launch, Launcher, Work, kernel, once


@dataclass(frozen=True)
class Lists:
    """Rows of several owners, each of which has merged its own, see ``merge``."""

    starts: Int[Tensor, " M"]  # where the rows of each start, in things
    step: int  # how many of the starts each owner has
    kept: Int[Tensor, " P"]  # how many rows are left of each


@wp.func_native("""
const int* const places = place.data;
const float* const values = value.data;
float* const totals = total.data;
const bool listed = kept.data;
const int parts = listed ? kept.shape[0] : 1;
for (int part = 0; part < parts; ++part) {
    const int begin = listed ? each * starts.data[part * step] : 0, end = listed ? begin + kept.data[part] : place.shape[0];
    for (int n = begin; n < end; ++n) {
        const int row = places[n];
        if (row < 0 || ((row >> 6) & mask) != owner) continue;
        if (width == 3) for (int k = 0; k < 3; ++k) totals[3 * row + k] += values[3 * n + k];
        else for (int k = 0; k < width; ++k) totals[width * row + k] += values[width * n + k];
    }
}
""")
def add_rows(
    place: Ints, value: Floats, starts: Ints, step: int, each: int, kept: Ints, width: int, owner: int, mask: int, total: Floats
):
    """Adds every row of ``value`` to the row of ``total`` that ``place`` names, if that is the owner's; a negative place takes nothing.

    If there is anything in ``kept`` only those rows count that are left of each list; a thing has ``each`` rows.
    """
    ...


@kernel
def _add(
    first: int, place: Ints, value: Floats, starts: Ints, step: int, each: int, kept: Ints, width: int, mask: int, total: Floats
):
    """See ``add_rows``. Owners take turns with 64 rows each, and add in the order of the list: their number does not matter."""
    add_rows(place, value, starts, step, each, kept, width, first + wp.tid(), mask, total)


@wp.func_native(once("""
const int most = 4096;  // as many as the innermost cache holds; two places that share one are merged less well
int slots[most], kept = begin;
int* const places = place.data;
wp::vec3* const values = value.data;
for (int n = 0; n < most; ++n) slots[n] = -1;
for (int n = begin; n < end; ++n) {
    const int row = places[n];
    int& slot = slots[row & (most - 1)];
    if (slot >= 0 && places[slot] == row) {
        values[slot] += values[n];
        continue;
    }
    slot = kept++;
    places[slot] = row;
    values[slot] = values[n];
}
return kept - begin;
"""))
def merge_rows(begin: int, end: int, place: Ints, value: Vec3s) -> int:
    """Adds up rows for the same place, in their order, most of them; those that are left come first. Returns their number."""
    ...


@kernel
def _merge(first: int, starts: Ints, step: int, each: int, place: Ints, value: Vec3s, kept: Ints):
    """See ``merge_rows``. The owner is a list of ``step`` of the starts."""
    part = first + wp.tid()
    stop = wp.min((part + 1) * step, starts.shape[0] - 1)
    kept[part] = merge_rows(each * starts[part * step], each * starts[stop], place, value)


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


def merge(
    starts: Int[Tensor, " M"], step: int, place: Int[Tensor, "N each"], value: Float[Tensor, "N each 3"], launcher: Launcher
) -> tuple[Lists, Launch]:
    """Merges the rows of a list for each ``step`` of the ``starts``; what does it is still to be run, by the owner who filled it.

    What then is to be added up by all is a fraction, and much of it would have to be fetched from other processors' caches.
    """
    owners = -(-(starts.shape[0] - 1) // step)
    kept = launcher.empty(owners, dtype=torch.int32)
    return Lists(starts, step, kept), Launch(_merge, owners, starts, step, place.shape[1], place, value, kept)


def add_into(
    total: Float[Tensor, ...], place: Int[Tensor, "*N"], value: Float[Tensor, ...], launcher: Launcher, lists: Lists | None = None
) -> Work:
    """``total[place] += value`` row by row; where a place repeats, in the order of the list. Negative places take nothing.

    With ``lists``, on a processor, what was merged.
    """
    width = value.numel() // place.numel() if place.numel() else 1
    if launcher.device.type == "cpu":
        owners = 1 << (launcher.threads.bit_length() - 1)  # a power of two: whose turn it is must be quick to tell
        listed = [None, 0, 0, None] if lists is None else [lists.starts, lists.step, place.shape[1], lists.kept]
        items = value.numel() // (8 if lists is None else 64)
        return Launch(_add, owners, place, value, *listed, width, owners - 1, total, items=items)

    def add() -> None:
        rows = place.reshape(-1).long()
        kept = rows >= 0
        # torch sorts the places first on CUDA, so that this is the same sum every time
        total.view(-1, width).index_put_((rows[kept],), value.reshape(-1, width)[kept], accumulate=True)

    return Call(add)
