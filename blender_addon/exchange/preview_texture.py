"""The live preview of a texture: an image of its own, mixed over the base colour while a fit runs and taken away at its end.

As in ``preview.py``, nodes, images, materials and UV maps come and go before an undo step or in a file just opened; in between only
pixels and the mix change, which undo forgives. The artist's own images are never written to.
"""

import json

import bpy
import numpy as np

from .identity import is_foreign, uses_nodes
from .materials import base_color_input, find_shader
from .sources import mix_inputs
from .unwrap import unpack_uvs

PREVIEW = "Fit to Photo Preview"  # label of the nodes, name of what is lent to a mesh
_NOTE = "fit_to_photo_preview_texture"  # custom property: on materials which node Solid shading showed, on meshes what was lent
_LENT = "fit_to_photo_preview_lent"  # custom property of a material that was lent
_PLAIN_SIDE = 8  # texels along a side of the image while it does not show


def _nodes(material: bpy.types.Material) -> tuple[bpy.types.Node | None, bpy.types.Node | None]:
    """The preview's image node and Mix node, as far as they are there."""
    ours = [node for node in material.node_tree.nodes if node.label == PREVIEW] if material.node_tree else []
    found = {node.type: node for node in ours}
    return found.get("TEX_IMAGE"), found.get("MIX")


def has_texture_preview(block: bpy.types.ID) -> bool:
    """Whether a preview left something on this material, mesh or image."""
    return _NOTE in block


def add_texture_preview(material: bpy.types.Material, extension: str) -> bool:
    """Gives the material an image that does not show yet; whether it can show one: it has nodes, a base colour, and is no linked one."""
    if is_foreign(material) or not uses_nodes(material) or (found := find_shader(material)) is None:
        return False
    if (socket := base_color_input(found)) is None:
        return False
    if has_texture_preview(material):
        remove_texture_preview(material)
    tree, shader = material.node_tree, socket.node
    material[_NOTE] = json.dumps([node.name for node in tree.nodes if getattr(node, "show_texture", False)])
    image = bpy.data.images.new(f"{PREVIEW} {material.name}", _PLAIN_SIDE, _PLAIN_SIDE, float_buffer=True)
    image[_NOTE] = True
    _paint(image, _plain(material))
    node, mix = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeMix")
    node.label = mix.label = PREVIEW
    node.image, node.extension, mix.data_type = image, extension.upper(), "RGBA"
    node.location, mix.location = (shader.location.x - 320, shader.location.y - 200), (shader.location.x - 160, shader.location.y)
    share, before, fitted = mix_inputs(mix)
    share.default_value, before.default_value = 0.0, socket.default_value
    if socket.links:
        tree.links.new(socket.links[0].from_socket, before)
    tree.links.new(node.outputs["Color"], fitted)
    tree.links.new(next(s for s in mix.outputs if s.identifier == "Result_Color"), socket)
    return True


def show_texture_preview(material: bpy.types.Material, rgb_linear: np.ndarray) -> None:
    """Lets the material show the image (H, W, 3). Nothing happens where its nodes were taken away meanwhile."""
    node, mix = _nodes(material)
    if node is None or mix is None or node.image is None or not has_texture_preview(node.image):
        return
    _paint(node.image, rgb_linear)
    if bpy.app.version < (5, 0, 0) and bpy.context.scene.render.engine == "CYCLES":  # which looks at an image again only for a new setting
        node.interpolation = "Linear" if node.interpolation == "Smart" else "Smart"
    if not node.show_texture:  # what Solid shading with the colour Texture shows; of several the last
        for other in material.node_tree.nodes:
            if getattr(other, "show_texture", False):
                other.show_texture = False
        node.show_texture = True
    if (share := mix_inputs(mix)[0]).default_value != 1:
        share.default_value = 1.0


def _paint(image: bpy.types.Image, rgb_linear: np.ndarray) -> None:
    height, width = rgb_linear.shape[:2]
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = rgb_linear[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.pack()  # an image with changes that are in no file would be asked about when Blender is closed
    image.update_tag()  # for Cycles in the viewport


def _plain(material: bpy.types.Material) -> np.ndarray:
    """The colour of the material in Solid shading, (H, W, 3): there the image shows even at rest, where the material has no other."""
    return np.tile(np.array(material.diffuse_color[:3], np.float32), (_PLAIN_SIDE, _PLAIN_SIDE, 1))


def rest_texture_preview(material: bpy.types.Material) -> None:
    """Lets the material look as without preview, while its nodes stay."""
    node, mix = _nodes(material)
    if mix is not None and mix_inputs(mix)[0].default_value != 0:
        mix_inputs(mix)[0].default_value = 0.0
    if node is not None:
        if node.show_texture and node.image is not None and has_texture_preview(node.image):
            _paint(node.image, _plain(material))
        node.show_texture = False
    if has_texture_preview(material) and not any(getattr(other, "show_texture", False) for other in material.node_tree.nodes):
        for name in json.loads(material[_NOTE]):
            if name in material.node_tree.nodes:
                material.node_tree.nodes[name].show_texture = True


def remove_texture_preview(material: bpy.types.Material) -> None:
    """Takes nodes and image away and links again what was linked before."""
    rest_texture_preview(material)
    node, mix = _nodes(material)
    if mix is not None:
        before = mix_inputs(mix)[1]
        origin = before.links[0].from_socket if before.links else None
        fed = [link.to_socket for output in mix.outputs for link in output.links]
        material.node_tree.nodes.remove(mix)
        for socket in fed if origin is not None else ():
            material.node_tree.links.new(origin, socket)
    if node is not None:
        material.node_tree.nodes.remove(node)
    del material[_NOTE]
    remove_unused_images()


def remove_unused_images() -> None:
    """Takes away the previews' images that no node shows any more."""
    for image in [image for image in bpy.data.images if has_texture_preview(image) and image.users == 0]:
        bpy.data.images.remove(image)


# -- what a mesh without material or UV map needs to show an image -----------------------------------------------------------------------


def lend_material(objects: list[bpy.types.Object]) -> bpy.types.Material:
    """A new material in every empty slot of the objects, and in a new slot where there is none."""
    material = bpy.data.materials.new(PREVIEW)
    material[_LENT] = True
    if not uses_nodes(material):
        material.use_nodes = True
    for obj in objects:
        lent = json.loads(obj.data.get(_NOTE, "{}"))
        if not obj.material_slots:
            obj.data.materials.append(material)
            lent["slot"] = True
        else:
            lent["slots"] = [slot.slot_index for slot in obj.material_slots if slot.material is None]
            for index in lent["slots"]:
                obj.material_slots[index].material = material
        obj.data[_NOTE] = json.dumps(lent)
    return material


def lend_uvs(obj: bpy.types.Object, packed: str) -> None:
    """Gives a mesh without UV map the one that was made for the fit."""
    if not obj.data.uv_layers:
        layer = obj.data.uv_layers.new(name=PREVIEW, do_init=False)
        layer.uv.foreach_set("vector", unpack_uvs(packed).ravel())
        obj.data[_NOTE] = json.dumps(json.loads(obj.data.get(_NOTE, "{}")) | {"uvs": layer.name})


def take_back(obj: bpy.types.Object) -> None:
    """Takes from the object's mesh what was lent to it. The mode must not be Edit Mode."""
    mesh = obj.data
    lent = json.loads(mesh[_NOTE])
    for index in lent.get("slots", ()):
        if index < len(obj.material_slots) and _is_lent(obj.material_slots[index].material):
            obj.material_slots[index].material = None
    if lent.get("slot") and len(mesh.materials) == 1 and _is_lent(mesh.materials[0]):
        mesh.materials.clear()  # pop would leave the object's slot behind in a reopened file
    if (layer := mesh.uv_layers.get(lent.get("uvs", ""))) is not None:
        mesh.uv_layers.remove(layer)
    del mesh[_NOTE]


def _is_lent(material: bpy.types.Material | None) -> bool:
    return material is not None and _LENT in material


def remove_unused_materials() -> None:
    """Takes away what was lent and is in no slot any more, and slots that undo brought back to objects whose mesh has none."""
    for obj in bpy.data.objects:
        if obj.type == "MESH" and obj.data.library is None and obj.material_slots and not obj.data.materials:
            obj.data.materials.clear()  # counts the objects' slots anew
    for material in [material for material in bpy.data.materials if _is_lent(material) and material.users == 0]:
        bpy.data.materials.remove(material)
