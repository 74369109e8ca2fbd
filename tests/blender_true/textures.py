"""Images on surfaces, unlit: extension, interpolation, coordinates."""

import bpy
import numpy as np

from .fixture import TEXTURE, fixture
from .studio import Studio


@fixture("textures", TEXTURE, variants=["REPEAT", "EXTEND", "CLIP", "MIRROR"], lit=False, supersample=4)
def extension(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    plane = studio.mesh("Plane", [(-2, -2, 0), (2, -2, 0), (2, 2, 0), (-2, 2, 0)], [(0, 1, 2, 3)], matte)
    studio.uv_map(plane, [(-0.7, -0.4), (1.9, -0.6), (1.6, 1.7), (-0.5, 1.4)])
    studio.image_node(matte, studio.picture(), extension=variant)


@fixture("textures", TEXTURE, variants=["Linear", "Closest"], lit=False, supersample=8)
def interpolation(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.plane(matte)
    studio.image_node(matte, studio.picture(), interpolation=variant)


@fixture("textures", TEXTURE, lit=False, supersample=4)
def around_a_ball(studio: Studio) -> None:
    matte = studio.diffuse()
    studio.ball(matte).scale = (1.6, 1.6, 1.6)
    studio.image_node(matte, studio.picture((24, 16)))


@fixture("textures", TEXTURE, lit=False, supersample=4)
def uv_map_node_chooses_another_map(studio: Studio) -> None:
    matte = studio.diffuse()
    plane = studio.plane(matte)
    studio.uv_map(plane, [(0.1, 0.2), (0.9, 0.0), (0.8, 1.1), (-0.1, 0.7)], name="Other")
    node = studio.image_node(matte, studio.picture())
    chosen = matte.node_tree.nodes.new("ShaderNodeUVMap")
    chosen.uv_map = "Other"
    matte.node_tree.links.new(chosen.outputs["UV"], node.inputs["Vector"])


@fixture("textures", TEXTURE, variants=["point", "texture", "vector", "two in a row"], lit=False, supersample=4)
def mapping_node(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.plane(matte)
    tree = matte.node_tree
    node = studio.image_node(matte, studio.picture())
    socket = node.inputs["Vector"]
    for kind in ("POINT", "TEXTURE") if variant == "two in a row" else (variant.upper(),):
        mapping = tree.nodes.new("ShaderNodeMapping")
        mapping.vector_type = kind
        mapping.inputs["Rotation"].default_value, mapping.inputs["Scale"].default_value = (0.2, 0.1, 0.5), (1.5, 0.7, 1)
        if kind != "VECTOR":
            mapping.inputs["Location"].default_value = (0.3, -0.2, 0)
        tree.links.new(mapping.outputs[0], socket)
        socket = mapping.inputs["Vector"]
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["UV"], socket)


@fixture("textures", TEXTURE, variants=["8 bit sRGB", "8 bit non-color", "float"], lit=False, supersample=4)
def image_color_space(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.plane(matte)
    image = studio.picture()
    if variant == "8 bit non-color":
        image.colorspace_settings.name = "Non-Color"
    elif variant == "float":
        image = bpy.data.images.new("Float", 12, 8, float_buffer=True)
        image.pixels.foreach_set(np.random.default_rng(2).random(96 * 4, np.float32))
        image.alpha_mode = "NONE"
    studio.image_node(matte, image)


@fixture("textures", TEXTURE, lit=False, supersample=4)
def several_slots(studio: Studio) -> None:
    ball = studio.ball(studio.diffuse((0.7, 0.2, 0.1)))
    painted = studio.diffuse(name="Painted")
    studio.image_node(painted, studio.picture((24, 16)), interpolation="Closest")
    for material in (painted, studio.diffuse((0.1, 0.3, 0.7), name="Blue")):
        ball.data.materials.append(material)
    ball.data.polygons.foreach_set("material_index", np.arange(len(ball.data.polygons)) // 64 % 3)
    ball.scale = (1.6, 1.6, 1.6)


@fixture("textures", TEXTURE, variants=["float per vertex", "byte per corner", "the active one"], lit=False, supersample=4)
def color_attribute(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    ball = studio.ball(matte, segments=12, rings=6)
    ball.scale = (1.6, 1.6, 1.6)
    kind, domain = ("BYTE_COLOR", "CORNER") if variant == "byte per corner" else ("FLOAT_COLOR", "POINT")
    layer = ball.data.color_attributes.new("Stains", kind, domain)
    layer.data.foreach_set("color", np.random.default_rng(4).random(len(layer.data) * 4, np.float32))
    node = matte.node_tree.nodes.new("ShaderNodeVertexColor")
    node.layer_name = "" if variant == "the active one" else "Stains"
    matte.node_tree.links.new(node.outputs["Color"], studio.shader(matte).inputs["Color"])
