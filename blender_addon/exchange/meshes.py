"""Meshes: triangles of the mesh before modifiers ↔ the shape key "Fit to Photo"."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Mesh

from .checks import check_mesh_object
from .evaluated import as_rendered
from .identity import describe, find, load_kept, object_mode, save_kept
from .normals import read_custom_normals, read_normal_groups, read_tangents
from .problems import SceneProblem
from .sources import Source
from .unwrap import UV_MAP, pack_uvs, smart_uvs, unpack_uvs

SHAPE_KEY = "Fit to Photo"
MANY_VERTICES = 200_000  # a step of the fit then takes seconds on two cores
FURTHEST = 1e9  # units from a mesh's origin: in 32 bits, nothing can be seen of a mesh with such a vertex


@dataclass(frozen=True)
class MeshRead:
    """A mesh as read: the scene's mesh, what write-back needs (JSON-ready) and warnings."""

    mesh: Mesh
    binding: dict[str, Any]
    warnings: list[str]


@contextmanager
def _readable(obj: bpy.types.Object) -> Iterator[bpy.types.Mesh]:
    """The object's mesh with all its layers; in Edit Mode a copy, because Blender hides the layers then."""
    if obj.mode != "EDIT":
        yield obj.data
        return
    obj.update_from_editmode()
    copy = obj.data.copy()
    try:
        yield copy
    finally:
        bpy.data.meshes.remove(copy)


def _vectors(collection: Any, attribute: str, width: int) -> np.ndarray:
    flat = np.empty(len(collection) * width, np.float32)
    collection.foreach_get(attribute, flat)
    return flat.reshape(-1, width)


def _integers(collection: Any, attribute: str, width: int = 1) -> np.ndarray:
    flat = np.empty(len(collection) * width, np.int32)
    collection.foreach_get(attribute, flat)
    return flat.reshape(-1, width) if width > 1 else flat


def _weights(obj: bpy.types.Object, mesh: bpy.types.Mesh, group_name: str) -> np.ndarray:
    group = obj.vertex_groups.get(group_name)
    if group is None:
        return np.ones(len(mesh.vertices))
    weights = np.zeros(len(mesh.vertices))
    for vertex in mesh.vertices:
        for element in vertex.groups:
            if element.group == group.index:
                weights[vertex.index] = element.weight
    return weights


def key_values(mesh: bpy.types.Mesh) -> dict[str, float]:
    """The shape keys that act on the mesh and their values."""
    keys = mesh.shape_keys
    return {} if keys is None else {k.name: k.value for k in keys.key_blocks if not k.mute and k != keys.reference_key}


def mixed_positions(obj: bpy.types.Object, mesh: bpy.types.Mesh, values: Mapping[str, float], without: str = "") -> np.ndarray:
    """Basis plus the shape keys at these values, (V, 3) float64 in object space; the key ``without`` is left out."""
    if mesh.shape_keys is None:
        return _vectors(mesh.vertices, "co", 3).astype(np.float64)
    blocks = mesh.shape_keys.key_blocks
    mix = _vectors(mesh.shape_keys.reference_key.data, "co", 3).astype(np.float64)
    for name, value in values.items():
        key = blocks.get(name)
        if key is None or name == without or value == 0:
            continue
        offset = value * (_vectors(key.data, "co", 3).astype(np.float64) - _vectors(key.relative_key.data, "co", 3))
        if key.vertex_group:
            offset *= _weights(obj, mesh, key.vertex_group)[:, None]
        mix += offset
    return mix


def read_mesh(
    obj: bpy.types.Object,
    materials: tuple[str, ...] = (),
    *,
    texture: bool = False,
    geometry: bool = True,
    sources: Sequence[Source] = (),
    tangents: str | None = None,
) -> MeshRead:
    """The object's mesh before modifiers, with shape keys mixed at their current values; without ``geometry``, which is for a fit that
    does not move it, the mesh as it renders. ``materials`` are the slots' keys in the scene, ``sources`` what feeds their base colours:
    each face gets the UVs and colours that its material asks for. ``tangents`` names the UV map that a normal image turns by (empty: the
    one that renders).

    With ``texture`` a mesh without UV map gets one from Smart UV Project, which is put on the mesh only when a texture is written.

    Raises:
        SceneProblem: As ``check_mesh_object``, or Smart UV Project cannot run.
    """
    check_mesh_object(obj)
    warnings = []
    before = geometry or (texture and not obj.data.uv_layers)  # UVs made for the fit belong to the mesh before modifiers
    acting = [m.name for m in obj.modifiers if m.show_viewport or m.show_render]
    if acting and before:
        warnings.append(
            told(
                "The fit moves '{name}' before its modifiers ({modifiers}); apply or remove them if the result looks off",
                name=obj.name,
                modifiers=", ".join(acting),
            )
        )
    if len(obj.data.vertices) > MANY_VERTICES:
        warnings.append(
            told(
                "'{name}' has {count:,} vertices, which takes long: try a copy with fewer (Decimate)",
                name=obj.name,
                count=len(obj.data.vertices),
            )
        )
    with _readable(obj) if before else as_rendered(obj) as mesh:
        values = key_values(obj.data)
        positions = mixed_positions(obj, mesh, values).astype(np.float32) if before else _vectors(mesh.vertices, "co", 3)
        _check_readable(obj, mesh, positions)
        slot, materials = _slots(obj, mesh, materials)
        uv_map, uvs, made = _read_uvs(obj, mesh, texture)
        if uvs is not None and not made:
            uvs = _uvs_as_asked(mesh, uvs, slot, sources)
        binding = {
            "object": describe(obj),
            "vertices": len(obj.data.vertices),
            "corners": len(obj.data.loops),
            "key_values": values,
            "materials": list(materials),
            "uv_map": uv_map,
            "new_uvs": pack_uvs(uvs) if made and uvs is not None else None,
        }
        if made:
            warnings.append(
                told("'{name}' has no UV map: one named '{uv_map}' is made with Smart UV Project", name=obj.name, uv_map=UV_MAP)
            )
        turned = None if tangents is None else read_tangents(mesh, tangents)
        if tangents is not None and turned is None:
            warnings.append(
                told("The normal image on '{name}' is not seen: it needs a UV map and no polygons of more than four corners", name=obj.name)
            )
        warnings += _attribute_warnings(obj.name, mesh, sources)
        read = _to_triangles(mesh, slot, positions, uvs, _read_colors(mesh, slot, sources), turned)
    _check_triangles(obj.name, read, uv_map)
    placed = replace(
        read, world_from_object=np.array(obj.matrix_world, np.float32), materials=tuple(materials), casts_shadow=bool(obj.visible_shadow)
    )
    return MeshRead(placed, binding, warnings)


def _slots(obj: bpy.types.Object, mesh: bpy.types.Mesh, keys: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index into the material keys for every polygon (P,), and the keys: the slots', then those of materials that modifiers bring along."""
    index = _integers(mesh.polygons, "material_index")
    own, shown = (list(data.materials) for data in (obj.data, mesh))
    shown = [block and block.original for block in shown]
    if not keys or shown == own:
        return index.clip(0, max(len(keys) - 1, 0)), keys
    everything, places = list(keys), []
    for block in shown or [None]:
        key = keys[own.index(block)] if block in own else f"{SHAPE_KEY} {obj.name} Bare" if block is None else block.name
        if key not in everything:
            everything.append(key)
        places.append(everything.index(key))
    return np.array(places, np.int32)[index.clip(0, len(places) - 1)], tuple(everything)


def _vanishes(obj: bpy.types.Object) -> bool:
    """Whether the modifiers leave no faces, as Geometry Nodes without output do."""
    return obj.mode != "EDIT" and len(obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.polygons) == 0


def _check_readable(obj: bpy.types.Object, mesh: bpy.types.Mesh, positions: np.ndarray) -> None:
    if len(obj.data.polygons) and (len(mesh.polygons) == 0 or _vanishes(obj)):
        raise SceneProblem("The modifiers of '{name}' leave no faces of it: turn them off, or choose another mesh", name=obj.name)
    if len(mesh.polygons) == 0:
        raise SceneProblem("'{name}' has no faces: choose a mesh with faces, or fill it", name=obj.name)
    if not np.isfinite(positions).all():
        raise SceneProblem("'{name}' has vertices whose coordinates are not numbers: delete them in Edit Mode", name=obj.name)
    if np.abs(positions).max() > FURTHEST:
        raise SceneProblem("'{name}' has vertices too far away to be reckoned with: delete them in Edit Mode", name=obj.name)


def _check_triangles(name: str, mesh: Mesh, uv_map: str | None) -> None:
    """Makes sure that something can be seen of the mesh, and painted on it.

    Raises:
        SceneProblem: All faces are flattened to lines or points, or UVs are not numbers.
    """
    corners = mesh.positions[mesh.faces].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if areas.max(initial=0) <= 1e-12 * np.ptp(corners.reshape(-1, 3), axis=0).max() ** 2:
        raise SceneProblem("All faces of '{name}' are flattened to lines or points: choose another mesh", name=name)
    if mesh.uvs is not None and not np.isfinite(mesh.uvs).all():
        raise SceneProblem(
            "The UV map '{uv_map}' of '{name}' holds places that are not numbers: unwrap the mesh again", uv_map=uv_map, name=name
        )


def _to_triangles(
    mesh: bpy.types.Mesh,
    slot: np.ndarray,
    positions: np.ndarray,
    uvs: np.ndarray | None,
    colors: np.ndarray | None,
    tangents: np.ndarray | None,
) -> Mesh:
    """The mesh in triangles, not yet placed in the world: ``slot`` is given per polygon, UVs, colours and tangents per corner."""
    mesh.calc_loop_triangles()
    polygon, corners = _integers(mesh.loop_triangles, "polygon_index"), _integers(mesh.loop_triangles, "loops", 3)
    smooth = np.empty(len(mesh.polygons), bool)
    mesh.polygons.foreach_get("use_smooth", smooth)

    def at_corners(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[corners]

    return Mesh(
        positions=positions,
        faces=_integers(mesh.loop_triangles, "vertices", 3),
        world_from_object=np.eye(4, dtype=np.float32),
        uvs=at_corners(uvs),
        face_smooth=smooth[polygon],
        face_material=slot[polygon],
        colors=at_corners(colors),
        normal_groups=at_corners(read_normal_groups(mesh, smooth)),
        tangents=at_corners(tangents),
        custom_normals=at_corners(read_custom_normals(mesh)),
    )


def _read_uvs(obj: bpy.types.Object, mesh: bpy.types.Mesh, texture: bool) -> tuple[str | None, np.ndarray | None, bool]:
    """Name of the UV map, UVs per corner (L, 2), and whether they were made here."""
    layer = next((layer for layer in mesh.uv_layers if layer.active_render), None)
    if layer is not None:
        return layer.name, _vectors(layer.uv, "vector", 2), False
    if texture:
        return UV_MAP, smart_uvs(mesh, obj.name), True
    return None, None, False


def _corners_of_slot(mesh: bpy.types.Mesh, slot: np.ndarray, index: int) -> np.ndarray:
    """Which corners (L,) belong to faces of this slot; ``slot`` (P,) is that of every polygon."""
    return np.repeat(slot == index, _integers(mesh.polygons, "loop_total"))


def _uvs_as_asked(mesh: bpy.types.Mesh, uvs: np.ndarray, slot: np.ndarray, sources: Sequence[Source]) -> np.ndarray:
    """UVs per corner (L, 2): of the UV map that each material names, else ``uvs``. A map that is missing is zero, as in Cycles."""
    for index, source in enumerate(sources):
        if source.uv_map:
            layer = mesh.uv_layers.get(source.uv_map)
            asked = np.zeros_like(uvs) if layer is None else _vectors(layer.uv, "vector", 2)
            uvs = np.where(_corners_of_slot(mesh, slot, index)[:, None], asked, uvs)
    return uvs


def _read_colors(mesh: bpy.types.Mesh, slot: np.ndarray, sources: Sequence[Source]) -> np.ndarray | None:
    """Linear colours per corner (L, 3) of the attribute that each material names, black where it is missing; None without any."""
    if all(source.attribute is None for source in sources):
        return None
    colors = np.zeros((len(mesh.loops), 3), np.float32)
    for index, source in enumerate(sources):
        if source.attribute is None:
            continue
        name = source.attribute or mesh.color_attributes.default_color_name
        layer = mesh.color_attributes.get(name) if name else None
        if layer is None:
            continue
        values = _vectors(layer.data, "color", 4)[:, :3]
        if layer.domain == "POINT":
            values = values[_integers(mesh.loops, "vertex_index")]
        colors = np.where(_corners_of_slot(mesh, slot, index)[:, None], values, colors)
    return colors


def _attribute_warnings(name: str, mesh: bpy.types.Mesh, sources: Sequence[Source]) -> list[str]:
    """A warning for each attribute that a material shows as a colour and that is something else."""
    asked = {source.attribute for source in sources if source.attribute}
    others = sorted(a for a in asked if a in mesh.attributes and a not in mesh.color_attributes)
    return [
        told("Attribute '{other}' of '{name}' is no Color Attribute; the fit sees black instead", other=other, name=name)
        for other in others
    ]


def find_mesh_object(binding: dict[str, Any], need_uvs: bool) -> bpy.types.Object:
    """The object that was read, still fit to be written.

    Raises:
        SceneProblem: It is gone, became foreign, or its topology changed since.
    """
    name = binding["object"]["name"]
    obj = find(bpy.data.objects, binding["object"])
    if obj is None or obj.type != "MESH":
        raise SceneProblem("'{name}' is no longer in the file: undo its deletion, or fit again", name=name)
    check_mesh_object(obj)
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    vertices, corners = len(obj.data.vertices), len(obj.data.loops)
    if vertices != binding["vertices"] or (need_uvs and corners != binding["corners"]):
        raise SceneProblem(
            "'{name}' was edited during the fit (it had {before} vertices, now {now}): undo the edit, or fit again",
            name=name,
            before=binding["vertices"],
            now=vertices,
        )
    return obj


def check_positions(binding: dict[str, Any], positions: np.ndarray) -> None:
    """Makes sure that fitted positions can be written.

    Raises:
        SceneProblem: Their number is wrong or one is not finite.
    """
    name = binding["object"]["name"]
    if positions.shape != (binding["vertices"], 3):
        raise SceneProblem("The result for '{name}' has the wrong number of vertices: fit again", name=name)
    if not np.isfinite(positions).all():
        raise SceneProblem("The result for '{name}' holds positions that are not numbers: nothing was changed, fit again", name=name)


def write_mesh(obj: bpy.types.Object, positions: np.ndarray, values: Mapping[str, float] | None = None) -> str:
    """Puts fitted positions (V, 3, object space) into the shape key "Fit to Photo" and says so.

    Basis plus the other keys at ``values`` (None: their current ones) plus this key at 1 gives the positions. A Basis is added if the mesh
    has no shape keys; an earlier "Fit to Photo" is replaced. Topology, UVs and everything else stay.
    """
    mesh = obj.data
    with object_mode(obj):
        kept = load_kept(mesh)
        if mesh.shape_keys is None:
            obj.shape_key_add(name="Basis", from_mix=False)
            kept["basis_added"] = True
        key = mesh.shape_keys.key_blocks.get(kept.get("key", ""))
        name = key.name if key else ""
        before = mixed_positions(obj, mesh, key_values(mesh))
        others = mixed_positions(obj, mesh, key_values(mesh) if values is None else values, without=name)
        if key is None:
            key = obj.shape_key_add(name=SHAPE_KEY, from_mix=False)
            kept["key"] = key.name
        basis = mesh.shape_keys.reference_key
        moved = _vectors(basis.data, "co", 3) + (positions - others)
        key.data.foreach_set("co", np.ascontiguousarray(moved, np.float32).ravel())
        key.relative_key, key.vertex_group, key.mute = basis, "", False
        key.slider_min, key.slider_max, key.value = 0.0, 1.0, 1.0
        save_kept(mesh, kept)
        mesh.update()
        name = key.name
    furthest = float(np.linalg.norm(positions - before, axis=1).max(initial=0))
    return told("Moved the vertices of '{name}' by up to {furthest:.3g} (shape key '{key}')", name=obj.name, furthest=furthest, key=name)


def write_uvs(obj: bpy.types.Object, packed: str) -> str:
    """Adds the UV map that was made for the fit to a mesh that still has none, and says so."""
    mesh = obj.data
    with object_mode(obj):
        layer = mesh.uv_layers.new(name=UV_MAP, do_init=False)
        layer.uv.foreach_set("vector", unpack_uvs(packed).ravel())
        save_kept(mesh, load_kept(mesh) | {"uv_map": layer.name})
    return told("Added the UV map '{uv_map}' to '{name}'", uv_map=layer.name, name=obj.name)


def revert_mesh(obj: bpy.types.Object) -> list[str]:
    """Takes away the shape key, Basis and UV map that fits added to the object's mesh, and says so."""
    mesh = obj.data
    kept = load_kept(mesh)
    done = []
    with object_mode(obj):
        key = mesh.shape_keys.key_blocks.get(kept.pop("key", "")) if mesh.shape_keys else None
        if key is not None:
            obj.shape_key_remove(key)
            done.append(told("Removed the shape key '{key}' of '{name}'", key=SHAPE_KEY, name=obj.name))
        if kept.pop("basis_added", False) and mesh.shape_keys and len(mesh.shape_keys.key_blocks) == 1:
            obj.shape_key_remove(mesh.shape_keys.key_blocks[0])
        layer = mesh.uv_layers.get(kept.pop("uv_map", ""))
        if layer is not None:
            mesh.uv_layers.remove(layer)
            done.append(told("Removed the UV map '{uv_map}' of '{name}'", uv_map=UV_MAP, name=obj.name))
        save_kept(mesh, kept)
        mesh.update()
    return done
