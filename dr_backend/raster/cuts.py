"""Where surfaces of different shells cut through each other between the centres of neighbouring pixels."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.topology import Topology
from .project import Projected, View
from .silhouettes import Crossings


def _nearness(
    corners: Float[Tensor, "P 3 3"], x_px: Float[Tensor, " P"], y_px: Float[Tensor, " P"], view: View
) -> Float[Tensor, " P"]:
    """Nearness of triangles' planes at pixel positions, also beyond the triangles. Gradients: exact for corners and intrinsics."""
    a, b, c = corners.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    x, y = (x_px - view.centre_px[0]) / view.focal_px[0], -(y_px - view.centre_px[1]) / view.focal_px[1]
    if view.perspective:
        return (x * normal[:, 0] + y * normal[:, 1] - normal[:, 2]) / (a * normal).sum(1)
    return a[:, 2] + ((a[:, 0] - x) * normal[:, 0] + (a[:, 1] - y) * normal[:, 1]) / normal[:, 2]


def _between(
    projected: Projected, topology: Topology, face_id: Int[Tensor, "H W"], view: View, step: tuple[int, int], outlined: Int[Tensor, " E"]
) -> Crossings:
    """Cuts between pixels and those one ``step`` (columns, rows) further; none where ``outlined`` names the pixel."""
    right, down = step
    flat, stride = face_id.reshape(-1), right + down * view.width
    free = torch.ones(view.height, view.width, dtype=torch.bool, device=flat.device)
    free.view(-1)[outlined] = False
    free = free[: view.height - down, : view.width - right]
    here, there = face_id[: view.height - down, : view.width - right], face_id[down:, right:]
    shells = topology.shells32
    apart = free & (here >= 0) & (there >= 0) & (shells[here.clamp_min(0)] != shells[there.clamp_min(0)])
    row, column = torch.nonzero(apart).unbind(1)
    inner = row * view.width + column
    f, g = (projected.camera[topology.faces[flat[pixel]]] for pixel in (inner, inner + stride))
    x, y = column.to(f.dtype) + 0.5, row.to(f.dtype) + 0.5
    before = _nearness(f, x, y, view) - _nearness(g, x, y, view)
    after = _nearness(g, x + right, y + down, view) - _nearness(f, x + right, y + down, view)
    with torch.no_grad():
        beside = _nearness(f, x + down, y + right, view) - _nearness(g, x + down, y + right, view)
        along, across = before + after, (beside - before).abs()
        steep = (across < along) | ((across == along) & (right > 0))
        kept = torch.nonzero((before > 0) & (after > 0) & steep).squeeze(1)
    distance = before[kept] / (before[kept] + after[kept])
    inner, moved = inner[kept], distance.detach()
    return Crossings(
        inner=inner,
        outer=inner + stride,
        x_px=x[kept] + moved * right,
        y_px=y[kept] + moved * down,
        distance=distance,
        nearness=_nearness(f[kept], x[kept], y[kept], view).detach(),
    )


def cuts(
    projected: Projected, topology: Topology, face_id: Int[Tensor, "H W"], view: View, outlines: Crossings
) -> tuple[Crossings, Crossings]:
    """Cuts between pixels side by side, and between pixels one above the other.

    Two pixels that show different shells lie on either side of a cut if each shell's plane, continued to the other pixel, lies behind
    there, and if no outline passes between them: beyond its outline a surface has no plane. A line acts on the pairs that it crosses
    most steeply, and only on these: with both its movement would count twice. Gradients: exact for the planes of both faces.
    """
    lower, level = torch.minimum(outlines.inner, outlines.outer), (outlines.inner - outlines.outer).abs() == 1
    return (
        _between(projected, topology, face_id, view, (1, 0), lower[level]),
        _between(projected, topology, face_id, view, (0, 1), lower[~level]),
    )
