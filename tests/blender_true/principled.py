"""The Principled BSDF: metal, gloss, glow and normal images, under lamps and sky."""

import numpy as np

from blender_addon.exchange.images import write_image

from .fixture import GLOSSY, fixture
from .skies import use_image
from .studio import Studio


def _lamps(studio: Studio) -> None:
    studio.lamp("AREA", 150, eye=(2.5, -2.5, 3.0), size=1.5)
    studio.lamp("POINT", 80, eye=(-3, -2, 1.5), color=(0.4, 0.7, 1.0), shadow_soft_size=0.3)


def _ball(studio: Studio, **values: object) -> None:
    studio.ball(studio.principled(**values), segments=64, rings=32).scale = (1.7, 1.7, 1.7)


@fixture("principled", GLOSSY, variants=["0.15", "0.3", "0.5", "0.8", "1.0"], samples=48)
def dielectric_under_lamps_roughness(studio: Studio, variant: str) -> None:
    _ball(studio, base_color=(0.6, 0.2, 0.1), roughness=float(variant))
    _lamps(studio)


@fixture("principled", GLOSSY, variants=["0.15", "0.3", "0.5", "0.8"], samples=48)
def metal_under_lamps_roughness(studio: Studio, variant: str) -> None:
    _ball(studio, base_color=(0.9, 0.6, 0.3), metallic=1.0, roughness=float(variant))
    _lamps(studio)


@fixture("principled", GLOSSY, variants=["spot", "sun", "points"], samples=32)
def gloss_under_a(studio: Studio, variant: str) -> None:
    _ball(studio, base_color=(0.3, 0.4, 0.6), roughness=0.4)
    if variant == "spot":
        studio.lamp("SPOT", 900, eye=(2.5, -3, 3), spot_size=0.6, spot_blend=0.5, shadow_soft_size=0.2)
    elif variant == "sun":
        studio.lamp("SUN", 3, eye=(2, -3, 3), angle=0.2)
    else:
        studio.lamp("POINT", 200, eye=(2, -3, 3))
        studio.lamp("SUN", 1, eye=(-2, -3, 1))


@fixture("principled", GLOSSY, variants=["low", "high", "none"], samples=32)
def specular_level(studio: Studio, variant: str) -> None:
    level = {"low": 0.2, "high": 1.0, "none": 0.0}[variant]
    _ball(studio, base_color=(0.2, 0.3, 0.2), roughness=0.35, specular_ior_level=level)
    _lamps(studio)


@fixture("principled", GLOSSY, samples=32)
def index_of_refraction(studio: Studio) -> None:
    _ball(studio, base_color=(0.2, 0.3, 0.2), roughness=0.35, ior=2.2)
    _lamps(studio)


@fixture("principled", GLOSSY, samples=32)
def half_metal(studio: Studio) -> None:
    _ball(studio, base_color=(0.7, 0.5, 0.3), roughness=0.4, metallic=0.5)
    _lamps(studio)


@fixture("principled", GLOSSY, variants=["dielectric", "metal", "smooth metal"], samples=48)
def one_color_sky(studio: Studio, variant: str) -> None:
    rough = 0.2 if variant == "smooth metal" else 0.5
    _ball(studio, base_color=(0.8, 0.5, 0.3), roughness=rough, metallic=float("metal" in variant))
    studio.background((0.8, 0.9, 1.0), 0.8)


@fixture("principled", GLOSSY, variants=["dielectric", "metal", "smooth metal"], samples=48)
def image_sky(studio: Studio, variant: str) -> None:
    rough = 0.15 if variant == "smooth metal" else 0.45
    _ball(studio, base_color=(0.8, 0.5, 0.3), roughness=rough, metallic=float("metal" in variant))
    use_image(studio, 10)


@fixture("principled", GLOSSY, samples=32)
def emission(studio: Studio) -> None:
    _ball(studio, base_color=(0.2, 0.2, 0.2), emission_color=(0.1, 0.5, 0.9), emission_strength=0.6)
    _lamps(studio)


@fixture("principled", GLOSSY, variants=["metallic", "roughness", "emission", "packed in one"], samples=32, supersample=3)
def image_for(studio: Studio, variant: str) -> None:
    material = studio.principled(base_color=(0.8, 0.5, 0.3), roughness=0.4, emission_strength=0.7 * (variant == "emission"))
    studio.ball(material, segments=64, rings=32).scale = (1.7, 1.7, 1.7)
    picture = write_image("Map", 0.25 + 0.6 * np.random.default_rng(3).random((8, 16, 3)))
    if variant == "packed in one":
        picture.colorspace_settings.name = "Non-Color"
        node = studio.image_node(material, picture, "Roughness")
        split = material.node_tree.nodes.new("ShaderNodeSeparateColor")
        links, shader = material.node_tree.links, studio.shader(material)
        links.new(node.outputs["Color"], split.inputs["Color"])
        links.new(split.outputs["Green"], shader.inputs["Roughness"])
        links.new(split.outputs["Blue"], shader.inputs["Metallic"])
    else:
        if variant != "emission":
            picture.colorspace_settings.name = "Non-Color"
        studio.image_node(material, picture, {"emission": "Emission Color"}.get(variant, variant.title()))
    _lamps(studio)


_BENT = ["ball", "weak", "mirrored", "mirrored on the UV map", "mirrored by a parent"]


@fixture("principled", GLOSSY, variants=_BENT, samples=32, supersample=3)
def normal_image(studio: Studio, variant: str) -> None:
    material = studio.principled(base_color=(0.5, 0.5, 0.6), roughness=0.5)
    ball = studio.ball(material, segments=64, rings=32)
    ball.scale = (-1.7, 1.7, 1.7) if variant == "mirrored" else (1.7, 1.7, 1.7)
    if variant == "mirrored on the UV map":  # both halves show the same half of the image
        layer = ball.data.uv_layers[0]
        layer.data.foreach_set("uv", [c for loop in layer.data for c in (abs(2 * loop.uv[0] - 1), loop.uv[1])])
    elif variant == "mirrored by a parent":
        ball.parent = studio.link(studio.new_empty("Rig"))
        ball.parent.scale, ball.parent.rotation_euler, ball.rotation_euler = (1, -1, 1), (0.3, 0.2, 0.5), (0.4, 0, 0.7)
    slope = np.random.default_rng(5).normal(0, 0.35, (12, 24, 2))
    bent = np.concatenate([slope, np.ones((12, 24, 1))], -1)
    encoded = 0.5 + 0.5 * bent / np.linalg.norm(bent, axis=-1, keepdims=True)
    picture = write_image("Bumps", np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4))
    picture.colorspace_settings.name = "Non-Color"
    node = studio.image_node(material, picture, "Roughness")
    tree = material.node_tree
    tree.links.remove(node.outputs["Color"].links[0])
    bend = tree.nodes.new("ShaderNodeNormalMap")
    bend.inputs["Strength"].default_value = 0.4 if variant == "weak" else 1.0
    tree.links.new(node.outputs["Color"], bend.inputs["Color"])
    tree.links.new(bend.outputs["Normal"], studio.shader(material).inputs["Normal"])
    _lamps(studio)


@fixture("principled", GLOSSY, samples=48)
def glossy_ground_in_shadow(studio: Studio) -> None:
    ball = studio.ball(studio.principled(base_color=(0.7, 0.3, 0.2), roughness=0.3), segments=64, rings=32)
    ball.location, ball.scale = (0, 0, 0.8), (0.8, 0.8, 0.8)
    studio.plane(studio.principled(name="Floor", base_color=(0.3, 0.35, 0.4), roughness=0.4), half=3)
    studio.lamp("AREA", 150, eye=(1.6, 1.5, 2.6), size=1.0, use_shadow=True)
    studio.background((0.4, 0.6, 1.0), 0.2)
