"""Lights and world, there and back."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem, read_scene
from blender_addon.exchange.images import write_float_image, write_image
from blender_addon.exchange.lights import read_light, write_light
from blender_addon.exchange.worlds import read_world, write_world
from dr_backend.scene import World
from dr_backend.scene.sphere import from_harmonics, pixel_directions, to_harmonics
from tests.blender.conftest import fingerprint


@pytest.mark.parametrize("kind", ["POINT", "SUN", "SPOT", "AREA"])
@pytest.mark.parametrize("warm", [False, True])
def test_lights_round_trip(build, kind, warm):
    obj = build.light("Lamp", kind)
    obj.data.energy, obj.data.color = 12.5, (1, 0.5, 0.25)
    obj.rotation_euler, obj.scale = (0.3, 0.4, 0.5), (2, 2, 2)
    if warm:
        if not hasattr(obj.data, "exposure"):
            pytest.skip("this Blender has no exposure on lights")
        obj.data.exposure, obj.data.use_temperature, obj.data.temperature = 2, True, 4000
    if kind == "SPOT":
        obj.data.spot_size, obj.data.spot_blend = 0.6, 0.3
    bpy.context.view_layer.update()
    light, warnings = read_light(obj)
    assert warnings == []
    assert (light.kind, light.power) == (kind.lower(), pytest.approx(50 if warm else 12.5))
    if not warm:
        assert light.color == pytest.approx((1, 0.5, 0.25))
    np.testing.assert_allclose(np.linalg.norm(light.world_from_light[:3, :3], axis=0), 1, rtol=1e-5)
    other = build.light("Other", kind)
    if warm:
        other.data.exposure, other.data.use_temperature, other.data.temperature = -1, True, 7000
    write_light(other, light)
    bpy.context.view_layer.update()
    again = read_light(other)[0]
    for leaf in ("world_from_light", "color", "power"):
        np.testing.assert_allclose(getattr(again, leaf), getattr(light, leaf), rtol=3e-7, atol=6e-7)  # float32, turns by Euler angles
    assert (again.spot_angle_rad, again.spot_blend) == pytest.approx((light.spot_angle_rad, light.spot_blend))


def make_world(color=(0.2, 0.4, 0.6), strength=1.5):
    world = bpy.data.worlds.new("Sky")
    if not world.use_nodes:
        world.use_nodes = True
    node = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (*color, 1), strength
    return world, node


def test_world_round_trips(build):
    world, _ = make_world()
    read, warnings = read_world(world)
    assert read.radiance == pytest.approx((0.3, 0.6, 0.9))
    assert warnings == []
    for strength in (0.5, 0):
        other, _ = make_world((1, 1, 1), strength)
        write_world(other, read)
        np.testing.assert_allclose(read_world(other)[0].radiance, read.radiance, rtol=2e-7)
    assert (read_world(None)[0].radiance == 0).all()


def lit_by_image(image, turn=None):
    world, node = make_world()
    tree = world.node_tree
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    if turn is not None:
        mapping = tree.nodes.new("ShaderNodeMapping")
        mapping.inputs["Rotation"].default_value = turn
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], mapping.inputs["Vector"])
        tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    return world, texture


def test_world_image_is_carried_with_its_rotation(build):
    image = np.zeros((64, 128, 3), np.float32)
    image[16:48] = 1  # the middle half of the rows sees sin(45°) of the sphere
    read, warnings = read_world(lit_by_image(write_image("Dome", image), (0.1, 0.2, 0.3))[0])
    assert read.radiance == pytest.approx([1.5 * np.sin(np.pi / 4)] * 3, rel=1e-3)
    np.testing.assert_array_equal(read.image, image)
    np.testing.assert_allclose(read.image_from_world @ read.image_from_world.T, np.eye(3), atol=1e-6)
    assert (read.strength, warnings) == (1.5, [])


@pytest.mark.parametrize("turn", [None, (0.1, 0.2, 0.3)])
@pytest.mark.parametrize("onto", ["color", "image"])
def test_world_image_round_trips_exactly(build, turn, onto):
    pixels = np.random.default_rng(0).random((16, 32, 3), np.float32) * 7
    source = lit_by_image(write_float_image("Sky", pixels), turn)[0]
    read = read_world(source)[0]
    np.testing.assert_array_equal(read.image, pixels)
    other = make_world()[0] if onto == "color" else lit_by_image(write_image("Old", pixels), (1, 0, 0))[0]
    write_world(other, read)
    again = read_world(other)[0]
    np.testing.assert_array_equal(again.image, pixels)
    assert again.strength == read.strength
    np.testing.assert_allclose(again.image_from_world, read.image_from_world, atol=2e-7)
    write_world(other, World(np.array([0.3, 0.6, 0.9])))
    assert read_world(other)[0].radiance == pytest.approx((0.3, 0.6, 0.9))
    assert read_world(other)[0].image is None


def test_harmonics_become_a_world_and_come_back(build):
    coefficients = np.random.default_rng(1).normal(0, 0.1, (9, 3)) + np.eye(9)[:, :1] * 3
    world = make_world()[0]
    write_world(world, World(np.zeros(3), harmonics=coefficients))
    read = read_world(world)[0]
    np.testing.assert_allclose(to_harmonics(read.image), coefficients, atol=2e-3)
    np.testing.assert_array_equal(from_harmonics(np.zeros((9, 3)), 4, 8), np.zeros((4, 8, 3)))


UPPER, LOWER = (0.2, 0.4, 0.9), (0.6, 0.5, 0.1)


def sky_of_nodes(kind):
    """A world that is one colour above and another below, by nodes that no fit knows; and its Background node."""
    world, node = make_world((0.3, 0.6, 0.9), 1.0)
    tree = world.node_tree
    part, mix = tree.nodes.new("ShaderNodeSeparateXYZ"), tree.nodes.new("ShaderNodeMixRGB")
    above = tree.nodes.new("ShaderNodeMath")
    above.operation = "GREATER_THAN"
    above.inputs[1].default_value = 0
    mix.inputs["Color1"].default_value, mix.inputs["Color2"].default_value = (*LOWER, 1), (*UPPER, 1)
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], part.inputs[0])
    tree.links.new(part.outputs["Z"], above.inputs[0])
    tree.links.new(above.outputs[0], mix.inputs["Fac"])
    tree.links.new(mix.outputs["Color"], node.inputs["Color"])
    if kind == "strength":
        tree.links.new(above.outputs[0], node.inputs["Strength"])
    elif kind == "mixed":
        both = tree.nodes.new("ShaderNodeMixShader")
        tree.links.new(node.outputs[0], both.inputs[2])
        both.inputs[0].default_value = 1.0
        tree.links.new(both.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    elif kind == "camera":
        tree.links.new(tree.nodes.new("ShaderNodeLightPath").outputs["Is Camera Ray"], mix.inputs["Fac"])
    return world, node


@pytest.mark.parametrize("kind", ["color", "strength", "mixed"])
def test_a_world_of_nodes_is_rendered_to_an_image(build, kind):
    world, _ = sky_of_nodes(kind)
    before = fingerprint(), [(n.name, len(n.inputs)) for n in world.node_tree.nodes]
    read, warnings = read_world(world)
    assert "is rendered to an image first" in warnings[0]
    np.testing.assert_allclose(read.image[:250].mean((0, 1), np.float64), UPPER, rtol=1e-3)
    np.testing.assert_allclose(read.image[-250:].mean((0, 1), np.float64), np.multiply(LOWER, kind != "strength"), rtol=1e-3)
    assert read.radiance == pytest.approx((np.add(UPPER, LOWER) / 2 if kind != "strength" else np.divide(UPPER, 2)), rel=0.01)
    assert (fingerprint(), [(n.name, len(n.inputs)) for n in world.node_tree.nodes]) == before


def test_east_of_a_rendered_world_is_east(build):
    world, texture = lit_by_image(write_float_image("Sky", pixel_directions(64, 128).astype(np.float32) * 0.5 + 0.5))
    texture.projection = "EQUIRECTANGULAR"
    plain, _ = read_world(world)
    curve = world.node_tree.nodes.new("ShaderNodeRGBCurve")
    world.node_tree.links.new(texture.outputs["Color"], curve.inputs["Color"])
    node = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    world.node_tree.links.new(curve.outputs["Color"], node.inputs["Color"])
    rendered, warnings = read_world(world)
    assert "RGB Curves" in warnings[0]
    small = rendered.image.reshape(64, 8, 128, 8, 3).mean((1, 3)) * rendered.strength
    np.testing.assert_allclose(small[1:-1], (plain.image * plain.strength)[1:-1], atol=0.02)  # Cycles mixes top and bottom row at the poles


def test_a_world_that_cameras_see_otherwise_keeps_its_own_color(build):
    world, _ = sky_of_nodes("camera")
    read, warnings = read_world(world)
    assert read.image is None
    assert read.radiance == pytest.approx((0.3, 0.6, 0.9))
    assert "does not see; its Background's own values" in warnings[0]


def test_an_image_placed_otherwise_is_rendered_as_it_lies(build):
    world, texture = lit_by_image(write_image("Dome", np.full((4, 8, 3), 0.5)), (0.1, 0.2, 0.3))
    texture.inputs["Vector"].links[0].from_node.inputs["Scale"].default_value = (1, 2, 1)
    read, warnings = read_world(world)
    assert read.radiance == pytest.approx([0.75] * 3, rel=0.01)
    assert "placed by more than a rotation" in warnings[0]


SIZES = {
    "POINT": {"shadow_soft_size": 0.7},
    "SPOT": {"shadow_soft_size": 0.2, "use_soft_falloff": False},
    "SUN": {"angle": 0.3},
    "SQUARE": {"size": 0.5, "spread": 1.0},
    "RECTANGLE": {"size": 0.5, "size_y": 1.5},
    "DISK": {"size": 0.6},
    "ELLIPSE": {"size": 0.6, "size_y": 0.2},
}


@pytest.mark.parametrize("shape", list(SIZES))
def test_sizes_and_shapes_round_trip(build, shape):
    kind = shape if shape in ("POINT", "SPOT", "SUN") else "AREA"
    obj = build.light("Lamp", kind)
    for name, value in (({"shape": shape} if kind == "AREA" else {}) | SIZES[shape]).items():
        setattr(obj.data, name, value)
    obj.scale, obj.data.use_shadow = (2, 3, 1) if kind == "AREA" else (1, 1, 1), False
    bpy.context.view_layer.update()
    light, warnings = read_light(obj)
    assert warnings == []
    if kind == "AREA":
        height = SIZES[shape].get("size_y", SIZES[shape]["size"])
        assert light.size == pytest.approx((2 * SIZES[shape]["size"], 3 * height))
    other = build.light("Other", kind)
    write_light(other, light)
    bpy.context.view_layer.update()
    again = read_light(other)[0]
    for leaf in ("radius", "size", "angle_rad"):
        value = getattr(light, leaf)
        assert value is None or getattr(again, leaf) == pytest.approx(value, rel=2e-7)
    for setting in ("shape", "spread_rad", "soft_falloff", "casts_shadow"):
        assert getattr(again, setting) == getattr(light, setting)


def test_without_lights_the_scene_is_unlit(build):
    build.scene.world = make_world()[0]
    mesh, camera, lamp = build.mesh(), build.camera(), build.light()
    unlit = read_scene(build.scene, [mesh], [camera], [], texture=False).scene
    assert unlit.unlit
    assert unlit.world is None
    lit = read_scene(build.scene, [mesh], [camera], [lamp], texture=False).scene
    assert list(lit.lights) == ["Lamp"]
    assert isinstance(lit.world, World)


def test_not_a_light(build):
    with pytest.raises(SceneProblem, match="'Cube' is not a light"):
        read_light(build.mesh())


def test_the_emission_node_of_a_lamp_counts_and_others_are_warned_of(build):
    obj = build.light()
    if not obj.data.use_nodes:
        obj.data.use_nodes = True
    obj.data.energy, obj.data.color = 10, (1, 0.5, 0.25)
    tree = obj.data.node_tree
    emission = next(n for n in tree.nodes if n.type == "EMISSION")
    emission.inputs["Color"].default_value, emission.inputs["Strength"].default_value = (0.5, 1, 1, 1), 3
    light, warnings = read_light(obj)
    assert (light.color, warnings) == (pytest.approx((1.5, 1.5, 0.75)), [])
    write_light(obj, light)
    assert tuple(obj.data.color) == pytest.approx((1, 0.5, 0.25))
    falloff = tree.nodes.new("ShaderNodeLightFalloff")
    tree.links.new(falloff.outputs["Linear"], emission.inputs["Strength"])
    light, warnings = read_light(obj)
    assert light.color == pytest.approx((1, 0.5, 0.25))
    assert warnings == ["The nodes of light 'Lamp' are not carried, only its colour and power"]


def test_what_hides_objects_and_light_in_the_artists_renders_is_warned_of(build):
    mesh, camera, lamp = build.mesh(), build.camera(), build.light()
    assert read_scene(build.scene, [mesh], [camera], [lamp], texture=False).warnings == []
    mesh.visible_camera, mesh.is_holdout = False, True
    lamp.light_linking.receiver_collection = bpy.data.collections.new("Stage")
    warnings = read_scene(build.scene, [mesh], [camera], [lamp], texture=False).warnings
    assert any("'Cube'" in w and "Camera" in w and "Holdout" in w for w in warnings)
    assert any("Light linking of 'Lamp'" in w for w in warnings)


def test_light_that_cycles_gives_otherwise_is_warned_of(build):
    camera, lamp, panel = build.camera(), build.light("Window", "AREA"), build.mesh("Panel", material="Glow")
    floor = build.mesh("Floor", material="Paint")
    shader = panel.data.materials[0].node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Color"].default_value, shader.inputs["Emission Strength"].default_value = (1, 1, 1, 1), 3

    def said(*meshes):
        return " ".join(read_scene(build.scene, meshes, [camera], [lamp], texture=False, geometry=False).warnings)

    assert said(panel) == ""
    assert said(panel, floor) == "The light that 'Panel' gives to other meshes is not carried: put a lamp there instead"
    panel.visible_diffuse = False
    assert said(panel, floor) == ""
    lamp.data.cycles.is_portal, lamp.visible_glossy = True, False
    assert "'Window' is a portal" in said(floor)
    assert "Ray Visibility of 'Window'" in said(floor)
