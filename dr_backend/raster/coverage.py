"""Anti-aliased outlines with exact gradients: the image around each outline crossing, blended by where it crosses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..geometry.topology import Topology
from .cuts import cuts
from .interpolate import barycentric_at, face_forms
from .project import Projected, View
from .silhouettes import Crossings, crossings, outline

OUTER_TOLERANCE = 1e-4  # relative depth by which the surface beyond an edge must lie behind it: above float rounding
INNER_TOLERANCE_PX = 2.0  # world size of so many pixels by which the surface inside may lie behind its own edge (curvature)


def _depth_on_face(
    found: Crossings, pixels: Int[Tensor, " C"], projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, " N"], view: View
) -> Float[Tensor, " C"]:
    """Depth at the crossings of the faces that ``pixels`` show, continued within the range of their corners; infinite on the background."""
    face = face_id[pixels]
    forms = face_forms(projected.camera.detach()[faces[face.clamp_min(0)]], view)
    _, depth = barycentric_at(forms, found.x_px, found.y_px)
    return torch.where(face >= 0, depth, torch.inf)


@torch.no_grad()
def _visible(
    found: Crossings, projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, " N"], view: View
) -> Bool[Tensor, " C"]:
    """Whether the inner pixel shows the edge's own surface (or one in front of it) and the outer pixel one behind the edge."""
    depth = found.nearness.reciprocal() if view.perspective else -found.nearness
    inner = _depth_on_face(found, found.inner, projected, faces, face_id, view)
    outer = _depth_on_face(found, found.outer, projected, faces, face_id, view)
    pixel_size = (depth if view.perspective else 1.0) / view.focal_px.mean()
    shown = inner <= depth + INNER_TOLERANCE_PX * pixel_size + OUTER_TOLERANCE * depth.abs()
    return shown & (outer > depth + OUTER_TOLERANCE * depth.abs())


@torch.no_grad()
def _outermost(found: Crossings) -> Int[Tensor, " D"]:
    """For each ordered pair of pixels the index of the crossing farthest from the inner one."""
    by_distance = torch.argsort(found.distance, stable=True)
    # An outer pixel is one of four neighbours, so four numbers per inner pixel tell pairs apart.
    step = found.outer - found.inner
    pair = found.inner * 4 + torch.where(step.abs() == 1, 0, 2) + (step > 0)
    order = by_distance[torch.argsort(pair[by_distance], stable=True)]
    last = torch.ones_like(order, dtype=torch.bool)
    last[:-1] = pair[order][1:] != pair[order][:-1]
    return order[last]


def _joined(parts: Sequence[Crossings]) -> Crossings:
    return Crossings(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _blend(image: Float[Tensor, "N K"], found: Crossings) -> Float[Tensor, "N K"]:
    """A box filter one pixel wide across each crossing: short of half-way the inner pixel shows some of the outer, beyond it the
    outer pixel some of the inner. Where several crossings claim more than a whole pixel their shares are scaled to one.
    """
    into_inner = (0.5 - found.distance).clamp_min(0.0)
    into_outer = (found.distance - 0.5).clamp_min(0.0)
    target = torch.cat([found.inner, found.outer])
    other = torch.cat([found.outer, found.inner])
    share = torch.cat([into_inner, into_outer])
    changed = torch.nonzero(share.detach() > 0).squeeze(1)
    target, other, share = target[changed], other[changed], share[changed]
    claimed = torch.zeros(len(image), dtype=image.dtype, device=image.device).index_add(0, target, share.detach())
    share = share / claimed[target].clamp_min(1.0)
    difference = image.index_select(0, other) - image.index_select(0, target)
    return image.index_add(0, target, share[:, None] * difference)


def blend_outlines(
    image: Float[Tensor, "N K"],
    projected: Projected,
    topology: Topology,
    layers: Sequence[Int[Tensor, "H W"]],
    view: View,
    shown: Bool[Tensor, " F"] | None = None,
) -> Float[Tensor, "N K"]:
    """``image`` (rows of pixels, premultiplied) with its outlines blended by the part of each pixel that the surface covers.

    Gradients: exact for the image; for vertices and camera they are those of the outline's position, the term that a hard rasterizer
    loses, also where surfaces cut through each other. Parts too thin to own a pixel centre get none.
    ``layers`` are the faces that each pixel shows: the nearest, and what shows through them. The image is what all of them make together,
    so it is blended once wherever any of them has an outline.
    """
    found = _joined(crossings(outline(projected, topology.faces, topology.edges, view, shown), view))
    seen = [_visible(found, projected, topology.faces, face_id.reshape(-1), view) for face_id in layers]
    found = found.where(torch.stack(seen).any(0))
    found = found.where(_outermost(found))
    if topology.shell_count > 1:
        for face_id in layers:
            found = _joined((found, *cuts(projected, topology, face_id, view, found)))
    return _blend(image, found)
