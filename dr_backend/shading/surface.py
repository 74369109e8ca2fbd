"""Colour of the surface points that a rasterizer found."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.flatten import FlatMaterial, FlatScene
from ..geometry.normals import unit
from ..raster.interpolate import mix_corners
from .diffuse import reflected
from .textures import texel_at
from .visibility import Points, lift, shadows_of


def albedo_at(scene: FlatScene, face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """Base colour at points on faces: the image or colour attribute where the material has one. Gradients: exact."""
    if not scene.materials:
        return scene.positions.new_zeros(len(face), 3)
    material = scene.face_material[face]
    albedo = torch.stack([m.base_color for m in scene.materials]).index_select(0, material)
    for index, flat in enumerate(scene.materials):
        if flat.image is None and not flat.color_attribute:
            continue
        if len(scene.materials) == 1:
            return _painted(scene, flat, face, barycentric)
        here = torch.nonzero(material == index).squeeze(1)
        albedo = albedo.index_copy(0, here, _painted(scene, flat, face[here], barycentric.index_select(0, here)))
    return albedo


def _painted(scene: FlatScene, material: FlatMaterial, face: Tensor, barycentric: Tensor) -> Tensor:
    """The colour attribute or image of points that all have this material."""
    if material.color_attribute and scene.colors is not None:
        return mix_corners(scene.colors, face, barycentric)
    return texel_at(material, mix_corners(scene.uvs, face, barycentric))


def radiance_at(
    scene: FlatScene, face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"], facing: Int[Tensor, " P"]
) -> Float[Tensor, "P 3"]:
    """Linear colour of points on faces as the viewer sees them; base colour in an unlit scene.

    ``facing`` is +1 where the face shows the viewer its outside and -1 elsewhere; there normals are turned over as Blender does.
    Gradients: exact for every tensor of the scene and for ``barycentric``.
    """
    albedo = albedo_at(scene, face, barycentric)
    if scene.unlit or scene.corner_normals is None:
        return albedo
    side = facing[:, None]
    normals = unit(mix_corners(scene.corner_normals, face, barycentric)) * side
    corners = scene.positions.index_select(0, scene.faces.reshape(-1)).reshape(-1, 3, 3)
    points = mix_corners(corners, face, barycentric)
    return reflected(scene, albedo, points, normals, _ray_starts(scene, corners, face, barycentric, side, points, normals))


@torch.no_grad()
def _ray_starts(
    scene: FlatScene, corners: Tensor, face: Tensor, barycentric: Tensor, side: Tensor, points: Tensor, normals: Tensor
) -> Points | None:
    """Where shadow rays start; None where nothing casts a shadow."""
    if scene.corner_normals is None or shadows_of(scene) is None:
        return None
    around, smooth = corners[face], scene.corner_normals[face] * side[:, None]
    outward = unit(torch.linalg.cross(around[:, 1] - around[:, 0], around[:, 2] - around[:, 0])) * side
    return Points(points.detach(), outward, normals.detach(), lift(points, around, smooth, barycentric))
