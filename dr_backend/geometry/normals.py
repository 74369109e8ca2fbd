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
    corners = positions.index_select(0, faces.T.reshape(-1)).view(3, -1, 3).permute(2, 0, 1).contiguous()  # planes of x, y, z: quick sums
    edges = corners.roll(-1, 1) - corners
    normal = torch.linalg.cross(edges[:, 0], -edges[:, 2], dim=0)
    area = torch.linalg.vector_norm(normal, dim=0)
    real = area > torch.finfo(area.dtype).tiny ** 0.5
    flat = torch.where(real, normal, 0.0) / torch.where(real, area, 1.0)
    if not bool(face_smooth.any()):
        return flat.T[:, None].expand(-1, 3, -1)
    with torch.no_grad():
        angle = torch.atan2(area, -(edges * edges.roll(1, 1)).sum(0))
    weighted = (flat[:, None] * angle).permute(1, 2, 0).reshape(-1, 3)
    group = faces if groups is None else groups
    count = len(positions) if groups is None else int(group.max()) + 1
    summed = positions.new_zeros(count, 3).index_add(0, group.T.reshape(-1), weighted)
    smooth = unit(summed).index_select(0, group.reshape(-1)).reshape(-1, 3, 3)
    return smooth if bool(face_smooth.all()) else torch.where(face_smooth[:, None, None], smooth, flat.T[:, None])
