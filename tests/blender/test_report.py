"""The report: Blender's own renders, their scores and the sheet."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange import read_scene
from blender_addon.exchange.cameras import read_camera
from blender_addon.exchange.images import load_png, to_linear, to_srgb, write_image
from blender_addon.report import build_report, compare, contact_sheet, render_views
from dr_backend.scene import Photo
from tests.blender.conftest import fingerprint


def everything(scene):
    """Names of all data-blocks, and what a render might have changed."""
    kinds = [p.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"]
    names = {kind: sorted(b.name for b in getattr(bpy.data, kind) if b.name != "Render Result") for kind in kinds}
    slots = [(s.link, s.material.name if s.material else None) for o in bpy.data.objects for s in o.material_slots]
    render = scene.render
    return names, slots, render.engine, render.filepath, render.resolution_x, scene.camera, bpy.context.scene, fingerprint()


def test_unlit_views_show_the_base_colour_where_the_camera_projects(build):
    obj, camera = build.mesh(color=(0.8, 0.2, 0.1)), build.camera()
    build.light()
    obj.scale = (1, 0.01, 1)
    bpy.context.view_layer.update()
    before = everything(build.scene)
    seen = []
    view = render_views(build.scene, [camera], [obj], unlit=True, progress=lambda *step: seen.append(step))["Front"]
    assert everything(build.scene) == before
    assert seen == [(0, 1), (1, 1)]
    assert view.shape == (48, 64, 4)
    np.testing.assert_allclose(view[24, 32], [*to_srgb(np.array([0.8, 0.2, 0.1])), 1], atol=1 / 255)
    assert view[0, 0, 3] == 0
    read = read_camera(camera, (64, 48))
    width, height = 2 * read.focal_px / 8
    assert view[..., 3].sum() == pytest.approx(width * height, rel=0.01)


@pytest.mark.parametrize("mixed", [False, True])
def test_unlit_views_are_as_see_through_as_the_material(build, mixed):
    obj, camera = build.mesh(color=(0.8, 0.2, 0.1)), build.camera()
    obj.scale = (1, 0.01, 1)
    tree = obj.data.materials[0].node_tree
    shader = tree.nodes["Principled BSDF"]
    if mixed:
        mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
        mix.inputs[0].default_value = 0.5
        tree.links.new(shader.outputs[0], mix.inputs[1])
        tree.links.new(clear.outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    else:
        shader.inputs["Alpha"].default_value = 0.5
    view = render_views(build.scene, [camera], [obj], unlit=True)["Front"]
    np.testing.assert_allclose(view[24, 32], [*to_srgb(np.array([0.8, 0.2, 0.1])), 1 - 0.5**2], atol=2 / 255)  # front and back


def test_textures_face_the_right_way_up(build):
    square = [(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)]
    obj, camera = build.mesh("Card", square, [(0, 1, 2, 3)]), build.camera()
    obj.data.uv_layers[0].uv.foreach_set("vector", np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32))
    material = obj.data.materials[0]
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    picture = np.zeros((2, 2, 3), np.float32)
    picture[0, 0] = (1, 0, 0)
    node.image, node.interpolation = write_image("Corner", picture), "Closest"
    material.node_tree.links.new(node.outputs["Color"], material.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    view = render_views(build.scene, [camera], [obj], unlit=True)["Front"]
    assert view[18, 26, :3] == pytest.approx((1, 0, 0))
    assert view[30, 26, :3] == pytest.approx((0, 0, 0))


def test_lit_views_use_the_chosen_lights_and_world(build):
    obj, camera, lamp = build.mesh(), build.camera(), build.light("Lamp", "SUN")
    build.light("Other", "SUN").data.energy = 100
    lamp.data.energy = 2
    lamp.rotation_euler = (np.pi / 2, 0, 0)  # shines along +y, straight at the face
    bpy.context.view_layer.update()
    view = render_views(build.scene, [camera], [obj], unlit=False, lights=[lamp])["Front"]
    expected = np.array([0.8, 0.2, 0.1]) * 2 / np.pi
    np.testing.assert_allclose(to_linear(view[24, 32, :3]), expected, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("state", ["edit mode", "no slots", "parents"])
def test_odd_objects_render_and_are_left_alone(build, state):
    obj, camera = build.mesh(material=None if state == "no slots" else "Paint"), build.camera()
    if state == "edit mode":
        bpy.context.view_layer.objects.active = obj
        bpy.ops.object.mode_set(mode="EDIT")
    elif state == "parents":
        parent = build.link(bpy.data.objects.new("Rig", None))
        parent.location = (0, 1, 0)
        obj.parent = camera.parent = parent
        bpy.context.view_layer.update()
    before = everything(build.scene)
    view = render_views(build.scene, [camera], [obj], unlit=True, max_side=32)["Front"]
    assert view.shape == (24, 32, 4)
    assert view[12, 16, 3] == 1
    assert view[0, 0, 3] == 0
    assert everything(build.scene) == before
    if state == "edit mode":
        assert obj.mode == "EDIT"
        bpy.ops.object.mode_set(mode="OBJECT")


def test_scores():
    rng = np.random.default_rng(0)
    photo = Photo("Front", rng.random((40, 60, 3), np.float32))
    exact = np.concatenate([to_srgb(photo.rgb), np.ones((40, 60, 1), np.float32)], -1)
    assert compare(photo, exact).psnr == 99
    off = exact.copy()
    off[..., :3] += 0.1
    assert compare(photo, off).psnr == pytest.approx(20, abs=1e-3)
    assert compare(photo, off).mask_iou is None
    cut = off.copy()
    cut[:, 20:] = 0
    assert compare(photo, cut).psnr == pytest.approx(20, abs=1e-3), "without a mask only where the model is"
    cut[:] = 0
    assert compare(photo, cut).psnr == 0, "nowhere"
    mask = np.zeros((40, 60), np.float32)
    mask[:, :30] = 1
    half = exact.copy()
    half[:, 15:, 3] = 0
    score = compare(Photo("Front", photo.rgb, mask), half)
    assert score.mask_iou == pytest.approx(0.5)
    off[:, :30] = exact[:, :30]
    assert compare(Photo("Front", photo.rgb, mask), off).psnr == 99, "only inside the mask"


def test_a_large_photo_is_averaged_down():
    blocks = np.random.default_rng(0).random((8, 12, 3), np.float32)
    photo = Photo("Front", np.kron(blocks, np.ones((5, 5, 1), np.float32)))
    render = np.concatenate([to_srgb(blocks), np.ones((8, 12, 1), np.float32)], -1)
    assert compare(photo, render).psnr > 90
    uneven = np.full((7, 11, 4), 1, np.float32)
    assert compare(Photo("Front", np.ones((40, 60, 3), np.float32)), uneven).psnr > 90


def test_report_names_the_worst_photo_and_the_sheet_is_written(build):
    photos = [Photo("A", np.full((24, 32, 3), 0.5, np.float32)), Photo("B", np.ones((24, 32, 3), np.float32), held_out=True)]
    before = {name: np.zeros((24, 32, 4), np.float32) for name in "AB"}
    after = {name: np.full((24, 32, 4), 0.7, np.float32) for name in "AB"}
    for view in after.values():
        view[..., 3] = 1
    report = build_report(photos, before, after)
    assert report["worst"] == "B"
    assert [c["held_out"] for c in report["cameras"]] == [False, True]
    assert all(c["psnr_after"] > c["psnr_before"] for c in report["cameras"])
    path = build.folder / "sheet.png"
    contact_sheet(path, photos, before, after)
    sheet = load_png(path)[..., :3]
    assert sheet.shape == (2 * 28, 4 * 36, 3)
    assert sheet[10, 10] == pytest.approx([float(to_srgb(0.5))] * 3, abs=1 / 255)
    assert sheet[10, 46] == pytest.approx(0)
    assert sheet[40, 82] == pytest.approx([0.7] * 3, abs=1 / 255)
    assert sheet[40, 118] == pytest.approx([0.3] * 3, abs=1 / 255)


def test_a_render_of_the_scene_is_its_own_photo(build):
    """Photo, mask and render agree when the photo is a render: no conversion stands between them."""
    obj, camera = build.mesh(), build.camera()
    view = render_views(build.scene, [camera], [obj], unlit=True)["Front"]
    image = bpy.data.images.new("Shot", 64, 48, alpha=True)
    image.pixels.foreach_set(view[::-1].ravel())
    camera.data.background_images[0].image = image
    photo = read_scene(build.scene, [obj], [camera], [], texture=False).photos[0]
    score = compare(photo, render_views(build.scene, [camera], [obj], unlit=True)["Front"])
    assert score.psnr > 60
    assert score.mask_iou == 1


def looks(scene):
    """What of a scene's colour management a report might disturb."""
    view = scene.view_settings
    return view.view_transform, view.look, view.exposure, view.gamma, scene.display_settings.display_device, scene.cycles.film_exposure


@pytest.mark.parametrize("unlit", [True, False])
@pytest.mark.parametrize("transform", ["AgX", "Filmic", "Raw", "False Color"])
def test_the_view_of_the_users_scene_neither_counts_nor_changes(build, transform, unlit):
    obj, camera, lamp = build.mesh(), build.camera(), build.light("Lamp", "SUN")
    build.scene.view_settings.view_transform = "Standard"
    plain = render_views(build.scene, [camera], [obj], unlit=unlit, lights=[lamp], max_side=32)["Front"]
    build.scene.view_settings.view_transform = transform
    build.scene.view_settings.look = "AgX - Punchy" if transform == "AgX" else "None"
    build.scene.view_settings.exposure, build.scene.view_settings.gamma = 1.5, 1.8
    build.scene.cycles.film_exposure = 3
    before = looks(build.scene)
    assert before[0] == transform
    np.testing.assert_array_equal(render_views(build.scene, [camera], [obj], unlit=unlit, lights=[lamp], max_side=32)["Front"], plain)
    assert looks(build.scene) == before
