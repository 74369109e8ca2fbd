"""Fitted leaves of cameras, lights, world and materials, and places of meshes, into the file: each by the writer beside its reader."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.job import LARGEST_PHOTO
from dr_backend.language import phrase, told
from dr_backend.scene import Camera, Light, Material, World, split_path

from .alpha import find_alpha, write_alpha
from .before import TRANSFORM, noting_inputs, noting_values
from .cameras import EXPOSURE, WHITE_BALANCE
from .gloss import write_gloss
from .identity import describe, find, is_foreign, uses_nodes
from .lights import read_light, write_light
from .materials import base_color_socket, find_shader, read_material, write_base_color
from .photos import photo_clip, read_photo_camera, write_photo_camera
from .problems import SceneProblem
from .resize import reduced_size, resized_camera
from .sources import Groups, node_words, origin_of, read_source, write_placement
from .worlds import background_node, read_world, write_world

Node = TypeVar("Node", Camera, Light, Material, World)
_CAMERA = ("type", "lens", "ortho_scale", "shift_x", "shift_y", "clip_start")
_LENS = ("distortion_model", "focal_length_pixels", "principal_point", "pixel_aspect", "k1", "k2", "k3")
_LENS += ("brown_k1", "brown_k2", "brown_k3", "brown_k4", "brown_p1", "brown_p2")
_LIGHT = ("color", "energy", "spot_size", "spot_blend", "shadow_soft_size", "angle", "shape", "size", "size_y", "spread")
_KINDS = {  # of a group's blocks: what one is called, and where they are in bpy.data
    "cameras": (phrase("camera"), "objects"),
    "lights": (phrase("light"), "objects"),
    "meshes": (phrase("mesh"), "objects"),
    "materials": (phrase("material"), "materials"),
    "world": (phrase("world"), "worlds"),
}


@dataclass(frozen=True)
class Change:
    """New values for one block of the file, checked and ready to be written."""

    says: str
    notes: tuple[AbstractContextManager[None], ...]  # entered around the write: they keep what was there before
    write: Callable[[], None]

    def apply(self) -> str:
        """Writes and says what was done."""
        with ExitStack() as stack:
            for note in self.notes:
                stack.enter_context(note)
            self.write()
        return self.says


def describe_scene(scene: bpy.types.Scene, cameras: Sequence[bpy.types.Object], lights: Sequence[bpy.types.Object]) -> dict[str, Any]:
    """What ``prepare_changes`` needs to find scene, cameras, lights and world again, JSON-ready."""
    return {
        "scene": describe(scene),
        "cameras": {obj.name: describe(obj) for obj in cameras},
        "lights": {obj.name: describe(obj) for obj in lights},
        "world": {} if scene.world is None else {"": describe(scene.world)},
    }


def prepare_changes(described: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> Iterator[Change]:
    """One change for each block that the leaf paths of ``values`` name. Nothing is written yet.

    Args:
        described: Of the scene, and by name of every group: what ``identity.describe`` said of the blocks.
        values: New values by leaf path.

    Raises:
        SceneProblem: A block is gone or foreign, a path was not read, or a value has another shape or is not finite.
    """
    by_block: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for path, value in values.items():
        group, name, field = split_path(path)
        if name not in described.get(group, {}) or described[group][name] is None:
            raise SceneProblem("The result holds '{path}', which this fit did not read: fit again", path=path)
        by_block.setdefault((group, name), {})[field] = np.asarray(value)
    for (group, name), changed in by_block.items():
        kind, collection = _KINDS[group]
        block = find(getattr(bpy.data, collection), described[group][name])
        if block is None:
            raise SceneProblem("'{name}' is no longer in the file: undo its deletion, or fit again", name=described[group][name]["name"])
        if is_foreign(block):
            raise SceneProblem("'{name}' is linked from another file: make it local first", name=block.name)
        notes, write = _PREPARE[group](block, changed, find(bpy.data.scenes, described["scene"]))
        words = ", ".join(field.replace("_", " ") for field in changed)
        yield Change(told("Changed {words} of {kind} '{name}'", words=words, kind=told(kind), name=block.name), notes, write)


Prepared = tuple[tuple[AbstractContextManager[None], ...], Callable[[], None]]


def _with(node: Node, changed: Mapping[str, np.ndarray], name: str) -> Node:
    """The node with new values.

    Raises:
        SceneProblem: One does not belong there.
    """
    known = {f.name for f in fields(node)}
    for field, value in changed.items():
        if field not in known:
            raise SceneProblem("The result holds '{field}' for '{name}', which this fit did not read: fit again", field=field, name=name)
        before = getattr(node, field)
        if not np.isfinite(value).all() or (before is not None and np.shape(before) != value.shape and not field.endswith("image")):
            what = field.replace("_", " ")
            raise SceneProblem(
                "The result for '{name}' holds a {what} that is no such thing: nothing was changed, fit again", name=name, what=what
            )
    values: dict[str, Any] = dict(changed)
    return replace(node, **values)


def _camera(obj: bpy.types.Object, changed: Mapping[str, np.ndarray], scene: bpy.types.Scene) -> Prepared:
    full = read_photo_camera(obj, scene)
    camera = _with(resized_camera(full, reduced_size(full.size, LARGEST_PHOTO)), changed, obj.name)  # in the pixels of what was fitted
    notes = (noting_values(obj, TRANSFORM, (EXPOSURE, WHITE_BALANCE)), noting_values(obj.data, _CAMERA))
    if any(field.startswith("distortion") for field in changed):
        notes += (noting_values(photo_clip(obj), [f"tracking.camera.{name}" for name in _LENS]),)
    return notes, lambda: write_photo_camera(obj, resized_camera(camera, full.size), scene)


def _light(obj: bpy.types.Object, changed: Mapping[str, np.ndarray], scene: bpy.types.Scene) -> Prepared:
    light = _with(read_light(obj)[0], changed, obj.name)
    return (noting_values(obj, TRANSFORM), noting_values(obj.data, _LIGHT)), lambda: write_light(obj, light)


def _mesh(obj: bpy.types.Object, changed: Mapping[str, np.ndarray], scene: bpy.types.Scene) -> Prepared:
    """Only its place: positions are a shape key."""
    if list(changed) != ["world_from_object"] or changed["world_from_object"].shape != (4, 4):
        raise SceneProblem(
            "The result holds {changed} for '{name}', which a fit does not change: fit again", changed=", ".join(changed), name=obj.name
        )
    matrix = Matrix(changed["world_from_object"].astype(np.float64).tolist())
    return (noting_values(obj, TRANSFORM),), lambda: setattr(obj, "matrix_world", matrix)


def _world(world: bpy.types.World, changed: Mapping[str, np.ndarray], scene: bpy.types.Scene) -> Prepared:
    node = background_node(world)
    if node is None and uses_nodes(world):
        raise SceneProblem(
            "World '{name}' shows other nodes than a Background, so nothing can be written to it: connect a Background node to its World "
            "Output",
            name=world.name,
        )
    value = _with(read_world(world)[0], changed, world.name)
    note = noting_values(world, ("color",)) if node is None else noting_inputs(world, (node,))
    return (note,), lambda: write_world(world, value)


def _refuse_groups(material: bpy.types.Material, around: Groups) -> None:
    if around:
        raise SceneProblem(
            "The shader of material '{name}' is inside of its {group}, which may be used elsewhere too: take it apart with Ungroup, then "
            "fit again",
            name=material.name,
            group=node_words(around[0]),
        )


def _material(material: bpy.types.Material, changed: Mapping[str, np.ndarray], scene: bpy.types.Scene) -> Prepared:
    """Values and images of its shader; the base colour's image is painted by ``write_material``."""
    found = find_shader(material) if uses_nodes(material) else None
    read = _with(read_material(material, lit=True, painted=False)[0], changed, material.name)
    if found is None:
        return (noting_values(material, ("diffuse_color",)),), lambda: write_base_color(material, changed["base_color"])
    _refuse_groups(material, found.around)
    socket, nodes = base_color_socket(found.node), [found.node]
    source, origin = read_source(socket), origin_of(socket)
    if "uv_matrix" in changed:
        if source.image is None:
            raise SceneProblem("The base colour of material '{name}' has lost its image: fit again", name=material.name)
        _refuse_groups(material, origin.around)
        nodes.append(origin.node)
    if "base_color" in changed and socket.is_linked:
        raise SceneProblem("A node feeds the base colour of material '{name}': disconnect it, then fit again", name=material.name)
    see_through = [field for field in ("alpha", "alpha_image") if field in changed]
    alpha = find_alpha(material, found)
    if see_through and alpha is not None:
        _refuse_groups(material, alpha.around)
        nodes.append(alpha.socket.node)
        if "alpha" in changed and alpha.socket.is_linked:
            raise SceneProblem("A node feeds the alpha of material '{name}': disconnect it, then fit again", name=material.name)
    unchanged = {f.name: None for f in fields(Material) if f.name.endswith("_image") and f.name not in changed}

    def write() -> None:
        if "base_color" in changed:
            write_base_color(material, changed["base_color"])
        if "uv_matrix" in changed:
            write_placement(origin.node, source.uv_map, changed["uv_matrix"])
        for field in see_through:
            if alpha is not None:
                write_alpha(material, alpha, read, field)
        if set(changed) - {"base_color", "uv_matrix", *see_through}:
            write_gloss(found, replace(read, **unchanged))

    return (noting_inputs(material, nodes),), write


_PREPARE: dict[str, Callable[[Any, Mapping[str, np.ndarray], bpy.types.Scene], Prepared]] = {
    "cameras": _camera,
    "lights": _light,
    "meshes": _mesh,
    "world": _world,
    "materials": _material,
}
