"""Light from all around: colour and image, with and without ambient shadow."""

import bpy
import numpy as np

from blender_addon.exchange.images import write_float_image
from dr_backend.scene.sphere import pixel_directions

from .fixture import SHADOWED, UNSHADOWED, fixture
from .studio import Studio


def _sky_image(sun: float) -> bpy.types.Image:
    """A blue sky over brown ground with a warm sun of this brightness, eight degrees wide."""
    directions = pixel_directions(64, 128)
    up = directions[..., 2:]
    rgb = np.where(up > 0, [0.25, 0.45, 0.9] + 0.4 * (1 - np.abs(up)), [0.25, 0.2, 0.15])
    toward = np.array([0.5, -0.6, 0.6]) / np.linalg.norm([0.5, -0.6, 0.6])
    rgb = rgb + sun * (directions @ toward > np.cos(np.radians(4)))[..., None] * [1.0, 0.85, 0.6]
    return write_float_image("Sky", rgb)


def use_image(studio: Studio, sun: float, turn: tuple[float, float, float] | None = None) -> None:
    background = studio.background((0, 0, 0), 0.8)
    tree = studio.scene.world.node_tree
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = _sky_image(sun)
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    if turn is not None:
        mapping = tree.nodes.new("ShaderNodeMapping")
        mapping.inputs["Rotation"].default_value = turn
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], mapping.inputs["Vector"])
        tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])


@fixture("skies", UNSHADOWED, variants=["plain", "turned", "tilted"], samples=48)
def image_on_a_ball(studio: Studio, variant: str) -> None:
    studio.ball(studio.diffuse()).scale = (1.6, 1.6, 1.6)
    use_image(studio, 40, {"plain": None, "turned": (0, 0, 2.0), "tilted": (0.5, -0.4, 1.0)}[variant])


def _corner(studio: Studio) -> None:
    matte = studio.diffuse()
    studio.plane(matte, half=3)
    box = studio.box(matte)
    box.location, box.scale, box.rotation_euler = (-0.4, 0.3, 0.8), (0.6, 0.6, 0.8), (0, 0, 0.4)
    ball = studio.ball(matte)
    ball.location, ball.scale = (0.9, -0.6, 0.5), (0.5, 0.5, 0.5)


@fixture("skies", SHADOWED, samples=48)
def ambient_shadow_of_one_color(studio: Studio) -> None:
    _corner(studio)
    studio.background((0.7, 0.8, 1.0), 0.9)


@fixture("skies", SHADOWED, variants=["overcast", "with a sun"], samples=96)
def ambient_shadow_of_an_image(studio: Studio, variant: str) -> None:
    _corner(studio)
    use_image(studio, 0 if variant == "overcast" else 120)


@fixture("skies", SHADOWED, samples=48)
def world_and_lamps_together(studio: Studio) -> None:
    _corner(studio)
    studio.background((0.5, 0.7, 1.0), 0.3)
    studio.lamp("AREA", 120, eye=(2.5, 0.5, 2.5), use_shadow=True, size=0.8)
    studio.lamp("SUN", 0.7, eye=(-2, -2, 2), use_shadow=True, angle=0.05)


@fixture("skies", SHADOWED, variants=["Sky Texture", "image with other colors"], samples=64, warns="is rendered to an image")
def world_of(studio: Studio, variant: str) -> None:
    """Nodes that have no counterpart here."""
    _corner(studio)
    tree = studio.scene.world.node_tree
    if variant == "Sky Texture":
        node, background = tree.nodes.new("ShaderNodeTexSky"), studio.background((0, 0, 0), 0.03)
        node.sun_elevation, node.sun_rotation = 0.9, 2.5
    else:
        use_image(studio, 0)
        background = next(n for n in tree.nodes if n.type == "BACKGROUND")
        node = tree.nodes.new("ShaderNodeHueSaturation")
        node.inputs["Hue"].default_value, node.inputs["Value"].default_value = 0.7, 1.3
        tree.links.new(background.inputs["Color"].links[0].from_socket, node.inputs["Color"])
    tree.links.new(node.outputs["Color"], background.inputs["Color"])
