"""A UV map for a mesh that has none: Blender's own Smart UV Project, on a copy in a scene of its own."""

import base64
import math
import zlib

import bpy
import numpy as np

from .problems import SceneProblem

UV_MAP = "Fit to Photo"


def smart_uvs(mesh: bpy.types.Mesh, name: str) -> np.ndarray:
    """UVs per corner (L, 2) of the mesh as Smart UV Project lays them out. The mesh, the selection and the mode stay as they are.

    Raises:
        SceneProblem: Blender cannot unwrap here, for want of a window; ``name`` is the object to speak of.
    """
    copy = mesh.copy()
    scene = bpy.data.scenes.new("Fit to Photo Unwrap")
    obj = bpy.data.objects.new("Fit to Photo Unwrap", copy)
    scene.collection.objects.link(obj)
    layer = scene.view_layers[0]
    layer.objects.active = obj
    obj.select_set(True, view_layer=layer)
    copy.polygons.foreach_set("hide", np.zeros(len(copy.polygons), bool))  # hidden faces would not be unwrapped
    copy.uv_layers.new(name=UV_MAP)
    context = {"scene": scene, "view_layer": layer, "active_object": obj, "object": obj, "selected_objects": [obj]}
    try:
        with bpy.context.temp_override(**context, edit_object=None):
            bpy.ops.object.mode_set(mode="EDIT")
        with bpy.context.temp_override(**context, edit_object=obj):
            bpy.ops.mesh.select_all(action="SELECT")
            bpy.ops.uv.smart_project(angle_limit=math.radians(66), island_margin=0.01, scale_to_bounds=False)
            bpy.ops.object.mode_set(mode="OBJECT")
        uvs = np.empty(len(copy.loops) * 2, np.float32)
        copy.uv_layers[UV_MAP].uv.foreach_get("vector", uvs)
    except RuntimeError as error:
        raise SceneProblem(
            "'{name}' has no UV map and Blender cannot make one here: unwrap it with Smart UV Project first", name=name
        ) from error
    finally:
        bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window
        bpy.data.objects.remove(obj)
        bpy.data.meshes.remove(copy)
    return uvs.reshape(-1, 2)


def pack_uvs(uvs: np.ndarray) -> str:
    """Text that holds the UVs exactly, for JSON."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(uvs, "<f4").tobytes())).decode("ascii")


def unpack_uvs(text: str) -> np.ndarray:
    """The UVs (L, 2) of ``pack_uvs``."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").reshape(-1, 2)
