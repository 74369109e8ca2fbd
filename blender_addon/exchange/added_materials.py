"""Materials that a fit adds where a mesh has none to paint, and their removal."""

import bpy

from dr_backend.language import told

from .identity import load_kept, object_mode, save_kept, uses_nodes
from .materials import ensure_shader


def add_material(name: str, objects: list[bpy.types.Object]) -> bpy.types.Material:
    """A new material in every empty slot of the objects (a new slot where there is none), noted for ``remove_added_material``."""
    material = bpy.data.materials.new(name)
    if not uses_nodes(material):
        material.use_nodes = True
    ensure_shader(material)
    for obj in objects:
        mesh = obj.data
        kept = load_kept(mesh)
        with object_mode(obj):
            if not obj.material_slots:
                mesh.materials.append(material)
                kept["slot_added"] = True
            else:
                empty = [slot.slot_index for slot in obj.material_slots if slot.material is None]
                for index in empty:
                    obj.material_slots[index].material = material
                kept["slots_filled"] = empty
        save_kept(mesh, kept | {"material": material.name})
    return material


def added_material(objects: list[bpy.types.Object]) -> bpy.types.Material | None:
    """The material that an earlier ``add_material`` gave these objects: an interrupted fit that is resumed paints it further."""
    names = [load_kept(obj.data).get("material", "") for obj in objects]
    return next((found for name in names if (found := bpy.data.materials.get(name)) is not None), None)


def remove_added_material(obj: bpy.types.Object) -> list[str]:
    """Empties again the slots that ``add_material`` filled on this object, and says so."""
    kept = load_kept(obj.data)
    material = bpy.data.materials.get(kept.pop("material", ""))
    filled, added = kept.pop("slots_filled", []), kept.pop("slot_added", False)
    save_kept(obj.data, kept)
    if material is None:
        return []
    with object_mode(obj):
        for index in filled:
            if index < len(obj.material_slots) and obj.material_slots[index].material == material:
                obj.material_slots[index].material = None
        if added and len(obj.data.materials) == 1 and obj.data.materials[0] == material:
            obj.data.materials.clear()  # pop would leave the object's slot behind in a reopened file
    if material.users == 0:
        bpy.data.materials.remove(material)
    return [told("Removed the added material of '{name}'", name=obj.name)]
