"""The live preview: a shape key of its own that moves while a fit runs and is taken away at its end.

Adding and removing a key is something that Blender's undo must know of: ``add_preview`` and ``remove_preview`` belong before an undo
step (or into a file just opened). In between only coordinates and value change, which undo forgives.
"""

import bpy
import numpy as np

from .identity import object_mode
from .meshes import key_values, mixed_positions

PREVIEW_KEY = "Fit to Photo Preview"
_NOTE = "fit_to_photo_preview"  # custom property: the key's name
_BASIS_NOTE = "fit_to_photo_preview_basis"  # custom property: the Basis was made for it


def _preview_key(mesh: bpy.types.Mesh) -> bpy.types.ShapeKey | None:
    return mesh.shape_keys.key_blocks.get(str(mesh[_NOTE])) if _NOTE in mesh and mesh.shape_keys else None


def has_preview(mesh: bpy.types.Mesh) -> bool:
    """Whether a preview left something on the mesh, moved or not."""
    return _NOTE in mesh


def add_preview(obj: bpy.types.Object) -> bool:
    """Gives the object's mesh a key that does nothing yet; whether the preview can be shown on it (not in a mode of its own)."""
    mesh = obj.data
    if obj.mode != "OBJECT":
        return False
    if _preview_key(mesh) is None:
        if mesh.shape_keys is None:
            obj.shape_key_add(name="Basis", from_mix=False)
            mesh[_BASIS_NOTE] = True
        mesh[_NOTE] = obj.shape_key_add(name=PREVIEW_KEY, from_mix=False).name
    rest_preview(mesh)
    return True


def show_preview(obj: bpy.types.Object, positions: np.ndarray) -> None:
    """Lets the mesh look as if its vertices were at ``positions`` (V, 3), object space. Nothing happens where that cannot be shown."""
    mesh = obj.data
    key = _preview_key(mesh)
    if key is None or obj.mode != "OBJECT" or len(mesh.vertices) != len(positions):
        return
    basis = mesh.shape_keys.reference_key
    others = mixed_positions(obj, mesh, key_values(mesh), without=key.name)
    rest = np.empty(len(positions) * 3, np.float32)
    basis.data.foreach_get("co", rest)
    key.data.foreach_set("co", (rest + (positions - others).ravel()).astype(np.float32))
    for name, value in (("relative_key", basis), ("vertex_group", ""), ("mute", False), ("value", 1.0)):
        if getattr(key, name) != value:
            setattr(key, name, value)
    mesh.update_tag()  # mesh.update() would also have the Outliner, the Properties and the sidebars drawn again


def rest_preview(mesh: bpy.types.Mesh) -> None:
    """Lets the mesh look as without preview, while the key stays."""
    key = _preview_key(mesh)
    if key is not None and key.value != 0:
        key.value = 0.0
        mesh.update()


def remove_preview(obj: bpy.types.Object) -> None:
    """Takes the preview's key away, and the Basis that was made for it."""
    mesh = obj.data
    if not has_preview(mesh):
        return
    with object_mode(obj):
        key = _preview_key(mesh)
        if key is not None:
            obj.shape_key_remove(key)
        if mesh.get(_BASIS_NOTE) and mesh.shape_keys and len(mesh.shape_keys.key_blocks) == 1:
            obj.shape_key_remove(mesh.shape_keys.key_blocks[0])
        for note in (_NOTE, _BASIS_NOTE):
            if note in mesh:
                del mesh[note]
        mesh.update()


def remove_unused_keys() -> None:
    """Takes away previews' shape keys without a mesh: undo brings them back where the mesh is the same in both moments."""
    bpy.data.batch_remove([keys for keys in bpy.data.shape_keys if keys.users == 0 and PREVIEW_KEY in keys.key_blocks])
