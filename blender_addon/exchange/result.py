"""What fits left in the scene: how strongly it shows, how it is kept for good, and how it is all reverted."""

from collections.abc import Iterator

import bpy
import numpy as np

from dr_backend.language import told

from .added_materials import remove_added_material
from .before import restore_inputs, restore_values
from .identity import check_modes, load_kept, object_mode, save_kept
from .materials import read_mix, revert_material, show_painted, write_mix
from .meshes import revert_mesh
from .photos import photo_block
from .sources import MIX_LABEL


def _touched(context_scene: bpy.types.Scene) -> Iterator[bpy.types.Object | bpy.types.Material]:
    """One object for every mesh that a fit touched, then the materials that one touched."""
    seen = set()
    materials: dict[str, bpy.types.Material] = {}
    for obj in context_scene.objects:
        if obj.type != "MESH":
            continue
        materials.update({s.material.name: s.material for s in obj.material_slots if s.material is not None and s.material.library is None})
        if obj.data.name not in seen and obj.data.library is None and load_kept(obj.data):
            seen.add(obj.data.name)
            yield obj
    yield from (material for material in materials.values() if load_kept(material))


def _changed(context_scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """Objects, their data, movie clips and the world of which a fit changed single values; what ``_touched`` yields is not among them."""
    blocks: dict[str, bpy.types.ID] = {}
    for obj in context_scene.objects:
        data = obj.data if obj.type in ("CAMERA", "LIGHT") else None
        photo = photo_block(obj) if obj.type == "CAMERA" else None
        blocks |= {repr(b): b for b in (obj, data, photo) if b is not None and b.library is None and load_kept(b)}
    world = context_scene.world
    return [*blocks.values(), *([world] if world is not None and world.library is None and load_kept(world) else [])]


def _objects(context_scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [block for block in _touched(context_scene) if isinstance(block, bpy.types.Object)]


def _painted(context_scene: bpy.types.Scene) -> list[bpy.types.Material]:
    blocks = (block for block in _touched(context_scene) if isinstance(block, bpy.types.Material))
    return [material for material in blocks if read_mix(material) is not None]


def _fit_key(mesh: bpy.types.Mesh) -> bpy.types.ShapeKey | None:
    return mesh.shape_keys.key_blocks.get(load_kept(mesh).get("key", "")) if mesh.shape_keys else None


def _fit_keys(context_scene: bpy.types.Scene) -> list[bpy.types.ShapeKey]:
    return [key for obj in _objects(context_scene) if (key := _fit_key(obj.data)) is not None]


def has_result(context_scene: bpy.types.Scene) -> bool:
    """Whether a fit's result is in the scene and can be reverted."""
    return next(_touched(context_scene), None) is not None or bool(_changed(context_scene))


# -- how strongly it shows -------------------------------------------------------------------------------------------------------------


def read_strength(context_scene: bpy.types.Scene) -> float | None:
    """How far the fitted meshes are on the way from before to the result, 0 to 1; None where none was fitted."""
    keys = _fit_keys(context_scene)
    return float(keys[0].value) if keys else None


def write_strength(context_scene: bpy.types.Scene, strength: float) -> None:
    """Sets that for every fitted mesh of the scene: the value of its shape key."""
    for key in _fit_keys(context_scene):
        key.value = strength


def read_texture_mix(context_scene: bpy.types.Scene) -> float | None:
    """How much of the fitted images the materials show, 0 to 1; None where none was painted."""
    materials = _painted(context_scene)
    return read_mix(materials[0]) if materials else None


def write_texture_mix(context_scene: bpy.types.Scene, share: float) -> None:
    """Sets that for every painted material of the scene."""
    for material in _painted(context_scene):
        write_mix(material, share)


def shows_before(context_scene: bpy.types.Scene) -> bool:
    """Whether the scene shows what was there before the fit."""
    keys, materials = _fit_keys(context_scene), _painted(context_scene)
    return bool(keys or materials) and all(key.mute for key in keys) and all("hidden_mix" in load_kept(m) for m in materials)


def show_before(context_scene: bpy.types.Scene, before: bool) -> None:
    """Shows meshes and materials as they were before the fit, or as fitted, at the strengths they had. Nothing is lost by it."""
    for key in _fit_keys(context_scene):
        key.mute = before
    for material in _painted(context_scene):
        show_painted(material, not before)


# -- the end of it -----------------------------------------------------------------------------------------------------------------------


def keep_all(context_scene: bpy.types.Scene) -> list[str]:
    """Makes what shows now the artist's own, so that there is nothing left to revert, and says so.

    Raises:
        SceneProblem: An object is in a mode that cannot be left. Nothing was changed then.
    """
    touched = list(_touched(context_scene))
    objects = [block for block in touched if isinstance(block, bpy.types.Object)]
    materials = [block for block in touched if isinstance(block, bpy.types.Material)]
    check_modes(objects)
    done = [sentence for obj in objects for sentence in _keep_mesh(obj)] + [_keep_material(material) for material in materials]
    for block in _changed(context_scene):
        save_kept(block, {})
        done.append(told("What the fit changed of '{name}' is its own now", name=block.name))
    return done


def _keep_mesh(obj: bpy.types.Object) -> list[str]:
    mesh = obj.data
    basis_added, done = load_kept(mesh).get("basis_added", False), []
    with object_mode(obj):
        key = _fit_key(mesh)
        if key is not None:
            _bake_key(obj, key)
            done.append(told("The shape of '{name}' is its own now", name=obj.name))
        if basis_added and mesh.shape_keys and len(mesh.shape_keys.key_blocks) == 1:
            obj.shape_key_remove(mesh.shape_keys.key_blocks[0])
        save_kept(mesh, {})
        mesh.update()
    return done


def _bake_key(obj: bpy.types.Object, key: bpy.types.ShapeKey) -> None:
    """Moves every other key, and the mesh itself, by what this key adds, and removes it."""
    mesh = obj.data
    size = len(mesh.vertices) * 3
    fitted, start, values = (np.empty(size, np.float32) for _ in range(3))
    key.data.foreach_get("co", fitted)
    key.relative_key.data.foreach_get("co", start)
    offset = (fitted - start) * (0.0 if key.mute else key.value)
    basis = mesh.shape_keys.reference_key
    for other in mesh.shape_keys.key_blocks:
        if other != key:
            other.data.foreach_get("co", values)
            other.data.foreach_set("co", values + offset)
            if other == basis:
                mesh.vertices.foreach_set("co", values + offset)
    obj.shape_key_remove(key)


def _keep_material(material: bpy.types.Material) -> str:
    for node in material.node_tree.nodes:
        if node.label == MIX_LABEL:
            node.label = ""  # from now on it is the artist's, as any other Mix node
    save_kept(material, {})
    return told("The texture of the material '{name}' is its own now", name=material.name)


def revert_all(context_scene: bpy.types.Scene) -> list[str]:
    """Takes everything that fits wrote out of the scene and says so; works after saving and reopening.

    Raises:
        SceneProblem: An object is in a mode that cannot be left. Nothing was changed then.
    """
    touched = list(_touched(context_scene))
    objects = [block for block in touched if isinstance(block, bpy.types.Object)]
    check_modes(objects)
    done = []
    for block in touched:
        if isinstance(block, bpy.types.Material):
            done += revert_material(block)
    for obj in objects:
        done += remove_added_material(obj)
        done += revert_mesh(obj)
    for changed in _changed(context_scene):
        if isinstance(changed, bpy.types.World):
            restore_inputs(changed)
        restore_values(changed)
        done.append(told("Restored what the fit had changed of '{name}'", name=changed.name))
    return done
