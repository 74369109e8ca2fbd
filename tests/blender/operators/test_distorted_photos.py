"""Photos that a lens bent, from a COLMAP model to the report of a real fit."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

bpy = pytest.importorskip("bpy")
torch = pytest.importorskip("torch")

from blender_addon import report  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from blender_addon.exchange import read_scene  # noqa: E402
from blender_addon.exchange.images import to_srgb  # noqa: E402
from blender_addon.exchange.photos import photo_clip, read_photo, read_photo_camera  # noqa: E402
from dr_backend.geometry import flatten, to_tensors  # noqa: E402
from dr_backend.raster.refine import refine, refined  # noqa: E402
from dr_backend.renderers.table import make  # noqa: E402
from tests.blender.reconstruction import save_colmap, save_photos, views  # noqa: E402

SIZE = (160, 120)
LENS = {"fx": 150, "fy": 150, "cx": 83.0, "cy": 57.0, "k1": -0.35, "k2": 0.1, "p1": 0.02, "p2": -0.03}


@pytest.fixture
def cameras(tmp_path):
    """Imported cameras whose photos are what their lenses show of the cube."""
    for name in ("Front", "Side"):
        bpy.data.objects.remove(bpy.data.objects[name])
    taken = [replace(view, translation=(*view.translation[:2], 0.65 * view.translation[2])) for view in views()]
    save_colmap(tmp_path, taken, "OPENCV", LENS, SIZE, binary=True)
    save_photos(tmp_path / "images", taken, SIZE)
    assert bpy.ops.fit_to_photo.import_cameras(filepath=str(tmp_path)) == {"FINISHED"}
    found = [obj for obj in bpy.data.objects if obj.type == "CAMERA"]
    scene = read_scene(bpy.context.scene, [bpy.data.objects["Cube"]], found, [], texture=False).scene
    flat = flatten(to_tensors(scene))
    flat = refined(flat, refine(flat, list(scene.cameras.values())))
    for view in taken:
        out = make("reference", "cpu").render(flat, [scene.cameras[view.name.removesuffix(".png")]])[0]
        alpha = out.alpha.numpy()[..., None]
        rgba = np.concatenate([to_srgb(out.rgb.numpy() / np.maximum(alpha, 1e-3)), alpha], -1)
        Image.fromarray(np.round(rgba * 255).astype(np.uint8)).save(tmp_path / "images" / view.name)
    return found


def test_blenders_render_lies_on_the_straightened_photo(cameras):
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    renders = report.render_views(scene, cameras, [cube], unlit=True)
    for obj in cameras:
        photo, camera = read_photo(obj)[0], read_photo_camera(obj, scene)
        assert report.compare(photo, renders[obj.name]).mask_iou < 0.96
        assert report.compare(report.straightened(photo, camera), renders[obj.name]).mask_iou > 0.985


def test_a_fit_of_distorted_photos(cameras, monkeypatch):
    """The cube begins too small; the report is Blender's word for it."""
    monkeypatch.setenv(VARIABLE, sys.executable)
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    bpy.context.view_layer.objects.active = cube
    for _ in range(2):
        cube.modifiers.new("Subdivision", "SUBSURF").subdivision_type = "SIMPLE"
        bpy.ops.object.modifier_apply(modifier="Subdivision")
    for vertex in cube.data.vertices:
        vertex.co *= 0.85
    settings = scene.fit_to_photo
    settings.render_report, settings.texture, settings.quality = True, False, "draft"
    before = [np.array(photo_clip(obj).tracking.camera.principal_point_pixels) for obj in cameras]
    cube.select_set(True)
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    scores = json.loads(settings.last_report)["cameras"]
    assert len(scores) == 3
    assert max(score["mask_iou_before"] for score in scores) < 0.8
    assert min(score["mask_iou_after"] for score in scores) > 0.98
    for obj, centre in zip(cameras, before, strict=True):
        np.testing.assert_array_equal(photo_clip(obj).tracking.camera.principal_point_pixels, centre)
