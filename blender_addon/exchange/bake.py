"""Nodes that have no counterpart in a fit, turned into an image by Blender's own bake, on copies in a scene of their own."""

from collections.abc import Sequence

import bpy
import numpy as np

from .identity import uses_nodes
from .images import read_pixels
from .showing import show_input
from .sources import Groups

SIZE = 512  # pixels along a side of a baked image
_NAME = "Fit to Photo Bake"
_MARGIN = 8  # pixels that colours reach beyond the UV islands


def _idle(image: bpy.types.Image) -> bpy.types.Material:
    """A material for the other slots; the bake wants an image in each."""
    material = bpy.data.materials.new(_NAME)
    if not uses_nodes(material):
        material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    material.node_tree.nodes.active = node
    return material


def _place_copies(
    scene: bpy.types.Scene,
    objects: Sequence[bpy.types.Object],
    material: bpy.types.Material,
    shown: bpy.types.Material,
    idle: bpy.types.Material,
) -> list[bpy.types.Object]:
    copies = []
    for obj in objects:
        copy = obj.copy()
        scene.collection.objects.link(copy)
        copy.hide_render = copy.hide_viewport = False
        for slot, original in zip(copy.material_slots, obj.material_slots, strict=True):
            slot.link = "OBJECT"
            slot.material = shown if original.material == material else idle
        copy.select_set(True, view_layer=scene.view_layers[0])
        copies.append(copy)
    scene.view_layers[0].objects.active = copies[0]
    return copies


def _glowing(
    material: bpy.types.Material, socket: bpy.types.NodeSocket, around: Groups, image: bpy.types.Image
) -> tuple[bpy.types.Material, list[bpy.types.NodeTree]]:
    """A copy of the material that emits what feeds the socket, with the image as the bake's target; and the groups copied for it."""
    copy = material.copy()
    groups = show_input(copy, socket, around)
    target = copy.node_tree.nodes.new("ShaderNodeTexImage")
    target.image = image
    copy.node_tree.nodes.active = target
    return copy, groups


def bake_socket(
    objects: Sequence[bpy.types.Object],
    material: bpy.types.Material,
    socket: bpy.types.NodeSocket,
    around: Groups = (),
    uv_map: str = "",
) -> np.ndarray | None:
    """What feeds a shader's input, as linear colours (SIZE, SIZE, 3) on the UV map (empty: the one that renders); None where no object has
    it, or Blender cannot bake here. The file stays as it is."""
    rendering = (layer.name for obj in objects for layer in obj.data.uv_layers if layer.active_render)
    name = uv_map or next(rendering, "")
    ready = [obj for obj in objects if name in obj.data.uv_layers]
    if not ready or not socket.is_linked:
        return None
    scene = bpy.data.scenes.new(_NAME)
    images = [bpy.data.images.new(_NAME, SIZE, SIZE, float_buffer=True), bpy.data.images.new(_NAME, 4, 4)]
    glowing, groups = _glowing(material, socket, around, images[0])
    materials = [glowing, _idle(images[1])]
    copies: list[bpy.types.Object] = []
    try:
        scene.render.engine, scene.frame_current = "CYCLES", bpy.context.scene.frame_current
        scene.cycles.samples, scene.cycles.use_denoising = 4, False
        copies = _place_copies(scene, ready, material, *materials)
        layer = scene.view_layers[0]
        context = {"scene": scene, "view_layer": layer, "active_object": copies[0], "object": copies[0], "selected_objects": copies}
        with bpy.context.temp_override(**context):
            bpy.ops.object.bake(type="EMIT", margin=_MARGIN, use_clear=True, uv_layer=name)
        return np.ascontiguousarray(read_pixels(images[0])[..., :3])
    except RuntimeError:  # no window to bake in, or a mesh that Blender will not bake: the caller says what it does instead
        return None
    finally:
        bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window
        bpy.data.batch_remove((*copies, *materials, *images, *groups))
