"""Surface normals of triangle meshes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def unit(vectors: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The vectors at length one; those without length become zero and pass no gradient."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    real = length > torch.finfo(vectors.dtype).tiny ** 0.5
    return torch.where(real, vectors, 0.0) / torch.where(real, length, 1.0)  # not by rsqrt of the square: its gradient overflows


def face_normals(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "F 3"]:
    """Unit normals, outward for counter-clockwise faces; zero (with zero gradient) for faces without area.

    Gradients: exact for ``positions``.
    """
    a, b, c = positions.index_select(0, faces.T.reshape(-1)).reshape(3, -1, 3)
    return unit(torch.linalg.cross(b - a, c - a))


def corner_normals(
    positions: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    face_smooth: Bool[Tensor, " F"],
    groups: Int[Tensor, "F 3"] | None = None,
) -> Float[Tensor, "F 3 3"]:
    """Normal at each corner of each face, as Blender shades it.

    Flat faces show their face normal. A smooth corner shows the mean of the faces around its vertex, flat ones too,
    weighted by the angle of their corners there (Thürmer and Wüthrich 1998, "Computing vertex normals from polygonal facets"); with
    ``groups`` only of those faces around it whose corner has the same number, as where sharp edges part them.
    Gradients: exact for ``positions``, except that the angles are held constant: they only weigh.
    """
    flat = face_normals(positions, faces)
    if not bool(face_smooth.any()):
        return flat[:, None].expand(-1, 3, -1)
    with torch.no_grad():
        corners = positions[faces]
        ahead = unit(corners.roll(-1, 1) - corners)
        behind = unit(corners.roll(1, 1) - corners)
        angle = torch.atan2(torch.linalg.cross(ahead, behind).norm(dim=-1), (ahead * behind).sum(-1))
    weighted = (flat[:, None] * angle[..., None]).reshape(-1, 3)
    group = faces.reshape(-1) if groups is None else groups.reshape(-1)
    count = len(positions) if groups is None else int(group.max()) + 1
    summed = positions.new_zeros(count, 3).index_add(0, group, weighted)
    smooth = unit(summed).index_select(0, group).reshape(-1, 3, 3)
    return torch.where(face_smooth[:, None, None], smooth, flat[:, None])
