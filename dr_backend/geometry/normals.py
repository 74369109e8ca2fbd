"""Surface normals of triangle meshes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def unit(vectors: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The vectors at length one; those without length become zero and pass no gradient."""
    squared = vectors.square().sum(-1, keepdim=True)
    real = squared > torch.finfo(vectors.dtype).tiny
    return torch.where(real, vectors, 0.0) * torch.where(real, squared, 1.0).rsqrt()


def face_normals(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "F 3"]:
    """Unit normals, outward for counter-clockwise faces; zero (with zero gradient) for faces without area.

    Gradients: exact for ``positions``.
    """
    a, b, c = positions.index_select(0, faces.T.reshape(-1)).reshape(3, -1, 3)
    return unit(torch.linalg.cross(b - a, c - a))


def corner_normals(
    positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_smooth: Bool[Tensor, " F"]
) -> Float[Tensor, "F 3 3"]:
    """Normal at each corner of each face, as Blender shades it.

    Flat faces show their face normal. A smooth corner shows the mean of the smooth faces around its vertex, weighted by the angle
    of their corners there (Thürmer and Wüthrich 1998, "Computing vertex normals from polygonal facets").
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
        angle = angle * face_smooth[:, None]
    weighted = (flat[:, None] * angle[..., None]).reshape(-1, 3)
    summed = torch.zeros_like(positions).index_add(0, faces.reshape(-1), weighted)
    smooth = unit(summed).index_select(0, faces.reshape(-1)).reshape(-1, 3, 3)
    return torch.where(face_smooth[:, None, None], smooth, flat[:, None])
