"""The whole scene: what a fit reads and what it writes back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import bpy
import numpy as np

from dr_backend.job import LARGEST_PHOTO
from dr_backend.scene import Camera, Light, Material, Mesh, Photo, Scene, World, split_path

from .added_materials import add_material, added_material
from .bake import bake_socket
from .before import LABEL
from .checks import (
    check_light,
    check_lists,
    check_mesh_object,
    check_seen,
    glow_warnings,
    overlap_warning,
    shared_material_warnings,
    visibility_warnings,
)
from .evaluated import instance_warnings
from .identity import check_modes, describe, find
from .lights import read_light
from .materials import (
    DEFAULT_COLOR,
    base_color_source,
    check_image,
    check_material,
    material_uv_map,
    plain_image,
    read_material,
    tangent_uv_map,
    write_material,
)
from .meshes import MeshRead, check_positions, find_mesh_object, read_mesh, write_mesh, write_uvs
from .outlines import start_warnings
from .photos import framing_warnings, lens_warnings, read_photo, read_photo_camera
from .problems import SceneProblem, memory_problems
from .resize import reduced, resized_camera
from .sources import Source
from .values import describe_scene, prepare_changes
from .worlds import read_world

_DESCRIBED = {"meshes": "object", "materials": "material"}  # what a binding calls its block


@dataclass(frozen=True)
class Bindings:
    """Everything write-back needs, in JSON's own types: names and uids, never pointers, so that undo and reloading do no harm."""

    meshes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by object name, see meshes.read_mesh
    materials: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key of Scene.materials
    others: dict[str, Any] = field(default_factory=dict)  # the scene, its cameras, lights and world, see values.describe_scene

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Bindings":
        """The bindings of such a dictionary.

        Raises:
            KeyError: It is not one.
        """
        return cls(data["meshes"], data["materials"], data["others"])


@dataclass(frozen=True)
class Exported:
    """A scene ready for the backend. Leaves are NumPy."""

    scene: Scene
    photos: list[Photo]
    warnings: list[str]
    bindings: Bindings


@memory_problems()
def read_scene(
    context_scene: bpy.types.Scene,
    meshes: Sequence[bpy.types.Object],
    cameras: Sequence[bpy.types.Object],
    lights: Sequence[bpy.types.Object],
    *,
    texture: bool,
    texture_size: int = 0,
    geometry: bool = True,
    lit: bool | None = None,
) -> Exported:
    """The scene, photos and bindings of a fit. Without ``lights`` the scene is unlit, else they and the world are carried;
    ``lit`` says otherwise, for a scene that its world alone lights.

    With ``geometry`` meshes are read before their modifiers, as a fit moves them, and linked copies move together; else as they render.
    With ``texture`` every material in use has a base-colour image: the artist's, or a constant one of ``texture_size`` texels a side
    (0: tiny, the backend chooses the size).

    Raises:
        SceneProblem: Something cannot be fitted; the sentence names it. The file is as it was.
    """
    lit = bool(lights) if lit is None else lit
    check_lists(context_scene, meshes, cameras)
    bpy.context.view_layer.update()
    for obj in meshes:
        check_mesh_object(obj)
    photos, read_cameras, warnings = _read_cameras(context_scene, cameras)
    mesh_reads = _read_meshes(meshes, texture, geometry, lit)
    for read in mesh_reads.values():
        warnings += read.warnings
    fitted = {photo.camera: read_cameras[photo.camera] for photo in photos if not photo.held_out}
    read_meshes = {name: read.mesh for name, read in mesh_reads.items()}
    idle = check_seen(read_meshes, fitted)
    warnings += start_warnings(read_meshes, fitted, photos) or idle  # cameras that look past a mesh far away are no news of their own
    materials, material_bindings, more = _read_materials(meshes, mesh_reads, texture, texture_size, lit=lit)
    read_lights, world, light_warnings = _read_lights(context_scene, lights, lit)
    scene = Scene(read_cameras, {name: r.mesh for name, r in mesh_reads.items()}, materials, read_lights, world)
    others = describe_scene(context_scene, cameras, lights if lit else ())
    bindings = Bindings({name: read.binding for name, read in mesh_reads.items()}, material_bindings, others)
    warnings += more + light_warnings + visibility_warnings(meshes, lights if lit else ())
    warnings += glow_warnings(meshes, scene.meshes, materials) if lit else []
    return Exported(scene, photos, warnings, bindings)


def _read_meshes(meshes: Sequence[bpy.types.Object], texture: bool, geometry: bool, lit: bool) -> dict[str, MeshRead]:
    reads: dict[str, MeshRead] = {}
    owners: dict[str, str] = {}
    for obj in meshes:
        sources = () if texture else tuple(_slot_source(slot) for slot in obj.material_slots)
        tangents = next((m for s in obj.material_slots if lit and s.material and (m := tangent_uv_map(s.material)) is not None), None)
        read = read_mesh(obj, _slot_keys(obj), texture=texture, geometry=geometry, sources=sources, tangents=tangents)
        read = replace(read, warnings=read.warnings + instance_warnings(obj))
        owner = owners.setdefault(obj.data.name_full, obj.name)
        if geometry and owner != obj.name:
            read = replace(read, mesh=replace(read.mesh, shape_of=owner))
        reads[obj.name] = read
    return reads


def _slot_source(slot: bpy.types.MaterialSlot) -> Source:
    source = None if slot.material is None else base_color_source(slot.material)
    return Source(DEFAULT_COLOR) if source is None else replace(source, uv_map=material_uv_map(slot.material))


def _read_cameras(context_scene: bpy.types.Scene, cameras: Sequence[bpy.types.Object]) -> tuple[list[Photo], dict[str, Camera], list[str]]:
    photos, read, warnings = [], {}, []
    for obj in cameras:
        photo, more = read_photo(obj)
        photo = reduced(photo, LARGEST_PHOTO)  # dozens of large photos would fill the memory with pixels that nobody looks at
        read[obj.name] = resized_camera(read_photo_camera(obj, context_scene), (photo.rgb.shape[1], photo.rgb.shape[0]))
        photos.append(photo)
        warnings += more
    warnings += framing_warnings(cameras, context_scene) + lens_warnings(read)
    if all(photo.held_out for photo in photos):
        raise SceneProblem("Every photo is held out: turn off Hold Out on at least one camera")
    return photos, read, warnings


def _read_lights(
    context_scene: bpy.types.Scene, lights: Sequence[bpy.types.Object], lit: bool
) -> tuple[dict[str, Light], World | None, list[str]]:
    if not lit:
        return {}, None, []
    world, warnings = read_world(context_scene.world)
    read = {}
    for obj in lights:
        read[obj.name], more = read_light(obj)
        warnings += more
    check_light(read, world)
    return read, world, warnings


def _key_of(material: bpy.types.Material) -> str:
    return material.name if material.library is None else material.name_full


def _slot_keys(obj: bpy.types.Object) -> tuple[str, ...]:
    """A key of ``Scene.materials`` for every slot; empty slots, and a mesh without slots, get a material of their own at write time."""
    new = f"{LABEL} {obj.name}"
    while new in bpy.data.materials:
        new += " New"
    return tuple(new if slot.material is None else _key_of(slot.material) for slot in obj.material_slots) or (new,)


def _read_materials(
    meshes: Sequence[bpy.types.Object], reads: dict[str, MeshRead], texture: bool, texture_size: int, lit: bool
) -> tuple[dict[str, Material], dict[str, dict[str, Any]], list[str]]:
    by_key: dict[str, bpy.types.Material | None] = {}
    for obj in meshes:
        by_key.update({_key_of(slot.material): slot.material for slot in obj.material_slots if slot.material is not None})
        by_key.update({key: bpy.data.materials.get(key) for key in reads[obj.name].mesh.materials if key not in by_key})
    materials, bindings, warnings = {}, {}, []
    for key, block in by_key.items():
        users = [name for name, read in reads.items() if _uses(read.mesh, key)]
        maps = {reads[name].binding["uv_map"] for name in users} - {None}
        if block is None:
            material = Material(np.array(DEFAULT_COLOR, np.float32))
        else:
            if texture and users:
                check_material(block)
            owners = [obj for obj in meshes if obj.name in users]
            uv_map = "" if texture else material_uv_map(block)
            bake = partial(bake_socket, owners, block, uv_map=uv_map)
            material, more = read_material(block, maps, lit=lit, painted=texture, bake=bake)
            warnings += more
        if texture and users and material.base_color_image is None:
            material = replace(material, base_color_image=plain_image(material, texture_size))
        materials[key] = material
        bindings[key] = {"material": None if block is None else describe(block), "objects": users, "extension": material.extension}
    if texture:
        warnings += [warning for name, read in reads.items() if (warning := overlap_warning(name, read.mesh))]
        warnings += shared_material_warnings(meshes, {name: read.mesh for name, read in reads.items()}, by_key)
    return materials, bindings, warnings


def _uses(mesh: Mesh, key: str) -> bool:
    slots = [index for index, name in enumerate(mesh.materials) if name == key]
    return bool(np.isin(mesh.face_material, slots).any())


def write_result(bindings: Bindings, values: dict[str, np.ndarray]) -> list[str]:
    """Writes fitted leaves into the file and says what was done, one sentence each.

    Raises:
        SceneProblem: An object or material is gone or was edited, or a value is not finite. Nothing was changed then.
    """
    positions: dict[str, np.ndarray] = {}
    images: dict[str, np.ndarray] = {}
    others: dict[str, np.ndarray] = {}
    for path, value in values.items():
        group, name, leaf = split_path(path)
        if group == "meshes" and leaf == "positions" and name in bindings.meshes:
            positions[name] = np.asarray(value)
            check_positions(bindings.meshes[name], positions[name])
        elif group == "materials" and leaf == "base_color_image" and name in bindings.materials:
            images[name] = np.asarray(value)
            check_image(name, images[name])
        else:
            others[path] = value
    blocks = {group: {name: b[kind] for name, b in getattr(bindings, group).items()} for group, kind in _DESCRIBED.items()}
    changes = list(prepare_changes(bindings.others | blocks, others))
    painted = {user for key in images for user in bindings.materials[key]["objects"]}
    objects = {name: find_mesh_object(bindings.meshes[name], need_uvs=name in painted) for name in sorted(painted | set(positions))}
    surfaces = {key: _find_material(bindings.materials[key]) for key in images}
    check_modes(list(objects.values()))

    done = [write_mesh(objects[name], value, bindings.meshes[name]["key_values"]) for name, value in positions.items()]
    for name in sorted(painted):
        packed = bindings.meshes[name]["new_uvs"]
        if packed is not None and not objects[name].data.uv_layers:
            done.append(write_uvs(objects[name], packed))
    for key, image in images.items():
        users = [objects[name] for name in bindings.materials[key]["objects"]]
        block = surfaces[key] or added_material(users) or add_material(key, users)
        done.append(write_material(block, image, bindings.materials[key]["extension"], _named_map(bindings, users)))
    return done + [change.apply() for change in changes]


def _find_material(binding: dict[str, Any]) -> bpy.types.Material | None:
    if binding["material"] is None:
        return None
    block = find(bpy.data.materials, binding["material"])
    if block is None:
        raise SceneProblem(
            "The material '{name}' is no longer in the file: undo its deletion, or fit again", name=binding["material"]["name"]
        )
    check_material(block)
    return block


def _named_map(bindings: Bindings, users: list[bpy.types.Object]) -> str | None:
    """The UV map that an image must name, because a user made another one active since it was read."""
    for obj in users:
        binding = next(b for b in bindings.meshes.values() if find(bpy.data.objects, b["object"]) == obj)
        layers = obj.data.uv_layers
        active = next((layer.name for layer in layers if layer.active_render), None)
        if binding["uv_map"] in layers and active != binding["uv_map"]:
            return binding["uv_map"]
    return None
