"""After a fit: how strongly it shows, keep, revert, report."""

import json
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.exchange.images import write_image  # noqa: E402
from blender_addon.exchange.materials import find_shader, write_material  # noqa: E402
from blender_addon.exchange.sources import read_source  # noqa: E402
from blender_addon.figures import parse_report, report_text, worst_first  # noqa: E402
from tests.blender.operators.conftest import fingerprint, heights, lifted  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")

RED = np.full((4, 4, 3), (1.0, 0.0, 0.0), np.float32)


def _rises(by: float) -> bool:
    return bool(np.allclose(np.sort(heights()), [-1 + by] * 4 + [1 + by] * 4, atol=1e-5))


def _painted() -> bpy.types.Material:
    """A green material on the cube, painted red by a fit."""
    material = bpy.data.materials.new("Paint")
    if not material.use_nodes:
        material.use_nodes = True
    bpy.data.objects["Cube"].data.materials.append(material)
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0, 1, 0, 1)
    write_material(material, RED)
    return material


def _seen(material: bpy.types.Material) -> np.ndarray:
    """The base colour of the material as Cycles sees it on a plane."""
    scene, copy = bpy.data.scenes.new("Look"), material.copy()
    tree = copy.node_tree
    base, glow = tree.nodes["Principled BSDF"].inputs["Base Color"], tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Color"].default_value = base.default_value
    if base.links:
        tree.links.new(base.links[0].from_socket, glow.inputs["Color"])
    tree.links.new(glow.outputs["Emission"], tree.nodes["Material Output"].inputs["Surface"])
    mesh = bpy.data.meshes.new("Plane")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new()
    mesh.materials.append(copy)
    scene.camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.camera.location.z = 1
    for obj in (bpy.data.objects.new("Plane", mesh), scene.camera):
        scene.collection.objects.link(obj)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x = scene.render.resolution_y = 4
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.filepath = bpy.app.tempdir + "look.exr"
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(4, 4, 4)
    bpy.data.images.remove(image)
    bpy.data.batch_remove((scene, copy))
    return pixels[..., :3].mean((0, 1))


def test_strength_moves_every_fitted_mesh(scene):
    bpy.ops.fit_to_photo.run()
    assert scene.fit_to_photo.strength == 1
    for strength in (0.0, 0.25, 1.0):
        scene.fit_to_photo.strength = strength
        assert _rises(strength)


def test_show_before_and_back_loses_nothing(scene):
    before = sorted(heights())
    bpy.ops.fit_to_photo.run()
    material = _painted()
    scene.fit_to_photo.strength, scene.fit_to_photo.texture_mix = 0.75, 0.5
    scene.fit_to_photo.show_before = True
    assert scene.fit_to_photo.show_before
    assert np.allclose(sorted(heights()), before)
    assert np.allclose(_seen(material), (0, 1, 0), atol=0.02)
    with pytest.raises(RuntimeError, match="turn off Show Before"):
        bpy.ops.fit_to_photo.keep()
    scene.fit_to_photo.show_before = False
    assert _rises(0.75)
    assert (scene.fit_to_photo.strength, scene.fit_to_photo.texture_mix) == (0.75, 0.5)
    assert np.allclose(_seen(material), (0.5, 0.5, 0), atol=0.02)


def test_texture_mix_is_linear_and_leaves_no_node_at_one(scene):
    material = _painted()
    nodes = sorted(node.name for node in material.node_tree.nodes)
    for share in (0.25, 0.0, 1.0):
        scene.fit_to_photo.texture_mix = share
        assert scene.fit_to_photo.texture_mix == pytest.approx(share)
        assert np.allclose(_seen(material), (share, 1 - share, 0), atol=0.02)
    assert sorted(node.name for node in material.node_tree.nodes) == nodes


def test_a_mix_over_the_artists_image_and_revert_from_it(scene):
    material = _painted()
    bpy.ops.fit_to_photo.revert()
    blue = write_image("Blue", np.full((4, 4, 3), (0.0, 0.0, 1.0), np.float32))
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = blue
    socket = material.node_tree.nodes["Principled BSDF"].inputs["Base Color"]
    material.node_tree.links.new(node.outputs["Color"], socket)
    names = sorted(n.name for n in material.node_tree.nodes)
    write_material(material, RED)
    scene.fit_to_photo.texture_mix = 0.5
    assert np.allclose(_seen(material), (0.5, 0, 0.5), atol=0.02)
    assert read_source(socket).image.name.startswith("Fit to Photo"), "the next fit starts from the painted image"
    scene.fit_to_photo.show_before = True
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert sorted(n.name for n in material.node_tree.nodes) == names
    assert socket.links[0].from_node == node


def test_a_fit_again_over_a_mix_ends_whole(scene):
    material = _painted()
    scene.fit_to_photo.texture_mix = 0.5
    scene.fit_to_photo.show_before = True
    write_material(material, RED * 0.5)
    assert scene.fit_to_photo.texture_mix == 1
    assert not scene.fit_to_photo.show_before
    assert np.allclose(_seen(material), (0.5, 0, 0), atol=0.02)
    bpy.ops.fit_to_photo.revert()
    assert not find_shader(material)[0].inputs["Base Color"].is_linked


def test_keep_makes_the_shape_the_meshs_own(scene):
    bpy.ops.fit_to_photo.run()
    scene.fit_to_photo.strength = 0.5
    assert bpy.ops.fit_to_photo.keep() == {"FINISHED"}
    mesh = bpy.data.meshes["Cube"]
    assert mesh.shape_keys is None
    assert _rises(0.5)
    assert not bpy.ops.fit_to_photo.revert.poll()
    assert not bpy.ops.fit_to_photo.keep.poll()
    bpy.ops.fit_to_photo.run()
    bpy.ops.fit_to_photo.revert()
    assert _rises(0.5), "what was kept is where the next fit begins and reverts to"


def test_keep_moves_the_artists_own_shape_keys_along(scene):
    cube = bpy.data.objects["Cube"]
    cube.shape_key_add(name="Basis", from_mix=False)
    stretch = cube.shape_key_add(name="Stretch", from_mix=False)
    for point in stretch.data:
        point.co.z *= 2
    bpy.ops.fit_to_photo.run()
    stretch.value = 1
    assert np.allclose(np.sort(heights()), [-1] * 4 + [3] * 4)
    bpy.ops.fit_to_photo.keep()
    assert [key.name for key in cube.data.shape_keys.key_blocks] == ["Basis", "Stretch"]
    assert np.allclose(np.sort(heights()), [-1] * 4 + [3] * 4)
    cube.data.shape_keys.key_blocks["Stretch"].value = 0
    assert _rises(1)


def test_keep_in_edit_mode(scene):
    bpy.ops.fit_to_photo.run()
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.fit_to_photo.keep() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    assert lifted()


def test_keep_with_a_mix_keeps_the_look(scene):
    material = _painted()
    scene.fit_to_photo.texture_mix = 0.5
    bpy.ops.fit_to_photo.keep()
    assert np.allclose(_seen(material), (0.5, 0.5, 0), atol=0.02)
    assert not bpy.ops.fit_to_photo.revert.poll()


def test_revert_after_saving_and_reopening(scene, tmp_path):
    before = fingerprint()[1:]
    bpy.ops.fit_to_photo.run()
    scene.fit_to_photo.strength = 0.3
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "fitted.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "fitted.blend"))
    assert bpy.context.scene.fit_to_photo.strength == pytest.approx(0.3)
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert fingerprint()[1:] == before


def test_the_report_is_sorted_read_and_copied(scene):
    report = {
        "message": "Fitted.",
        "cameras": [
            {"name": "Front", "held_out": False, "psnr_before": 9.0, "psnr_after": 30.0, "mask_iou_before": 0.5, "mask_iou_after": 0.99},
            {"name": "Side", "held_out": True, "psnr_before": 9.0, "psnr_after": 20.0, "mask_iou_before": None, "mask_iou_after": None},
        ],
        "warnings": ["Dark"],
    }
    assert [camera["name"] for camera in worst_first(report)] == ["Side", "Front"]
    text = report_text(report)
    assert text.splitlines()[2].split() == ["Side", "9.0", "→", "20.0", "–", "→", "–", "held", "out"]
    assert "Warning: Dark" in text
    assert not bpy.ops.fit_to_photo.copy_report.poll()
    scene.fit_to_photo.last_report = json.dumps(report)
    assert bpy.ops.fit_to_photo.copy_report(format="JSON") == {"FINISHED"}
    assert parse_report(scene.fit_to_photo.last_report) == report


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"cameras": 3}', '{"cameras": [1]}', '{"cameras": [{}]}'])
def test_a_report_from_anywhere_does_no_harm(text):
    assert parse_report(text) == {}


def test_a_click_looks_through_the_camera(scene):
    assert bpy.ops.fit_to_photo.look_through(camera="Side") == {"FINISHED"}
    assert scene.camera.name == "Side"
    with pytest.raises(RuntimeError, match="no camera 'Cube'"):
        bpy.ops.fit_to_photo.look_through(camera="Cube")
