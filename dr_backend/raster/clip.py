"""Cutting triangles and edges at the near plane, so that surfaces that pass the camera keep their visible part."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def _cut(inside: Float[Tensor, "N 3"], outside: Float[Tensor, "N 3"], near: float) -> Float[Tensor, "N 3"]:
    """Where the segment meets the near plane. Going from inside to outside, whatever the face, keeps shared edges watertight."""
    fraction = (inside[:, 2:] + near) / (inside[:, 2:] - outside[:, 2:])
    cut = inside + fraction * (outside - inside)
    return torch.cat([cut[:, :2], torch.full_like(cut[:, 2:], -near)], dim=1)


def clip_faces(corners: Float[Tensor, "F 3 3"], near: float) -> tuple[Float[Tensor, "T 3 3"], Int[Tensor, " T"]]:
    """The parts of triangles (corners in camera space) in front of the near plane, and the triangle each part comes from.

    A triangle with one corner in front becomes one, with two corners in front two; one wholly behind is dropped.
    Gradients: exact for ``corners``. Barycentric coordinates need no clipping: ``interpolate`` finds them on the whole triangle.
    """
    inside = corners[..., 2] <= -near
    count = inside.sum(1)
    index = torch.arange(len(corners), device=corners.device)
    whole, one, two = count == 3, count == 1, count == 2

    def turned(which: Tensor, special: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Corners of some triangles, rotated so that the special one comes first."""
        first = special[which].to(torch.uint8).argmax(1)
        order = (first[:, None] + torch.arange(3, device=corners.device)) % 3
        picked = corners[which].gather(1, order[..., None].expand(-1, -1, 3))
        return picked[:, 0], picked[:, 1], picked[:, 2]

    a, b, c = turned(one, inside)
    tip = torch.stack([a, _cut(a, b, near), _cut(a, c, near)], dim=1)
    a, b, c = turned(two, ~inside)
    cut_b, cut_c = _cut(b, a, near), _cut(c, a, near)
    quad = torch.cat([torch.stack([cut_b, b, c], dim=1), torch.stack([cut_b, c, cut_c], dim=1)])
    return torch.cat([corners[whole], tip, quad]), torch.cat([index[whole], index[one], index[two], index[two]])


def clip_edges(
    start: Float[Tensor, "E 3"], end: Float[Tensor, "E 3"], near: float
) -> tuple[Float[Tensor, "E 3"], Float[Tensor, "E 3"]]:
    """Edges (camera space) shortened to what lies in front of the near plane; those wholly behind collapse to a point on it.

    Gradients: exact for both ends.
    """
    start_behind, end_behind = start[:, 2:] > -near, end[:, 2:] > -near
    across = start_behind != end_behind
    length = torch.where(across, end[:, 2:] - start[:, 2:], 1.0)
    cut = start + (-near - start[:, 2:]) / length * (end - start)
    cut = torch.cat([cut[:, :2], torch.full_like(cut[:, 2:], -near)], dim=1)
    lost = start_behind & end_behind
    return torch.where(start_behind & ~lost, cut, start), torch.where(lost, start, torch.where(end_behind, cut, end))
