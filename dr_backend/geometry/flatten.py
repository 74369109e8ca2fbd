"""From the scene of a fit to what a renderer sees: world-space triangles, textures and lights."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..scene import Light, Material, Mesh, Scene, World, leaves, with_leaves
from ..scene.types import Extension, Interpolation
from .normals import surface_normals, unit
from .sky import Sky, sky_of
from .topology import Topology, prepare

Node = TypeVar("Node", Light, World)
DEFAULT_ALBEDO = 0.8  # Blender draws a mesh without material as a white of 80 %


@dataclass(frozen=True)
class Texture:
    """An image with its placement on the UVs."""

    image: Float[Tensor, "H W K"]
    extension: Extension = "repeat"
    interpolation: Interpolation = "linear"
    encoded: bool = False  # texels are mixed as sRGB
    uv_matrix: Float[Tensor, "2 3"] | None = None  # from the mesh's UVs to the image's
    smaller: tuple[Tensor, ...] = ()  # the image at half the size, a quarter and so on, where somebody made them for several views
    weights: Float[Tensor, "H W 1"] | None = None  # by which texels count in their mean


@dataclass(frozen=True)
class FlatGloss:
    """What a Principled surface has beside its base colour. Textures replace the values of the same name."""

    metallic: Float[Tensor, ""]
    roughness: Float[Tensor, ""]
    ior: Float[Tensor, ""]
    specular: Float[Tensor, ""]
    emission: Float[Tensor, " 3"]
    textures: dict[str, Texture]
    normal_strength: float


@dataclass(frozen=True)
class FlatOpacity:
    """How much of what lies behind it a surface hides."""

    alpha: Float[Tensor, ""]
    texture: Texture | None = None  # one channel; replaces alpha
    threshold: float | None = None  # whole where alpha is greater, elsewhere not there


@dataclass(frozen=True)
class FlatMaterial:
    """A surface in linear colour."""

    base_color: Float[Tensor, " 3"]
    image: Float[Tensor, "H W 3"] | None = None  # replaces the base colour
    extension: Extension = "repeat"
    interpolation: Interpolation = "linear"
    encoded: bool = False
    uv_matrix: Float[Tensor, "2 3"] | None = None
    smaller: tuple[Tensor, ...] = ()
    color_attribute: bool = False  # the scene's corner colours replace the base colour
    backface_culling: bool = False  # the inside of faces is not seen
    gloss: FlatGloss | None = None  # None: matte
    weights: Float[Tensor, "H W 1"] | None = None  # by which texels of the image count in their mean
    opacity: FlatOpacity | None = None  # None: nothing shows through

    @property
    def texture(self) -> Texture:
        """The base colour's image with its placement."""
        return Texture(self.image, self.extension, self.interpolation, self.encoded, self.uv_matrix, self.smaller, self.weights)


@dataclass(frozen=True)
class FlatScene:
    """All meshes of a scene as one list of world-space triangles. Tensors carry gradients back to the scene's leaves."""

    topology: Topology
    positions: Float[Tensor, "V 3"]
    uvs: Float[Tensor, "F 3 2"]  # zero where a mesh has none
    corner_normals: Float[Tensor, "F 3 3"] | None  # None where the scene is unlit
    materials: tuple[FlatMaterial, ...]
    lights: tuple[Light, ...]
    world_radiance: Float[Tensor, " 3"] | None
    colors: Float[Tensor, "F 3 3"] | None = None  # per corner; None where no material shows a colour attribute
    world: World | None = None  # in tensors
    tangents: Float[Tensor, "F 3 4"] | None = None  # in world space, with a sign; None where no material has a normal image
    shares: Float[Tensor, "V L"] | None = None  # of each lamp's light, last of the sky's, that reaches a vertex: shadows without rays
    eye: Float[Tensor, " 4"] | None = None  # where the viewer is, (x, y, z, 1), or for parallel rays the direction to it, (x, y, z, 0)
    sky: Sky | None = None  # the world's light where it is not the same all around; world_radiance is its mean then

    @property
    def faces(self) -> Int[Tensor, "F 3"]:
        """Vertex indices, counter-clockwise seen from outside."""
        return self.topology.faces

    @property
    def face_material(self) -> Int[Tensor, " F"]:
        """Index into ``materials``."""
        return self.topology.face_material

    @property
    def culled(self) -> Int[Tensor, " F"] | None:
        """1 for faces whose inside is not seen; None where all are seen from both sides."""
        if not any(m.backface_culling for m in self.materials):
            return None
        marks = torch.tensor([m.backface_culling for m in self.materials], device=self.positions.device)
        return marks.int()[self.face_material]

    @property
    def unlit(self) -> bool:
        """Whether surfaces show their base colour instead of reflected light."""
        return not self.lights and self.world_radiance is None


def _to_tensor(value: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
    # NumPy makes lists of single numbers on the way
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
    if tensor.is_floating_point():
        return tensor.to(device=device, dtype=dtype)
    return tensor.to(device=device, dtype=torch.bool if tensor.dtype == torch.bool else torch.int64)


def to_tensors(scene: Scene, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Scene:
    """The same scene with tensors for arrays: floats become ``dtype``, integers int64. Tensors keep their gradients."""
    where = torch.device(device)
    return with_leaves(scene, {path: _to_tensor(value, where, dtype) for path, value in leaves(scene).items()})


def _world_positions(scene: Scene, mesh: Mesh, device: torch.device, dtype: torch.dtype) -> Tensor:
    positions = _to_tensor((scene.meshes[mesh.shape_of] if mesh.shape_of else mesh).positions, device, dtype)
    matrix = _to_tensor(mesh.world_from_object, device, dtype)
    return torch.addmm(matrix[:3, 3], positions, matrix[:3, :3].T)


def _per_corner(scene: Scene, topology: Topology, field: str, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A field of the meshes that has ``width`` numbers per corner, (F, 3, width); zero where a mesh has none."""
    parts = [torch.zeros(0, 3, width, device=device, dtype=dtype)]
    for mesh, part in zip(scene.meshes.values(), topology.meshes.values(), strict=True):
        value = getattr(mesh, field)
        if value is None:
            parts.append(torch.zeros(part.faces.stop - part.faces.start, 3, width, device=device, dtype=dtype))
        else:
            corners = _to_tensor(value, device, dtype)
            parts.append(corners.flip(1) if part.mirrored else corners)
    return torch.cat(parts)


def _world_tangents(scene: Scene, topology: Topology, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    """Tangents (F, 3, 4) in world space; None where no mesh has any."""
    if all(mesh.tangents is None for mesh in scene.meshes.values()):
        return None
    tangents = _per_corner(scene, topology, "tangents", 4, device, dtype)
    parts = []
    for mesh, part in zip(scene.meshes.values(), topology.meshes.values(), strict=True):
        matrix = _to_tensor(mesh.world_from_object, device, dtype)[:3, :3]
        own = tangents[part.faces]
        parts.append(torch.cat([unit(own[..., :3] @ matrix.T), own[..., 3:] * (-1.0 if part.mirrored else 1.0)], -1).detach())
    return torch.cat(parts)


def _shading_normals(scene: Scene, world: Tensor, topology: Topology, before: FlatScene | None) -> Tensor:
    """Normals (F, 3, 3) that surfaces are shaded with: those set by hand where a mesh has them, else those of the positions."""
    if before is not None and before.corner_normals is not None and not world.requires_grad and torch.equal(world, before.positions):
        return before.corner_normals.detach()
    normals = surface_normals(world, topology)
    if all(mesh.custom_normals is None for mesh in scene.meshes.values()):
        return normals
    parts = []
    for mesh, part in zip(scene.meshes.values(), topology.meshes.values(), strict=True):
        if mesh.custom_normals is None:
            parts.append(normals[part.faces])
            continue
        custom = _to_tensor(mesh.custom_normals, world.device, world.dtype)
        inverse = torch.linalg.inv(_to_tensor(mesh.world_from_object, world.device, world.dtype)[:3, :3])
        parts.append(unit((custom.flip(1) if part.mirrored else custom) @ inverse).detach())
    return torch.cat(parts)


def _tensors_of(node: Node, device: torch.device, dtype: torch.dtype) -> Node:
    """A light or world with tensors for arrays."""
    changes: dict[str, Any] = {f.name: _to_tensor(v, device, dtype) for f in fields(node) if hasattr(v := getattr(node, f.name), "dtype")}
    return replace(node, **changes)


def _flat_material(scene: Scene, key: tuple[str | None, bool], device: torch.device, dtype: torch.dtype) -> FlatMaterial:
    name, textured = key
    if name is None:
        return FlatMaterial(torch.full((3,), DEFAULT_ALBEDO, device=device, dtype=dtype))
    material = scene.materials[name]
    image = material.base_color_image if textured else None
    return FlatMaterial(
        base_color=_to_tensor(material.base_color, device, dtype),
        image=None if image is None else _to_tensor(image, device, dtype),
        extension=material.extension,
        interpolation=material.interpolation,
        encoded=material.encoded,
        color_attribute=material.color_attribute,
        backface_culling=material.backface_culling,
        uv_matrix=None if material.uv_matrix is None else _to_tensor(material.uv_matrix, device, dtype),
        gloss=None if scene.unlit or material.shader == "diffuse" else _flat_gloss(material, textured, device, dtype),
        weights=None if image is None or material.base_color_weights is None else _to_tensor(material.base_color_weights, device, dtype),
        opacity=_flat_opacity(material, textured, device, dtype),
    )


def _flat_texture(material: Material, name: str, textured: bool, device: torch.device, dtype: torch.dtype) -> Texture | None:
    """The image of this name as it is placed."""
    image, placement = getattr(material, f"{name}_image"), material.placements.get(name, {})
    if image is None or not textured:
        return None
    matrix = placement.get("uv_matrix")
    placed = None if matrix is None else torch.tensor(matrix, device=device, dtype=dtype).reshape(2, 3)
    settings = {key: placement[key] for key in ("extension", "interpolation", "encoded") if key in placement}
    return Texture(_to_tensor(image, device, dtype), uv_matrix=placed, **settings)


def _flat_opacity(material: Material, textured: bool, device: torch.device, dtype: torch.dtype) -> FlatOpacity | None:
    texture = _flat_texture(material, "alpha", textured, device, dtype)
    if texture is None and material.alpha is None:
        return None
    alpha = torch.ones((), device=device, dtype=dtype) if material.alpha is None else _to_tensor(material.alpha, device, dtype)
    return FlatOpacity(alpha, texture, material.alpha_threshold)


def _flat_gloss(material: Material, textured: bool, device: torch.device, dtype: torch.dtype) -> FlatGloss:
    def value(name: str, default: float | tuple[float, ...]) -> Tensor:
        found = getattr(material, name)
        return torch.tensor(default, device=device, dtype=dtype) if found is None else _to_tensor(found, device, dtype)

    found = {name: _flat_texture(material, name, textured, device, dtype) for name in material.placements if name != "alpha"}
    return FlatGloss(
        metallic=value("metallic", 0.0),
        roughness=value("roughness", 0.5),
        ior=value("ior", 1.5),
        specular=value("specular", 0.5),
        emission=value("emission", (0.0, 0.0, 0.0)),
        textures={name: texture for name, texture in found.items() if texture is not None},
        normal_strength=material.normal_strength,
    )


def flatten(
    scene: Scene,
    device: str | torch.device = "cpu",
    topology: Topology | None = None,
    dtype: torch.dtype = torch.float32,
    before: FlatScene | None = None,
) -> FlatScene:
    """World-space triangles of ``scene`` on ``device``.

    ``topology`` is ``prepare(scene, device)``: pass it where the same scene is flattened again and again, as in every step of a fit.
    ``before`` is an earlier result for it, whose normals are taken if no vertex has moved.
    Gradients: exact for positions, object matrices, UVs, colours, images and lights.

    Raises:
        ValueError: A face names a vertex that its mesh does not have.
    """
    where = torch.device(device)
    topology = topology or prepare(scene, where)
    meshes = scene.meshes.values()
    positions = [_world_positions(scene, mesh, where, dtype) for mesh in meshes]
    sky_world = None if scene.world is None else _tensors_of(scene.world, where, dtype)
    shown = any(material.color_attribute for material in scene.materials.values())
    uvs = _per_corner(scene, topology, "uvs", 2, where, dtype)
    world = torch.cat(positions) if positions else torch.zeros(0, 3, device=where, dtype=dtype)
    return FlatScene(
        topology=topology,
        positions=world,
        uvs=uvs,
        corner_normals=None if scene.unlit else _shading_normals(scene, world, topology, before),
        materials=tuple(_flat_material(scene, key, where, dtype) for key in topology.material_keys),
        lights=tuple(_tensors_of(light, where, dtype) for light in scene.lights.values()),
        world_radiance=None if sky_world is None else sky_world.radiance,
        world=sky_world,
        tangents=None if scene.unlit else _world_tangents(scene, topology, where, dtype),
        sky=None if sky_world is None else sky_of(sky_world),
        colors=_per_corner(scene, topology, "colors", 3, where, dtype) if shown else None,
    )


def cut(flat: FlatScene) -> tuple[FlatScene, list[Tensor], list[Tensor]]:
    """``flat`` with its gradients cut off, so that several threads may each differentiate their own views of it.

    Returns:
        The scene on fresh leaves; the tensors it was cut from; those leaves, in the same order. What the leaves gather is
        carried on with ``torch.autograd.backward(tensors, gradients)``.
    """
    sources: list[Tensor] = []
    copies: list[Tensor] = []
    return _fresh(flat, sources, copies), sources, copies


def _fresh(value: Any, sources: list[Tensor], copies: list[Tensor]) -> Any:
    """See ``cut``. A function within a function that calls itself would hold the tensors until Python looks for unused cycles."""
    if isinstance(value, Tensor) and value.requires_grad:
        sources.append(value)
        copies.append(value.detach().requires_grad_())
        return copies[-1]
    if isinstance(value, tuple):
        return tuple(_fresh(item, sources, copies) for item in value)
    if isinstance(value, dict):
        return {key: _fresh(item, sources, copies) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, Topology):
        return replace(value, **{f.name: _fresh(getattr(value, f.name), sources, copies) for f in fields(value)})  # type: ignore[type-var]
    return value
