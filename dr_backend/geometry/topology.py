"""What stays fixed while a fit moves vertices: merged faces, their neighbours and their materials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ..language import told
from ..scene import Mesh, Scene


class Incidence(NamedTuple):
    """Which things belong to which: those of n are ``items[starts[n]:starts[n + 1]]``, ascending."""

    starts: Int[Tensor, " N1"]
    items: Int[Tensor, " M"]


def incidence(owner: Int[Tensor, " M"], count: int) -> Incidence:
    """From the owner of each thing; there are ``count`` owners."""
    ends = torch.bincount(owner, minlength=count).cumsum(0)
    return Incidence(torch.cat([ends.new_zeros(1), ends]).int(), torch.argsort(owner, stable=True).int())


@dataclass(frozen=True)
class EdgeTable:
    """Unique edges and the faces beside them.

    An edge with more than two faces (non-manifold) appears once for each pair of faces that follow each other around it.
    """

    vertices: Int[Tensor, "E 2"]  # lower vertex index first
    faces: Int[Tensor, "E 2"]  # the second is -1 at a boundary
    direction: Int[Tensor, "E 2"]  # +1 where the face runs along the edge as stored, -1 where it runs against it


@dataclass(frozen=True)
class MeshSlice:
    """Where one mesh lies in the merged arrays, and whether its matrix mirrors (its faces are then stored turned over)."""

    vertices: slice
    faces: slice
    mirrored: bool


@dataclass(frozen=True, eq=False)
class Topology:
    """Merged meshes of a scene without their positions. Valid until faces, materials or object names change.

    Compared and hashed as an object: other rooms keep by it what they compute once.
    """

    faces: Int[Tensor, "F 3"]
    face_smooth: Bool[Tensor, " F"]
    normal_groups: Int[Tensor, "F 3"]  # smooth corners of equal number share a normal
    face_material: Int[Tensor, " F"]
    casts_shadow: Bool[Tensor, " F"]
    any_shadow: bool  # whether any face does
    material_keys: tuple[tuple[str | None, bool], ...]  # material name (None: Blender's default surface), mesh has UVs
    meshes: dict[str, MeshSlice]
    edges: EdgeTable

    @cached_property
    def faces32(self) -> Int[Tensor, "F 3"]:
        """``faces`` as kernels read them."""
        return self.faces.int().contiguous()

    @cached_property
    def face_material32(self) -> Int[Tensor, " F"]:
        """``face_material`` as kernels read it."""
        return self.face_material.int().contiguous()

    @cached_property
    def face_pairs(self) -> Int[Tensor, "P 2"]:
        """Neighbouring faces that agree on which side is outside."""
        return self.edges.faces[(self.edges.faces[:, 1] >= 0) & (self.edges.direction.prod(1) < 0)]

    @cached_property
    def face_pairs32(self) -> Int[Tensor, "P 2"]:
        """``face_pairs`` as kernels read them."""
        return self.face_pairs.int().contiguous()

    @cached_property
    def groups32(self) -> Int[Tensor, "F 3"]:
        """``normal_groups`` as kernels read them."""
        return self.normal_groups.int().contiguous()

    @cached_property
    def smooth32(self) -> Int[Tensor, " F"]:
        """``face_smooth`` as kernels read it."""
        return self.face_smooth.int().contiguous()

    @cached_property
    def corners_of_vertices(self) -> Incidence:
        """The corners of faces (3 * face + number) at each vertex."""
        return incidence(self.faces.reshape(-1), self.vertex_count)

    @cached_property
    def corners_of_groups(self) -> Incidence:
        """The corners of each normal group."""
        return incidence(self.normal_groups.reshape(-1), int(self.normal_groups.max()) + 1 if self.normal_groups.numel() else 0)

    @cached_property
    def pairs_of_faces(self) -> Incidence:
        """The sides of face pairs (2 * pair + side) that each face is."""
        return incidence(self.face_pairs.reshape(-1), len(self.faces))

    @property
    def vertex_count(self) -> int:
        """Vertices of all meshes, loose ones too."""
        return max((part.vertices.stop for part in self.meshes.values()), default=0)

    @cached_property
    def shells32(self) -> Int[Tensor, " F"]:
        """For each face the lowest vertex of the connected surface that it belongs to, as kernels read it."""
        lowest = torch.arange(int(self.faces.max()) + 1 if self.faces.numel() else 0, device=self.faces.device)
        while True:
            reached = lowest[self.faces].amin(1, keepdim=True).expand(-1, 3)
            before = lowest
            lowest = lowest.scatter_reduce(0, self.faces.reshape(-1), reached.reshape(-1), "amin")
            lowest = lowest[lowest]  # jumping halves the way that is left
            if torch.equal(lowest, before):
                return lowest[self.faces[:, 0]].int().contiguous()

    @cached_property
    def shell_count(self) -> int:
        """Number of connected surfaces."""
        return len(self.shells32.unique())

    @cached_property
    def edges32(self) -> tuple[Int[Tensor, "E 2"], Int[Tensor, "E 2"]]:
        """``edges`` as kernels read them: vertices, and 2 * face + 1 for a face that runs along an edge, 2 * face for one that runs
        against it, -1 for none."""
        sides = torch.where(self.edges.faces < 0, -1, 2 * self.edges.faces + (self.edges.direction > 0))
        return self.edges.vertices.int().contiguous(), sides.int().contiguous()


def edge_table(faces: Int[Tensor, "F 3"]) -> EdgeTable:
    """The edges of a triangle list with up to two faces each; corners that repeat a vertex make no edge."""
    device = faces.device
    start, end = faces.reshape(-1), faces.roll(-1, dims=1).reshape(-1)
    face = torch.arange(faces.shape[0], device=device).repeat_interleave(3)
    real = start != end
    start, end, face = start[real], end[real], face[real]
    low, high = torch.minimum(start, end), torch.maximum(start, end)
    key = low * (int(faces.max()) + 1 if faces.numel() else 1) + high
    order = torch.argsort(key, stable=True)
    key, low, high, face, sign = key[order], low[order], high[order], face[order], torch.where(start < end, 1, -1)[order]

    same_as_next = torch.zeros_like(key, dtype=torch.bool)
    same_as_next[:-1] = key[1:] == key[:-1]
    alone = ~same_as_next & ~same_as_next.roll(1)
    first = torch.nonzero(same_as_next | alone).squeeze(1)
    second = torch.where(same_as_next[first], first + 1, -1)
    paired = second >= 0
    return EdgeTable(
        vertices=torch.stack([low[first], high[first]], dim=1),
        faces=torch.stack([face[first], torch.where(paired, face[second], -1)], dim=1),
        direction=torch.stack([sign[first], torch.where(paired, sign[second], 1)], dim=1),
    )


def _integers(values: object, device: torch.device) -> Tensor:
    return torch.as_tensor(values).to(device=device, dtype=torch.int64)


def _material_slots(mesh: Mesh, scene: Scene, keys: list[tuple[str | None, bool]], device: torch.device) -> Tensor:
    """Index into ``keys`` per face; new combinations are appended to it."""
    textured = mesh.uvs is not None
    names: tuple[str | None, ...] = tuple(name if name in scene.materials else None for name in mesh.materials) or (None,)
    for name in names:
        if (name, textured) not in keys:
            keys.append((name, textured))
    slots = torch.tensor([keys.index((name, textured)) for name in names], device=device)
    if mesh.face_material is None:
        return slots[:1].expand(len(mesh.faces))
    return slots[_integers(mesh.face_material, device).clamp(0, len(names) - 1)]


def prepare(scene: Scene, device: str | torch.device = "cpu") -> Topology:
    """The fixed part of ``scene``, computed once before a fit.

    Raises:
        ValueError: A face names a vertex that its mesh does not have.
    """
    device = torch.device(device)
    faces, smooth, groups, material, casting, slices = [], [], [], [], [], {}
    keys: list[tuple[str | None, bool]] = []
    vertex_start = face_start = group_start = 0
    for name, mesh in scene.meshes.items():
        mesh_faces = _integers(mesh.faces, device).reshape(-1, 3)
        vertex_end, face_end = vertex_start + len(mesh.positions), face_start + len(mesh_faces)
        if len(mesh_faces) and (int(mesh_faces.min()) < 0 or int(mesh_faces.max()) >= len(mesh.positions)):
            raise ValueError(told("Mesh '{name}' has faces with vertices that do not exist. Apply its modifiers and fit again.", name=name))
        mirrored = bool(torch.linalg.det(torch.as_tensor(mesh.world_from_object).detach()[:3, :3].double()) < 0)
        faces.append((mesh_faces.flip(1) if mirrored else mesh_faces) + vertex_start)
        flat = torch.zeros(len(mesh_faces), dtype=torch.bool, device=device)
        smooth.append(flat if mesh.face_smooth is None else torch.as_tensor(mesh.face_smooth).to(device=device, dtype=torch.bool))
        group = mesh_faces if mesh.normal_groups is None else _integers(mesh.normal_groups, device)
        groups.append((group.flip(1) if mirrored else group) + group_start)
        group_start = int(groups[-1].max()) + 1 if len(mesh_faces) else group_start
        casting.append(torch.full((len(mesh_faces),), mesh.casts_shadow, dtype=torch.bool, device=device))
        material.append(_material_slots(mesh, scene, keys, device))
        slices[name] = MeshSlice(slice(vertex_start, vertex_end), slice(face_start, face_end), mirrored)
        vertex_start, face_start = vertex_end, face_end
    merged = torch.cat(faces) if faces else torch.zeros(0, 3, dtype=torch.int64, device=device)
    return Topology(
        faces=merged,
        face_smooth=torch.cat(smooth) if smooth else torch.zeros(0, dtype=torch.bool, device=device),
        normal_groups=torch.cat(groups) if groups else merged,
        face_material=torch.cat(material) if material else torch.zeros(0, dtype=torch.int64, device=device),
        casts_shadow=torch.cat(casting) if casting else torch.zeros(0, dtype=torch.bool, device=device),
        any_shadow=any(mesh.casts_shadow and len(mesh.faces) for mesh in scene.meshes.values()),
        material_keys=tuple(keys),
        meshes=slices,
        edges=edge_table(merged),
    )
