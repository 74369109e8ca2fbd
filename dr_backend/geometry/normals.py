"""Surface normals of triangle meshes.

Inside, x, y and z are planes of their own, (3, N): several times as quick as rows of three.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..kernels.optional import kernels
from .topology import Topology


def unit(vectors: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The vectors at length one; those without length become zero and pass no gradient."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    real = length > torch.finfo(vectors.dtype).tiny ** 0.5
    return torch.where(real, vectors, 0.0) / torch.where(real, length, 1.0)  # not by rsqrt of the square: its gradient overflows


def _unit(planes: Float[Tensor, "3 N"]) -> Float[Tensor, "3 N"]:
    """The same of planes."""
    real = _square(planes.detach()) > 100 * torch.finfo(planes.dtype).tiny
    return torch.where(real, planes, 0.0) / _square(torch.where(real, planes, 1.0)).sqrt()


def _square(planes: Float[Tensor, "3 N"]) -> Float[Tensor, " N"]:
    x, y, z = planes.unbind(0)
    return x * x + y * y + z * z


def taken(planes: Float[Tensor, "3 N"], index: Int[Tensor, " M"]) -> Float[Tensor, "3 M"]:
    """Columns of ``planes``. Gradient: exact."""
    return planes.contiguous().gather(1, index.expand(3, -1))


def _cross(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> tuple[Float[Tensor, "3 F"], ...]:
    """The edges of faces from their first corner to the second and the third, and the cross product of these."""
    a, b, c = taken(positions.T, faces.T.reshape(-1)).view(3, 3, -1).unbind(1)
    u, v = b - a, c - a
    (ux, uy, uz), (vx, vy, vz) = u.unbind(0), v.unbind(0)
    return u, v, torch.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])


def face_normals(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "3 F"]:
    """Unit normals as planes, outward for counter-clockwise faces; zero (with zero gradient) for faces without area.

    Gradients: exact for ``positions``.
    """
    return _unit(_cross(positions, faces)[2])


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
    u, v, normal = _cross(positions, faces)
    flat = _unit(normal)
    if not bool(face_smooth.any()):
        return flat.T[:, None].expand(-1, 3, -1)
    with torch.no_grad():
        w = v - u
        angle = torch.atan2(_square(normal).sqrt(), torch.stack([(u * v).sum(0), -(u * w).sum(0), (v * w).sum(0)]))
    group = (faces if groups is None else groups).T.reshape(-1)
    count = len(positions) if groups is None else int(group.max()) + 1
    weighted = (flat[:, None] * angle).reshape(3, -1)
    summed = positions.new_zeros(3, count).scatter_add(1, group.expand(3, -1), weighted)
    smooth = taken(_unit(summed), group).view(3, 3, -1).permute(2, 1, 0).contiguous()
    return smooth if bool(face_smooth.all()) else torch.where(face_smooth[:, None, None], smooth, flat.T[:, None])


def surface_normals(positions: Float[Tensor, "V 3"], topology: Topology) -> Float[Tensor, "F 3 3"]:
    """The corner normals of a scene's faces, by kernels where these can. Gradients: as those of ``corner_normals``."""
    quick = kernels("geometry.normal_kernels", positions)
    if quick is not None and len(topology.faces):
        return quick.corner_normals(positions, topology)
    return corner_normals(positions, topology.faces, topology.face_smooth, topology.normal_groups)
