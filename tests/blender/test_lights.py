"""Lights and world, there and back."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem, read_scene
from blender_addon.exchange.images import write_image
from blender_addon.exchange.lights import read_light, read_world, write_light, write_world
from dr_backend.scene import World


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
        np.testing.assert_allclose(getattr(again, leaf), getattr(light, leaf), rtol=1e-5, atol=1e-6)
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
        assert read_world(other)[0].radiance == pytest.approx((0.3, 0.6, 0.9))
    assert (read_world(None)[0].radiance == 0).all()


def test_world_lit_by_an_image_is_averaged_over_the_sphere(build):
    world, node = make_world()
    image = np.zeros((64, 128, 3), np.float32)
    image[16:48] = 1  # the middle half of the rows sees sin(45°) of the sphere
    texture = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = write_image("Dome", image)
    world.node_tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    read, warnings = read_world(world)
    assert read.radiance == pytest.approx([1.5 * np.sin(np.pi / 4)] * 3, rel=1e-3)
    assert "'Sky' is lit by an image" in warnings[0]


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
