"""Our light against Blender's: the same plane and lamps rendered by Cycles."""

import numpy as np
import pytest

from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Camera, Light, World
from tests.shapes import flat

bpy = pytest.importorskip("bpy", reason="Blender's Python module is not installed")

SIZE, COLOR, ALBEDO = 32, (1.0, 0.9, 0.7), (0.8, 0.5, 0.2)
CORNERS = [(-2.0, -2.0, 0.0), (2.0, -2.0, 0.0), (2.0, 2.0, 0.0), (-2.0, 2.0, 0.0)]


@pytest.fixture
def blender_scene():
    """A diffuse square seen from 5 above it, direct light only."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.max_bounces = "CPU", 32, 0
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.view_settings.view_transform = "Raw"
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
    mesh = bpy.data.meshes.new("Square")
    mesh.from_pydata(CORNERS, [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("Paint")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    diffuse, output = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeOutputMaterial")
    diffuse.inputs["Color"].default_value = (*ALBEDO, 1.0)
    material.node_tree.links.new(diffuse.outputs[0], output.inputs[0])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("Square", mesh))
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 5)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def cycles(scene, folder) -> np.ndarray:
    """Linear pixels (H, W, 3), top row first."""
    scene.render.filepath = str(folder / "render.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    image.colorspace_settings.name = "Non-Color"
    return np.array(image.pixels[:]).reshape(SIZE, SIZE, 4)[::-1, :, :3]


def ours(lights: dict[str, Light], world: World | None) -> np.ndarray:
    matrix = np.eye(4)
    matrix[2, 3] = -5
    view = Camera(matrix, np.full(2, SIZE * 50 / 36), np.full(2, SIZE / 2), (SIZE, SIZE))
    scene = flat(np.array(CORNERS), np.array([[0, 1, 2], [0, 2, 3]]), lights=lights, world=world)
    return ReferenceRenderer().render(scene, [view])[0].rgb.numpy()


@pytest.mark.parametrize(("kind", "power"), [("POINT", 100.0), ("SPOT", 100.0), ("SUN", 2.0), ("AREA", 50.0)])
def test_lamps_agree_with_cycles(blender_scene, tmp_path, kind, power):
    data = bpy.data.lights.new("Lamp", kind)
    data.energy, data.color = power, COLOR
    if kind == "AREA":
        data.size = 0.1
    elif kind == "SUN":
        data.angle = 0.0
    else:
        data.shadow_soft_size = 0.0
    if kind == "SPOT":
        data.spot_size, data.spot_blend = 0.8, 0.3
    lamp = bpy.data.objects.new("Lamp", data)
    lamp.location, lamp.rotation_euler = (0.5, 0.3, 2.0), (0.2, 0.15, 0.4)
    blender_scene.collection.objects.link(lamp)
    bpy.context.view_layer.update()
    matrix = np.array(lamp.matrix_world)
    light = Light(matrix, np.array(COLOR), np.array(power), kind=kind.lower(), spot_angle_rad=0.8, spot_blend=0.3)
    theirs, found = cycles(blender_scene, tmp_path), ours({"lamp": light}, None)
    assert found.sum() == pytest.approx(theirs.sum(), rel=0.01)
    if kind != "SPOT":  # pixels on the rim of its cone see it change within them
        assert np.allclose(found, theirs, rtol=0.01, atol=0.003)


def test_uniform_world_agrees_with_cycles(blender_scene, tmp_path):
    background = blender_scene.world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value, background.inputs["Strength"].default_value = (0.2, 0.4, 0.6, 1.0), 1.5
    found = ours({}, World(np.array([0.3, 0.6, 0.9])))
    assert np.allclose(found, cycles(blender_scene, tmp_path), rtol=0.01)
