"""Adding many small contributions into few places, in a fixed order."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from .bins import Floats, Ints
from .launch import Launcher, array, kernel


@kernel
def _add(first: int, place: Ints, value: Floats, width: int, total: Floats):
    """Adds every row of ``value`` to the row of ``total`` that ``place`` names; a negative place takes nothing. One owner, in order."""
    for n in range(place.shape[0]):
        row = place[n]
        if row >= 0:
            for k in range(width):
                total[row * width + k] = total[row * width + k] + value[n * width + k]


def add_into(total: Float[Tensor, ...], place: Int[Tensor, ...], value: Float[Tensor, ...], launcher: Launcher) -> None:
    """``total[place] += value`` row by row; where a place repeats, in the order of the list. Negative places take nothing."""
    width = value.numel() // max(1, place.numel())
    if launcher.device.type == "cpu":
        launcher.run(_add, 1, array(place), array(value), width, array(total), alone=True)
        return
    rows = place.reshape(-1).long()
    kept = rows >= 0
    # torch sorts the places first on CUDA, so that this is the same sum every time
    total.view(-1, width).index_put_((rows[kept],), value.reshape(-1, width)[kept], accumulate=True)
