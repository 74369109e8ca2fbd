"""Alpha of materials: what is read from nodes and written into them."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange.alpha import find_alpha, write_alpha
from blender_addon.exchange.images import to_linear
from blender_addon.exchange.materials import find_shader, read_material
from dr_backend.scene import Material

VALUES = np.random.default_rng(5).random((6, 4, 1), np.float32)


@pytest.fixture
def material(build):
    return build.mesh().data.materials[0]


def shader_of(material):
    return material.node_tree.nodes["Principled BSDF"]


def alpha_image(material, mode="STRAIGHT", node=None):
    """An Image Texture node whose alpha is ``VALUES`` to 8 bits."""
    image = bpy.data.images.new("Cutout", 4, 6, alpha=True)
    rgba = np.concatenate([np.full((6, 4, 3), 0.5, np.float32), VALUES[::-1]], -1)
    image.pixels.foreach_set(rgba.ravel())
    image.alpha_mode = mode
    node = node or material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    return node


def math(material, origin, operation, constant, *, constant_first=False):
    node = material.node_tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    node.inputs[0 if constant_first else 1].default_value = constant
    material.node_tree.links.new(origin, node.inputs[1 if constant_first else 0])
    return node.outputs[0]


def into_alpha(material, origin):
    material.node_tree.links.new(origin, shader_of(material).inputs["Alpha"])


def coverage(read, values=VALUES):
    """What the material hides where its image, or another in its place, has these values of x."""
    image = np.asarray(read.alpha_image)
    return image if read.alpha_threshold is None else (image > read.alpha_threshold).astype(float)


def test_an_opaque_material_has_none(material):
    read, warnings = read_material(material)
    assert (read.alpha, read.alpha_image, warnings) == (None, None, [])


def test_a_constant(material):
    shader_of(material).inputs["Alpha"].default_value = 0.25
    assert read_material(material)[0].alpha == np.float32(0.25)
    value = material.node_tree.nodes.new("ShaderNodeValue")
    value.outputs[0].default_value = 0.75
    into_alpha(material, math(material, value.outputs[0], "SUBTRACT", 1.0, constant_first=True))
    assert read_material(material)[0].alpha == np.float32(0.25)


CHAINS = {
    "itself": ([], lambda x: x),
    "one minus": ([("SUBTRACT", 1.0, True)], lambda x: 1 - x),
    "twice": ([("SUBTRACT", 1.0, True), ("SUBTRACT", 1.0, True)], lambda x: x),
    "greater": ([("GREATER_THAN", 0.3, False)], lambda x: x > 0.3),
    "a number greater": ([("GREATER_THAN", 0.3, True)], lambda x: x < 0.3),
    "less": ([("LESS_THAN", 0.3, False)], lambda x: x < 0.3),
    "a number less": ([("LESS_THAN", 0.3, True)], lambda x: x > 0.3),
    "one minus less": ([("LESS_THAN", 0.3, False), ("SUBTRACT", 1.0, True)], lambda x: x >= 0.3),
    "one minus, greater": ([("SUBTRACT", 1.0, True), ("GREATER_THAN", 0.3, False)], lambda x: 1 - x > 0.3),
    "one minus, less, one minus": (
        [("SUBTRACT", 1.0, True), ("LESS_THAN", 0.3, False), ("SUBTRACT", 1.0, True)], lambda x: 1 - x >= 0.3,
    ),
    "rounded": ([("ROUND", 0.9, False)], lambda x: x > 0.5),
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("mixed", ["", "clear first", "clear second"])
def test_what_math_nodes_make_of_an_image(material, chain, mixed):
    steps, expected = CHAINS[chain]
    origin = alpha_image(material).outputs["Alpha"]
    for operation, constant, first in steps:
        origin = math(material, origin, operation, constant, constant_first=first)
    if mixed:
        tree = material.node_tree
        mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
        places = (clear, shader_of(material)) if mixed == "clear first" else (shader_of(material), clear)
        for socket, node in zip(mix.inputs[1:], places, strict=True):
            tree.links.new(node.outputs[0], socket)
        tree.links.new(mix.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
        tree.links.new(origin, mix.inputs[0])
    else:
        into_alpha(material, origin)
    read, warnings = read_material(material)
    assert warnings == []
    wanted = expected(np.round(VALUES * 255) / 255).astype(float)
    np.testing.assert_allclose(coverage(read), 1 - wanted if mixed == "clear second" else wanted, atol=1e-6)

    other = np.random.default_rng(6).random((3, 5, 1), np.float32)
    found = find_alpha(material, find_shader(material))
    write_alpha(material, found, Material(np.ones(3), alpha_image=other, placements={"alpha": {"extension": "mirror"}}), "alpha_image")
    again = read_material(material)[0]
    np.testing.assert_allclose(again.alpha_image, other, atol=1e-6)
    assert again.placements["alpha"]["extension"] == "mirror"
    assert again.alpha_threshold == read.alpha_threshold


def test_colours_count_by_the_alpha_of_their_own_image(material):
    node = alpha_image(material)
    material.node_tree.links.new(node.outputs["Color"], shader_of(material).inputs["Base Color"])
    unused = read_material(material, painted=False)[0]
    assert unused.base_color_weights is None
    stored = 0.5 * np.round(VALUES * 255) / 255  # Cycles multiplies what is stored
    np.testing.assert_allclose(unused.base_color_image[..., :1], to_linear(stored), atol=3e-3)
    into_alpha(material, node.outputs["Alpha"])
    used = read_material(material, painted=False)[0]
    np.testing.assert_allclose(used.base_color_weights, VALUES, atol=0.5 / 255 + 1e-6)
    assert np.ptp(used.base_color_image) < 1e-6
    assert read_material(material, painted=True)[0].base_color_weights is None
    node.image.alpha_mode = "NONE"
    assert (read_material(material, painted=False)[0].alpha_image == 1).all()
    node.image.alpha_mode = "CHANNEL_PACKED"
    assert read_material(material, painted=False)[0].base_color_weights is None


def test_what_is_not_carried_is_said(material):
    noise = material.node_tree.nodes.new("ShaderNodeTexNoise")
    into_alpha(material, noise.outputs[0])
    read, warnings = read_material(material)
    assert read.alpha is None
    assert "Alpha of material 'Paint' comes from a Noise Texture node" in warnings[0]
    baked, warnings = read_material(material, bake=lambda socket, around: np.full((2, 2, 3), 0.3, np.float32))
    np.testing.assert_allclose(baked.alpha_image, 0.3, atol=1e-6)
    assert "feeding Alpha of material 'Paint' is baked" in warnings[0]


def test_the_viewports_blend_mode_changes_nothing(material):
    into_alpha(material, alpha_image(material).outputs["Alpha"])
    before = read_material(material)[0]
    for name, value in (("blend_method", "CLIP"), ("alpha_threshold", 0.9), ("surface_render_method", "BLENDED")):
        if hasattr(material, name):
            setattr(material, name, value)
    after = read_material(material)[0]
    assert after.alpha_threshold is None
    np.testing.assert_array_equal(after.alpha_image, before.alpha_image)
