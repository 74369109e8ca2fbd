"""Nodes that have no counterpart here, baked to an image by Blender."""

import bpy
import numpy as np

from blender_addon.exchange.images import write_image

from .fixture import GLOSSY, TEXTURE, fixture
from .studio import Studio

_NODES = ["noise", "checker by generated coordinates", "box projection"]


@fixture("bakes", TEXTURE, variants=_NODES, lit=False, supersample=4, warns="is baked")
def base_color(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.plane(matte)
    tree = matte.node_tree
    socket = studio.shader(matte).inputs["Color"]
    if variant == "box projection":
        node = studio.image_node(matte, studio.picture())
        node.projection, node.projection_blend = "BOX", 0.2
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Object"], node.inputs["Vector"])
        return
    texture = tree.nodes.new("ShaderNodeTexNoise" if variant == "noise" else "ShaderNodeTexChecker")
    texture.inputs["Scale"].default_value = 4
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], socket)


@fixture("bakes", GLOSSY, samples=32, warns="is baked")
def roughness_by_noise_on_two_objects(studio: Studio) -> None:
    material = studio.principled(base_color=(0.6, 0.4, 0.3))
    tree = material.node_tree
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 3
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], studio.shader(material).inputs["Roughness"])
    ball = studio.ball(material, segments=64, rings=32)
    half = [tuple(0.5 * c for c in loop.uv) for loop in ball.data.uv_layers[0].data]
    ball.data.uv_layers[0].data.foreach_set("uv", [c for uv in half for c in uv])
    twin = studio.add(bpy.data.objects.new("Twin", ball.data.copy()))
    ball.data.uv_layers[0].data.foreach_set("uv", [c + 0.5 for uv in half for c in uv])
    ball.location, twin.location = (-1.1, 0, 0), (1.1, 0, 0)
    studio.lamp("AREA", 200, eye=(0, -3, 3), size=1.5)


@fixture("bakes", GLOSSY, variants=["an image on another UV map", "a color attribute"], samples=32, supersample=3, warns="is baked")
def roughness_by(studio: Studio, variant: str) -> None:
    material = studio.principled()
    board = studio.plane(material, half=2.2)
    tree = material.node_tree
    studio.image_node(material, studio.picture((24, 16)), "Base Color")
    if variant == "a color attribute":
        wear = board.data.color_attributes.new("Wear", "FLOAT_COLOR", "CORNER")
        wear.data.foreach_set("color", [c for value in (0.2, 0.9, 0.4, 0.6) for c in (value, value, value, 1.0)])
        node = tree.nodes.new("ShaderNodeVertexColor")
        node.layer_name = "Wear"
        tree.links.new(node.outputs["Color"], studio.shader(material).inputs["Roughness"])
    else:
        studio.uv_map(board, [(0.1, 0.2), (0.9, 0.0), (0.8, 1.1), (-0.1, 0.7)], name="Other")
        wear = write_image("Wear", 0.25 + 0.6 * np.random.default_rng(3).random((8, 16, 3)))
        wear.colorspace_settings.name = "Non-Color"
        place = tree.nodes.new("ShaderNodeUVMap")
        place.uv_map = "Other"
        tree.links.new(place.outputs["UV"], studio.image_node(material, wear, "Roughness").inputs["Vector"])
    studio.lamp("AREA", 250, eye=(0, 2.5, 2.5), size=1.0)
