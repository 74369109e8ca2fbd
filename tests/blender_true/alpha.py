"""See-through surfaces: alpha from a constant, an image or what a Math node makes of it, and the shadows that it leaves."""

import bpy
import numpy as np

from blender_addon.exchange.images import write_image

from .fixture import MIXED, SHADOWED, TEXTURE, Gate, fixture
from .studio import Studio

COVERAGE = Gate(iou=0.995, edge_px=0.1)


def _ground(studio: Studio) -> bpy.types.Object:
    material = studio.diffuse((0.3, 0.5, 0.8), "Ground")
    studio.image_node(material, write_image("Tiles", np.random.default_rng(3).random((6, 6, 3), np.float32)), interpolation="Closest")
    return studio.plane(material, half=2.5, name="Ground")


def _holed(name: str = "Holed", size: tuple[int, int] = (10, 8), mode: str = "STRAIGHT") -> bpy.types.Image:
    """An 8-bit image whose alpha takes every value; colours differ most where it is low."""
    rng = np.random.default_rng(9)
    image = bpy.data.images.new(name, *size, alpha=True)
    image.pixels.foreach_set(rng.random((size[1], size[0], 4), np.float32).ravel())
    image.alpha_mode = mode
    image.update()
    image.pack()
    return image


def _sheet(studio: Studio, material: bpy.types.Material, height: float = 1.2, half: float = 1.3, turn: float = 0.2) -> bpy.types.Object:
    sheet = studio.plane(material, half=half, name=f"Sheet {height}")
    sheet.location, sheet.rotation_euler = (0, 0, height), (0.5, turn, 0.3)
    return sheet


def _alpha_by(studio: Studio, material: bpy.types.Material, variant: str, **placement: str) -> None:
    """Feeds Alpha as the variant says."""
    tree, shader = material.node_tree, studio.shader(material)
    alpha = shader.inputs["Alpha"]
    if variant == "another image's color":
        grey = studio.picture((8, 8), "Grey")
        grey.colorspace_settings.name = "Non-Color"
        studio.image_node(material, grey, "Alpha", **placement)
        return
    node = studio.image_node(material, _holed(mode="CHANNEL_PACKED" if "packed" in variant else "STRAIGHT"), "Base Color", **placement)
    if variant == "unused":
        return
    source = node.outputs["Alpha"]
    for step in {"greater than": "G", "less than": "L", "one minus less than": "LS", "rounded": "R", "one minus": "S"}.get(variant, ""):
        math = tree.nodes.new("ShaderNodeMath")
        math.operation = {"G": "GREATER_THAN", "L": "LESS_THAN", "S": "SUBTRACT", "R": "ROUND"}[step]
        math.inputs[0 if step == "S" else 1].default_value = 1.0 if step == "S" else 0.4
        tree.links.new(source, math.inputs[1 if step == "S" else 0])
        source = math.outputs[0]
    tree.links.new(source, alpha)


@fixture("alpha", TEXTURE, lit=False, supersample=4)
def constant(studio: Studio) -> None:
    _ground(studio)
    _sheet(studio, studio.principled(base_color=(0.9, 0.3, 0.2), alpha=0.4))


BLENDS = ["the image's own", "channel packed", "another image's color", "one minus", "unused"]
CLIPS = ["greater than", "less than", "one minus less than", "rounded"]


@fixture("alpha", TEXTURE, variants=BLENDS, lit=False, supersample=4)
def blend_by_image(studio: Studio, variant: str) -> None:
    _ground(studio)
    material = studio.principled()
    _alpha_by(studio, material, variant)
    _sheet(studio, material)


@fixture("alpha", TEXTURE, variants=CLIPS, lit=False, supersample=8)
def clip_by_image(studio: Studio, variant: str) -> None:
    _ground(studio)
    material = studio.principled()
    _alpha_by(studio, material, variant)
    _sheet(studio, material)


@fixture("alpha", TEXTURE, variants=["EXTEND", "CLIP", "MIRROR", "Closest"], lit=False, supersample=8)
def placement(studio: Studio, variant: str) -> None:
    _ground(studio)
    material = studio.principled()
    _alpha_by(studio, material, "own", **({"interpolation": variant} if variant == "Closest" else {"extension": variant}))
    sheet = _sheet(studio, material)
    sheet.data.uv_layers[0].uv.foreach_set("vector", np.array([-0.4, -0.3, 1.5, -0.2, 1.4, 1.6, -0.5, 1.3], np.float32))


@fixture("alpha", TEXTURE, variants=["transparent first", "transparent second"], lit=False, supersample=4)
def mixed_with_a_transparent_shader(studio: Studio, variant: str) -> None:
    _ground(studio)
    material = studio.diffuse()
    tree, shader = material.node_tree, studio.shader(material)
    node = studio.image_node(material, _holed())
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    first = variant == "transparent first"
    tree.links.new(node.outputs["Alpha"], mix.inputs[0])
    tree.links.new(clear.outputs[0], mix.inputs[1 if first else 2])
    tree.links.new(shader.outputs[0], mix.inputs[2 if first else 1])
    tree.links.new(mix.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    _sheet(studio, material)


def _two_layers(studio: Studio) -> None:
    _ground(studio)
    ball = studio.ball(studio.principled(base_color=(0.9, 0.6, 0.1), alpha=0.5))
    ball.location, ball.scale = (0.2, -0.2, 0.9), (0.8, 0.8, 0.8)
    material = studio.principled(name="Lace")
    _alpha_by(studio, material, "own")
    _sheet(studio, material, half=1.0)


@fixture("alpha", TEXTURE, lit=False, supersample=4)
def layers_behind_each_other_and_through_each_other(studio: Studio) -> None:
    _two_layers(studio)


@fixture("alpha", COVERAGE, variants=["blend", "clip"], lit=False, supersample=8)
def coverage(studio: Studio, variant: str) -> None:
    material = studio.principled()
    _alpha_by(studio, material, "greater than" if variant == "clip" else "own")
    _sheet(studio, material, half=1.6)
    ball = studio.ball(studio.principled(name="Glass", alpha=0.35), segments=64, rings=32)
    ball.location = (0.8, 0.3, 0.2)


@fixture("alpha", MIXED, samples=48, supersample=2)
def layers_under_the_world(studio: Studio) -> None:
    _two_layers(studio)
    studio.background((0.7, 0.8, 1.0), 1.0)


@fixture("alpha", SHADOWED, variants=["constant", "blend", "clip"], samples=64, supersample=4)
def shadow_of_a_sun(studio: Studio, variant: str) -> None:
    studio.plane(studio.diffuse((0.8, 0.7, 0.6)), half=3)
    material = studio.principled(base_color=(0.2, 0.6, 0.3), alpha=0.4, specular_ior_level=0.0)
    if variant != "constant":
        _alpha_by(studio, material, "greater than" if variant == "clip" else "own")
    _sheet(studio, material)
    studio.lamp("SUN", 3, use_shadow=True)


@fixture("alpha", SHADOWED, samples=64, supersample=2)
def soft_shadow_through_two_layers(studio: Studio) -> None:
    studio.plane(studio.diffuse((0.8, 0.7, 0.6)), half=3)
    ball = studio.ball(studio.principled(base_color=(0.9, 0.6, 0.1), alpha=0.5, specular_ior_level=0.0), segments=64, rings=32)
    ball.location, ball.scale = (0.4, -0.2, 0.9), (0.7, 0.7, 0.7)
    material = studio.principled(name="Lace", specular_ior_level=0.0)
    _alpha_by(studio, material, "own")
    _sheet(studio, material, half=1.0)
    studio.lamp("AREA", 200, use_shadow=True, size=0.8)
