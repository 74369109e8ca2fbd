"""Ten scenes that mix what the other fixtures show alone."""

import math

import bpy
import numpy as np

from .fixture import MIXED, fixture
from .skies import use_image
from .studio import Studio


def _ground(studio: Studio, **values: object) -> bpy.types.Object:
    material = studio.principled(name="Ground", roughness=0.6, **({"base_color": (0.5, 0.45, 0.4)} | values))
    return studio.plane(material, half=3.5)


def _painted(studio: Studio, name: str = "Painted", **placement: str) -> bpy.types.Material:
    material = studio.principled(name=name, roughness=0.45)
    studio.image_node(material, studio.picture((24, 16), name), "Base Color", **placement)
    return material


@fixture("mixed", MIXED, samples=48)
def painted_ball_on_a_glossy_floor(studio: Studio) -> None:
    ball = studio.ball(_painted(studio), segments=64, rings=32)
    ball.location = (0, 0, 1)
    _ground(studio, metallic=0.3)
    studio.lamp("AREA", 200, eye=(2.5, -1.5, 3.5), size=1.0, use_shadow=True)
    studio.background((0.5, 0.7, 1.0), 0.2)


@fixture("mixed", MIXED, samples=48)
def metal_and_chalk_under_an_image_sky(studio: Studio) -> None:
    metal = studio.ball(studio.principled(base_color=(0.9, 0.7, 0.4), metallic=1.0, roughness=0.3), segments=64, rings=32)
    metal.location, metal.scale = (-0.9, 0, 0.8), (0.8, 0.8, 0.8)
    chalk = studio.box(studio.diffuse((0.8, 0.8, 0.75)), name="Chalk")
    chalk.location, chalk.scale, chalk.rotation_euler = (1.0, 0.3, 0.6), (0.6, 0.6, 0.6), (0, 0, 0.5)
    _ground(studio)
    use_image(studio, 60, (0, 0, 0.7))


@fixture("mixed", MIXED, samples=48)
def beveled_box_with_three_lamps(studio: Studio) -> None:
    box = studio.box(studio.principled(base_color=(0.2, 0.4, 0.7), roughness=0.35))
    box.data.polygons.foreach_set("use_smooth", np.ones(6, bool))
    made = box.modifiers.new("Bevel", "BEVEL")
    made.width, made.segments, made.harden_normals = 0.25, 4, True
    box.location, box.rotation_euler, box.scale = (0, 0, 1.0), (0, 0, 0.6), (0.9, 0.9, 0.9)
    _ground(studio)
    studio.lamp("SPOT", 700, eye=(2.5, -2, 4), use_shadow=True, spot_size=0.8, spot_blend=0.4, shadow_soft_size=0.2)
    studio.lamp("POINT", 60, eye=(-2, -2, 2), use_shadow=True, shadow_soft_size=0.3, color=(0.4, 0.6, 1.0))
    studio.lamp("SUN", 0.6, eye=(0, 2, 3), use_shadow=True, angle=0.1)


@fixture("mixed", MIXED, samples=48, supersample=4)
def checkered_floor_and_mirrored_twins(studio: Studio) -> None:
    ground = _ground(studio)
    node = studio.image_node(ground.data.materials[0], studio.picture((8, 8)), "Base Color", interpolation="Closest")
    tree = ground.data.materials[0].node_tree
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (2, 2, 1)
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], node.inputs["Vector"])
    box = studio.box(studio.diffuse((0.7, 0.3, 0.2)))
    box.location, box.scale, box.rotation_euler = (-1.1, 0, 0.6), (0.5, 0.4, 0.6), (0, 0, 0.4)
    twin = studio.add(bpy.data.objects.new("Twin", box.data))
    twin.location, twin.scale, twin.rotation_euler = (1.1, 0, 0.6), (-0.5, 0.4, 0.6), (0, 0, -0.4)
    studio.lamp("SUN", 2.5, use_shadow=True, angle=0.15)
    studio.background((0.6, 0.8, 1.0), 0.3)


@fixture("mixed", MIXED, samples=48)
def stained_bust_in_portrait(studio: Studio) -> None:
    studio.scene.render.resolution_x, studio.scene.render.resolution_y = 120, 160
    material = studio.principled(roughness=0.55)
    ball = studio.ball(material)
    layer = ball.data.color_attributes.new("Stains", "FLOAT_COLOR", "POINT")
    layer.data.foreach_set("color", (0.3 + 0.5 * np.random.default_rng(4).random((len(layer.data), 4), np.float32)).ravel())
    node = material.node_tree.nodes.new("ShaderNodeVertexColor")
    material.node_tree.links.new(node.outputs["Color"], studio.shader(material).inputs["Base Color"])
    ball.scale, ball.rotation_euler, ball.location = (1.0, 0.9, 1.4), (0.1, 0.2, 0.3), (0, 0, 1.2)
    _ground(studio)
    studio.aim((1.5, -7, 3), (0, 0, 1), roll=0.1)
    studio.camera.data.lens = 45
    studio.lamp("AREA", 250, eye=(-2.5, -2, 4), use_shadow=True, shape="DISK", size=1.5)
    studio.background((0.3, 0.3, 0.35), 0.5)


@fixture("mixed", MIXED, samples=48)
def orthographic_still_life(studio: Studio) -> None:
    data = studio.camera.data
    data.type, data.ortho_scale, data.shift_x = "ORTHO", 6.0, 0.05
    ball = studio.ball(studio.principled(base_color=(0.7, 0.2, 0.3), roughness=0.25), segments=64, rings=32)
    ball.location, ball.scale = (-0.8, -0.3, 0.7), (0.7, 0.7, 0.7)
    box = studio.box(_painted(studio))
    studio.uv_map(box, np.random.default_rng(1).random((24, 2)))
    box.location, box.scale, box.rotation_euler = (0.9, 0.4, 0.7), (0.6, 0.6, 0.7), (0, 0, 0.8)
    _ground(studio)
    studio.lamp("AREA", 250, eye=(2, -3, 4), use_shadow=True, shape="RECTANGLE", size=2.0, size_y=0.6)
    studio.background((0.5, 0.6, 0.8), 0.3)


@fixture("mixed", MIXED, samples=48)
def glowing_lamp_in_a_corner(studio: Studio) -> None:
    matte = studio.diffuse((0.7, 0.65, 0.6))
    _ground(studio)
    wall = studio.plane(matte, half=3.5, name="Wall")
    wall.location, wall.rotation_euler = (0, 2, 1.5), (math.pi / 2, 0, 0)
    glow = studio.ball(studio.principled(name="Glow", base_color=(0, 0, 0), emission_color=(1.0, 0.6, 0.2), emission_strength=0.8))
    glow.location, glow.scale, glow.visible_shadow, glow.visible_diffuse = (0, 0.5, 1.5), (0.4, 0.4, 0.4), False, False
    glow.visible_glossy = False
    studio.lamp("POINT", 90, eye=(0, 0.5, 1.5), use_shadow=True, shadow_soft_size=0.4, color=(1.0, 0.6, 0.2))
    box = studio.box(matte)
    box.location, box.scale = (-1.2, 0, 0.5), (0.4, 0.4, 0.5)


@fixture("mixed", MIXED, samples=48)
def worn_metal_with_maps(studio: Studio) -> None:
    material = _painted(studio)
    rough = studio.picture((16, 8), "Wear")
    rough.colorspace_settings.name = "Non-Color"
    studio.image_node(material, rough, "Roughness")
    studio.shader(material).inputs["Metallic"].default_value = 0.8
    ball = studio.ball(material, segments=64, rings=32)
    ball.location, ball.scale = (0, 0, 1.2), (1.2, 1.2, 1.2)
    _ground(studio)
    studio.lamp("AREA", 250, eye=(3, -2, 3.5), use_shadow=True, size=1.5)
    use_image(studio, 0)


@fixture("mixed", MIXED, samples=48)
def many_small_objects(studio: Studio) -> None:
    rng = np.random.default_rng(8)
    paints = [studio.principled(name=f"Paint {i}", base_color=tuple(rng.random(3)), roughness=0.3 + 0.1 * i) for i in range(4)]
    ball = studio.ball(paints[0])
    ball.location, ball.scale = (0, 0, 0.3), (0.3, 0.3, 0.3)
    for index in range(11):
        twin = studio.add(bpy.data.objects.new(f"Pebble {index}", ball.data))
        twin.material_slots[0].link = "OBJECT"
        twin.material_slots[0].material = paints[index % 4]
        size = 0.2 + 0.25 * rng.random()
        twin.location, twin.scale = (*(4 * rng.random(2) - 2), size), (size, size * 0.8, size)
    _ground(studio)
    studio.lamp("SUN", 2, use_shadow=True, angle=0.1)
    studio.background((0.6, 0.7, 0.9), 0.5)


@fixture("mixed", MIXED, samples=48)
def sharp_edges_and_custom_normals_under_a_world(studio: Studio) -> None:
    ball = studio.ball(studio.principled(base_color=(0.3, 0.6, 0.4), roughness=0.5), segments=16, rings=8)
    for edge in ball.data.edges:
        edge.use_edge_sharp = abs(sum(ball.data.vertices[v].co.z for v in edge.vertices)) < 0.05
    ball.location, ball.scale = (-1.0, 0, 0.9), (0.9, 0.9, 0.9)
    bent = studio.ball(studio.diffuse(), segments=16, rings=8, name="Bent")
    normals = np.array([n.vector for n in bent.data.corner_normals]) + np.random.default_rng(3).normal(0, 0.1, (len(bent.data.loops), 3))
    bent.data.normals_split_custom_set((normals / np.linalg.norm(normals, axis=1, keepdims=True)).tolist())
    bent.location, bent.scale, bent.visible_shadow = (1.0, 0, 0.9), (0.9, 0.9, 0.9), False
    bent.visible_diffuse = bent.visible_glossy = False
    _ground(studio)
    studio.lamp("AREA", 200, eye=(0, -3, 4), use_shadow=True, size=1.0)
    studio.background((0.6, 0.7, 0.9), 0.2)
