"""Colour of the surface points that a rasterizer found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.flatten import FlatGloss, FlatMaterial, FlatScene
from ..geometry.normals import unit
from ..raster.interpolate import mix_corners, texture_area
from ..scene import Camera
from .diffuse import reflected
from .glossy import Gloss, Lobe, glossy
from .textures import texel_at
from .visibility import Points, lift, shadows_of


def seen_from(scene: FlatScene, camera: Camera) -> FlatScene:
    """The scene with the eye where this camera is: reflections need it. Gradients: exact for the camera."""
    matrix = torch.as_tensor(camera.camera_from_world).to(scene.positions)
    backward = matrix[2, :3]
    if camera.projection == "orthographic":
        return replace(scene, eye=torch.cat([backward, backward.new_zeros(1)]))
    return replace(scene, eye=torch.cat([-matrix[:3, :3].T @ matrix[:3, 3], backward.new_ones(1)]))


def albedo_at(
    scene: FlatScene, face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"], spread: Float[Tensor, " P"] | None = None
) -> Float[Tensor, "P 3"]:
    """Base colour at points on faces: the image or colour attribute where the material has one.

    With ``spread`` (see ``raster.interpolate``) images are filtered where their texels are smaller than pixels. Gradients: exact.
    """
    if not scene.materials:
        return scene.positions.new_zeros(len(face), 3)
    material = scene.face_material[face]
    albedo = torch.stack([m.base_color for m in scene.materials]).index_select(0, material)
    for index, flat in enumerate(scene.materials):
        if flat.image is None and not flat.color_attribute:
            continue
        if len(scene.materials) == 1:
            return _painted(scene, flat, face, barycentric, spread)
        here = torch.nonzero(material == index).squeeze(1)
        part = _painted(scene, flat, face[here], barycentric.index_select(0, here), None if spread is None else spread[here])
        albedo = albedo.index_copy(0, here, part)
    return albedo


def _painted(scene: FlatScene, material: FlatMaterial, face: Tensor, barycentric: Tensor, spread: Tensor | None) -> Tensor:
    """The colour attribute or image of points that all have this material."""
    if material.color_attribute and scene.colors is not None:
        return mix_corners(scene.colors, face, barycentric)
    area = None if spread is None else texture_area(scene.uvs, face, spread)
    return texel_at(material.texture, mix_corners(scene.uvs, face, barycentric), area)


@dataclass(frozen=True)
class _Place:
    """Where on the surface light is gathered."""

    face: Int[Tensor, " P"]
    barycentric: Float[Tensor, "P 3"]
    side: Float[Tensor, "P 1"]  # +1 where the viewer sees the outside, else -1
    points: Float[Tensor, "P 3"]
    normals: Float[Tensor, "P 3"]  # on the viewer's side
    starts: Points | None  # of shadow rays; None where nothing casts a shadow

    def __getitem__(self, here: Int[Tensor, " Q"]) -> _Place:
        starts = self.starts
        if starts is not None:
            starts = Points(starts.positions[here], starts.outward[here], starts.normals[here], starts.lifts[here])
        taken = (t.index_select(0, here) for t in (self.face, self.barycentric, self.side, self.points, self.normals))
        return _Place(*taken, starts)


def radiance_at(
    scene: FlatScene,
    face: Int[Tensor, " P"],
    barycentric: Float[Tensor, "P 3"],
    facing: Int[Tensor, " P"],
    spread: Float[Tensor, " P"] | None = None,
) -> Float[Tensor, "P 3"]:
    """Linear colour of points on faces as the viewer sees them; base colour in an unlit scene.

    ``facing`` is +1 where the face shows the viewer its outside and -1 elsewhere; there normals are turned over as Blender does.
    ``spread`` (see ``raster.interpolate``) filters the base colour's images where their texels are smaller than pixels.
    Gradients: exact for every tensor of the scene and for ``barycentric``, but which lights a point sees is constant.
    """
    albedo = albedo_at(scene, face, barycentric, spread)
    if scene.unlit or scene.corner_normals is None:
        return albedo
    place = _place(scene, face, barycentric, facing[:, None].to(barycentric.dtype))
    if all(material.gloss is None for material in scene.materials):
        shares = None if scene.shares is None else mix_corners(scene.shares[scene.faces], face, barycentric.detach())
        return reflected(scene, albedo, place.points, place.normals, place.starts, shares=shares)
    material, result = scene.face_material[face], torch.zeros_like(albedo)
    for index, flat in enumerate(scene.materials):
        here = torch.nonzero(material == index).squeeze(1)
        if not len(here):
            continue
        part, base = place[here], albedo.index_select(0, here)
        if flat.gloss is None:
            rgb = reflected(scene, base, part.points, part.normals, part.starts)
        else:
            rgb = _principled(scene, flat.gloss, base, part)
        result = result.index_copy(0, here, rgb)
    return result


def _place(scene: FlatScene, face: Tensor, barycentric: Tensor, side: Tensor) -> _Place:
    corner_normals = scene.corner_normals
    assert corner_normals is not None  # the scene is lit
    normals = unit(mix_corners(corner_normals, face, barycentric)) * side
    corners = scene.positions.index_select(0, scene.faces.reshape(-1)).reshape(-1, 3, 3)
    points = mix_corners(corners, face, barycentric)
    starts = None
    if scene.shares is None and shadows_of(scene) is not None:
        with torch.no_grad():
            around, smooth = corners[face], corner_normals[face] * side[:, None]
            outward = unit(torch.linalg.cross(around[:, 1] - around[:, 0], around[:, 2] - around[:, 0])) * side
            starts = Points(points.detach(), outward, normals.detach(), lift(points, around, smooth, barycentric))
    return _Place(face, barycentric, side, points, normals, starts)


def _channel(scene: FlatScene, gloss: FlatGloss, name: str, value: Tensor, place: _Place) -> Tensor:
    """A value of the surface at every point: its image where there is one."""
    texture = gloss.textures.get(name)
    if texture is None:
        return value.expand(len(place.face), max(1, value.numel()))
    return texel_at(texture, mix_corners(scene.uvs, place.face, place.barycentric))


def _bent_normals(scene: FlatScene, gloss: FlatGloss, place: _Place) -> Float[Tensor, "P 3"]:
    """Normals as the normal image bends them, in the tangent space of the UVs (Blender's Normal Map node)."""
    texture = gloss.textures.get("normal")
    if texture is None or scene.tangents is None:
        return place.normals
    x, y, z = (2.0 * texel_at(texture, mix_corners(scene.uvs, place.face, place.barycentric)) - 1.0).split(1, dim=1)
    strength = gloss.normal_strength
    z = 1.0 + (z - 1.0) * min(max(strength, 0.0), 1.0)
    mixed = mix_corners(scene.tangents, place.face, place.barycentric)
    outside = place.normals * place.side
    tangent, sign = unit(mixed[:, :3]), scene.tangents[place.face, 0, 3:]
    bent = strength * x * tangent + strength * y * sign * torch.linalg.cross(outside, tangent) + z * outside
    return unit(bent) * place.side


def _toward_viewer(scene: FlatScene, place: _Place) -> Float[Tensor, "P 3"]:
    """Unit vectors to the eye; along the normals where nobody said where it is."""
    if scene.eye is None:
        return place.normals
    return unit(scene.eye[:3] - scene.eye[3] * place.points)


def _principled(scene: FlatScene, gloss: FlatGloss, albedo: Tensor, place: _Place) -> Tensor:
    """Radiance of points on a Principled surface."""
    normals = _bent_normals(scene, gloss, place)
    straight = ((gloss.ior - 1.0) / (gloss.ior + 1.0)).square() * 2.0 * gloss.specular
    root = straight.clamp(1e-8, 0.99).sqrt()
    lobe = Lobe(
        albedo,
        Gloss(
            metallic=_channel(scene, gloss, "metallic", gloss.metallic, place).clamp(0.0, 1.0),
            roughness=_channel(scene, gloss, "roughness", gloss.roughness, place).clamp(0.0, 1.0),
            ior=(1.0 + root) / (1.0 - root),
        ),
        normals,
        _toward_viewer(scene, place),
    )
    starts = None if place.starts is None else replace(place.starts, normals=normals.detach())
    smooth = None if normals is place.normals else place.normals
    matte = reflected(scene, albedo, place.points, normals, starts, smooth) * lobe.matte
    return matte + glossy(scene, lobe, place.points, starts) + _channel(scene, gloss, "emission", gloss.emission, place)
