"""Long edges split where a lens bends them: between vertices renderers draw straight lines.

Each new vertex lies on its face and keeps its place there, so the finer surface is the same one, moves with it, and hands gradients back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.normals import corner_normals
from ..geometry.topology import Topology, edge_table
from ..scene import Camera
from ..scene.lens import straight_bounds
from .project import View, bend, view_of

TOLERANCE_PX = 0.1  # by which a point of an edge may be drawn beside its place
MAX_ROUNDS = 12  # each halves the edges that are too long
MAX_FACES = 2_000_000
# Triangles of a face whose edges are split as the bits of the index say (1: from corner 0 to 1, 2: from 1 to 2, 4: from 2 to 0), of its
# corners 0, 1, 2 and the middles 3, 4, 5 of these edges.
_PATTERNS = (
    ((0, 1, 2),),
    ((0, 3, 2), (3, 1, 2)),
    ((0, 1, 4), (0, 4, 2)),
    ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    ((0, 1, 5), (5, 1, 2)),
    ((0, 3, 5), (3, 1, 2), (3, 2, 5)),
    ((5, 4, 2), (0, 1, 4), (0, 4, 5)),
    ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
)


@dataclass(frozen=True)
class Refinement:
    """How a finer scene is made of a coarse one, constant while its vertices move."""

    topology: Topology  # of the finer scene; its ``meshes`` say nothing about vertices, which follow those of the coarse scene
    parents: Int[Tensor, "U 3"]  # coarse vertices, and
    weights: Float[Tensor, "U 3"]  # their part in each fine one
    face: Int[Tensor, " G"]  # coarse face that each fine one is a part of, and
    corners: Float[Tensor, "G 3 3"]  # barycentric coordinates there of its corners


@dataclass(frozen=True)
class _Pieces:
    """The faces so far."""

    faces: Int[Tensor, "G 3"]
    face: Int[Tensor, " G"]
    corners: Float[Tensor, "G 3 3"]
    parents: Int[Tensor, "U 3"]
    weights: Float[Tensor, "U 3"]


def _whole(flat: FlatScene) -> _Pieces:
    faces, vertices = flat.faces, torch.arange(len(flat.positions), device=flat.faces.device)
    same = torch.eye(3, dtype=flat.positions.dtype, device=faces.device)
    return _Pieces(
        faces=faces,
        face=torch.arange(len(faces), device=faces.device),
        corners=same.expand(len(faces), 3, 3),
        parents=vertices[:, None].expand(-1, 3),
        weights=same[:1].expand(len(vertices), 3),
    )


def _mix(values: Float[Tensor, "V K"], parents: Int[Tensor, "U 3"], weights: Float[Tensor, "U 3"]) -> Float[Tensor, "U K"]:
    return torch.bmm(weights[:, None], values[parents]).squeeze(1)


def _mix_corners(values: Float[Tensor, "F 3 K"], refinement: Refinement) -> Float[Tensor, "G 3 K"]:
    return torch.bmm(refinement.corners, values[refinement.face])


def _edges(pieces: _Pieces) -> tuple[Int[Tensor, "E 2"], Int[Tensor, "G 3"]]:
    """The ends of every edge, and which edges the faces have: from their corner 0 to 1, 1 to 2, 2 to 0."""
    ends = torch.stack([pieces.faces, pieces.faces.roll(-1, 1)], dim=2)
    count = len(pieces.parents)
    keys, of_face = torch.unique(ends.amin(2) * count + ends.amax(2), return_inverse=True)
    return torch.stack([torch.div(keys, count, rounding_mode="floor"), keys % count], dim=1), of_face


def _maybe_seen(straight: Float[Tensor, "U 3"], faces: Int[Tensor, "G 3"], camera: Camera, view: View) -> Bool[Tensor, " G"]:
    """Whether faces may show in the picture: not wholly beyond one side of what it can show, nor before the near plane."""
    depth = -straight[:, 2]
    distance = depth if view.perspective else torch.ones_like(depth)
    column = view.centre_px[0] * distance + view.focal_px[0] * straight[:, 0]  # times distance: no division by what is behind
    row = view.centre_px[1] * distance - view.focal_px[1] * straight[:, 1]
    left, top, right, bottom = straight_bounds(camera)
    beyond = (column < left * distance, column > right * distance, row < top * distance, row > bottom * distance, depth <= view.near)
    return ~torch.stack([side[faces].all(1) for side in beyond]).any(0)


def _too_long(straight: Float[Tensor, "U 3"], edges: Int[Tensor, "E 2"], view: View) -> Bool[Tensor, " E"]:
    """Whether a quarter, half or three quarters along what is seen of an edge it is drawn beside its place."""
    bent = bend(straight, view)
    start, end, bent_start, bent_end = straight[edges[:, 0]], straight[edges[:, 1]], bent[edges[:, 0]], bent[edges[:, 1]]
    run = end[:, 2] - start[:, 2]
    near = ((-view.near - start[:, 2]) / torch.where(run == 0, 1.0, run)).clamp(0, 1)
    first = torch.where(start[:, 2] > -view.near, near, 0.0)
    last = torch.where(end[:, 2] > -view.near, near, 1.0)
    found = torch.zeros(len(edges), dtype=torch.bool, device=edges.device)
    for part in (0.25, 0.5, 0.75):
        along = torch.lerp(first, last, part)[:, None]
        place = torch.lerp(start, end, along)
        off = (torch.lerp(bent_start, bent_end, along) - bend(place, view))[:, :2] * view.focal_px
        distance = (-place[:, 2]).clamp_min(view.near) if view.perspective else 1.0
        found |= off.norm(dim=1) > TOLERANCE_PX * distance
    return found & ((start[:, 2] < -view.near) | (end[:, 2] < -view.near))


def _split(pieces: _Pieces, base: Int[Tensor, "F 3"], of_face: Int[Tensor, "G 3"], chosen: Bool[Tensor, " E"]) -> _Pieces:
    """The faces with the chosen edges cut in half. Both faces of an edge agree on its middle."""
    cut, number = chosen[of_face], (chosen.cumsum(0) - 1)[of_face]
    middle = 0.5 * (pieces.corners + pieces.corners.roll(-1, 1))
    place = torch.nonzero(cut.reshape(-1)).squeeze(1)  # two faces name an edge: its middle is made by the first
    first = place.new_full((int(chosen.sum()),), cut.numel()).scatter_reduce(0, number.reshape(-1)[place], place, "amin")
    parents, weights = base[pieces.face[torch.div(first, 3, rounding_mode="floor")]], middle.reshape(-1, 3)[first]
    six = torch.cat([pieces.faces, len(pieces.parents) + number], dim=1)
    places = torch.cat([pieces.corners, middle], dim=1)
    pattern = (cut * torch.tensor([1, 2, 4], device=cut.device)).sum(1)
    rows, picked = [], []
    for index, triangles in enumerate(_PATTERNS):
        here = torch.nonzero(pattern == index).squeeze(1)
        for triangle in triangles:
            rows.append(here)
            picked.append(torch.tensor(triangle, device=cut.device).expand(len(here), 3))
    row, corner = torch.cat(rows), torch.cat(picked)
    order = torch.argsort(row, stable=True)  # pieces of a face stay side by side
    row, corner = row[order], corner[order]
    return _Pieces(
        faces=six[row].gather(1, corner),
        face=pieces.face[row],
        corners=places[row].gather(1, corner[..., None].expand(-1, -1, 3)),
        parents=torch.cat([pieces.parents, parents]),
        weights=torch.cat([pieces.weights, weights]),
    )


@torch.no_grad()
def refine(flat: FlatScene, cameras: Sequence[Camera]) -> Refinement | None:
    """What it takes that these cameras draw every edge of ``flat`` within a tenth of a pixel of its place; None where nothing is needed.

    Edges are halved until that holds, or until there are two million faces. Faces that no camera with distortion can show stay whole.
    Where vertices move later the tenth holds as long as edges stay about as long on the screen.
    """
    lenses = [(camera, view_of(camera, flat.positions)) for camera in cameras if camera.distortion is not None]
    pieces = _whole(flat)
    for _ in range(MAX_ROUNDS if len(flat.faces) else 0):
        edges, of_face = _edges(pieces)
        points = _mix(flat.positions, pieces.parents, pieces.weights)
        chosen = torch.zeros(len(edges), dtype=torch.bool, device=edges.device)
        for camera, view in lenses:
            straight = torch.addmm(view.translation, points, view.rotation.T)
            shown = torch.zeros_like(chosen)
            shown[of_face[_maybe_seen(straight, pieces.faces, camera, view)]] = True
            chosen |= shown & _too_long(straight, edges, view)
        if not bool(chosen.any()) or len(pieces.faces) > MAX_FACES // 4:
            break
        pieces = _split(pieces, flat.faces, of_face, chosen)
    if len(pieces.faces) == len(flat.faces):
        return None
    old = flat.topology
    topology = replace(
        old,
        faces=pieces.faces,
        face_smooth=old.face_smooth[pieces.face],
        normal_groups=pieces.faces,
        face_material=old.face_material[pieces.face],
        casts_shadow=old.casts_shadow[pieces.face],
        edges=edge_table(pieces.faces),
    )
    return Refinement(topology, pieces.parents, pieces.weights, pieces.face, pieces.corners)


def refined(flat: FlatScene, refinement: Refinement | None) -> FlatScene:
    """``flat`` in finer pieces; everything on its surface is where it was. Gradients: exact, the pieces are a linear map of ``flat``."""
    if refinement is None:
        return flat
    normals = flat.corner_normals
    if normals is None:
        normals = corner_normals(flat.positions, flat.faces, flat.topology.face_smooth, flat.topology.normal_groups)
    return replace(
        flat,
        topology=refinement.topology,
        positions=_mix(flat.positions, refinement.parents, refinement.weights),
        uvs=_mix_corners(flat.uvs, refinement),
        corner_normals=_mix_corners(normals, refinement),
        colors=None if flat.colors is None else _mix_corners(flat.colors, refinement),
        tangents=None if flat.tangents is None else _mix_corners(flat.tangents, refinement),
        shares=None if flat.shares is None else _mix(flat.shares, refinement.parents, refinement.weights),
    )
