"""Where the outline of surfaces crosses the grid of pixel centres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..geometry.topology import EdgeTable
from .clip import clip_edges
from .project import Projected, View, to_screen


@dataclass(frozen=True)
class Outline:
    """Edges behind which the surface turns away, on the screen of one view."""

    start: Float[Tensor, "S 2"]  # pixels
    end: Float[Tensor, "S 2"]
    nearness: Float[Tensor, "S 2"]  # at start and end
    left: Int[Tensor, " S"]  # +1: the surface lies on the left going from start to end on the (y down) screen as seen; -1: on the right


@dataclass(frozen=True)
class Crossings:
    """Points where outline edges pass between the centres of two neighbouring pixels."""

    inner: Int[Tensor, " C"]  # row * width + column of the pixel on the surface's side
    outer: Int[Tensor, " C"]
    x_px: Float[Tensor, " C"]
    y_px: Float[Tensor, " C"]
    distance: Float[Tensor, " C"]  # from the inner centre towards the outer one, 0..1; the only part with gradients
    nearness: Float[Tensor, " C"]  # of the edge at the crossing

    def where(self, kept: Bool[Tensor, " C"] | Int[Tensor, " D"]) -> Crossings:
        """Some of them."""
        return Crossings(**{name: value[kept] for name, value in vars(self).items()})


@torch.no_grad()
def facing(camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], view: View) -> Int[Tensor, " F"]:
    """+1 for faces whose outside is turned to the viewer, -1 for the others (also behind the camera)."""
    a, b, c = camera.index_select(0, faces.T.reshape(-1)).reshape(3, -1, 3)
    normal = torch.linalg.cross(b - a, c - a)
    toward = -(a * normal).sum(1) if view.perspective else normal[:, 2]
    return torch.where(toward > 0, 1, -1)


def outline(
    projected: Projected, faces: Int[Tensor, "F 3"], edges: EdgeTable, view: View, shown: Bool[Tensor, " F"] | None = None
) -> Outline:
    """Boundary edges, and edges whose two faces lie on the same side of them on the screen; not those between faces that are not shown.

    The second holds for any winding, so meshes with turned-over faces keep their outline. Gradients: exact for vertices and camera.
    """
    side = facing(projected.camera, faces, view)[edges.faces] * edges.direction
    outer = (edges.faces[:, 1] < 0) | (side[:, 0] == side[:, 1])
    if shown is not None:
        outer &= shown[edges.faces[:, 0]] | (shown[edges.faces[:, 1]] & (edges.faces[:, 1] >= 0))
    chosen = torch.nonzero(outer).squeeze(1)
    ends = edges.vertices[chosen]
    start, end = clip_edges(projected.camera.index_select(0, ends[:, 0]), projected.camera.index_select(0, ends[:, 1]), view.near)
    start_xy, start_nearness = to_screen(start, view)
    end_xy, end_nearness = to_screen(end, view)
    nearness = torch.stack([start_nearness, end_nearness], dim=1).detach()
    return Outline(start_xy, end_xy, nearness, side[chosen, 0])


def _along(line: Outline, lines: int, across: int, stride: int, step: int) -> Crossings:
    """Crossings with scan lines. Column 1 of the ends counts the lines, column 0 runs along each; ``left`` is -1 where the surface lies
    on the side of smaller positions, +1 on the other.

    ``stride`` and ``step`` are the distances in the flat image from line to line and from pixel to pixel.
    """
    with torch.no_grad():
        low, high = torch.minimum(line.start[:, 1], line.end[:, 1]), torch.maximum(line.start[:, 1], line.end[:, 1])
        first, stop = ((value - 0.5).ceil().clamp(0, lines).long() for value in (low, high))
        count = stop - first
        owner = torch.arange(len(count), device=count.device).repeat_interleave(count)
        number = torch.arange(len(owner), device=count.device) - (count.cumsum(0) - count)[owner]
        line_index = first[owner] + number
        centre = line_index.to(low.dtype) + 0.5
    start, end = line.start.index_select(0, owner), line.end.index_select(0, owner)
    fraction = (centre - start[:, 1]) / (end[:, 1] - start[:, 1])
    position = start[:, 0] + fraction * (end[:, 0] - start[:, 0])
    with torch.no_grad():
        before = (position - 0.5).floor()
        inside = (before >= 0) & (before <= across - 2)
        cell = before.clamp(0, across - 1).long()
        surface_before = line.left[owner] < 0
        near_pixel = line_index * stride + cell * step
        nearness = torch.lerp(line.nearness[owner, 0], line.nearness[owner, 1], fraction)
    past = position - (before + 0.5)
    found = Crossings(
        inner=near_pixel + torch.where(surface_before, 0, step),
        outer=near_pixel + torch.where(surface_before, step, 0),
        x_px=position.detach(),
        y_px=centre,
        distance=torch.where(surface_before, past, 1.0 - past),
        nearness=nearness,
    )
    return found.where(inside)


def crossings(line: Outline, view: View) -> tuple[Crossings, Crossings]:
    """Crossings of steep edges with pixel rows, and of the others with pixel columns.

    An edge acts one way only: with both, its movement would count twice. Gradients: exact for the outline's ends.
    """
    run = (line.end - line.start).detach()
    steep = run[:, 1].abs() > run[:, 0].abs()
    going_down, going_right = torch.where(run[:, 1] > 0, 1, -1), torch.where(run[:, 0] > 0, 1, -1)

    def part(chosen: Tensor, columns: list[int], left: Tensor) -> Outline:
        return Outline(line.start[chosen][:, columns], line.end[chosen][:, columns], line.nearness[chosen], left[chosen])

    # Going down the screen, the left-hand side is where x grows; going right, it is where y falls.
    rows = _along(part(steep, [0, 1], line.left * going_down), view.height, view.width, view.width, 1)
    columns = _along(part(~steep, [1, 0], -line.left * going_right), view.width, view.height, 1, view.width)
    return rows, replace(columns, x_px=columns.y_px, y_px=columns.x_px)
