"""What lies over the 3D view: the pictures, and where they come from. How they look is seen in the window tests."""

import sys
import time

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import overlay, session  # noqa: E402
from blender_addon.comparison import FULL_ERROR, GAIN, OUTSIDE, Comparison, heat  # noqa: E402
from blender_addon.exchange.cameras import read_camera  # noqa: E402
from blender_addon.look import wanted_camera  # noqa: E402
from dr_backend.scene import Camera  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def test_pictures_of_a_comparison():
    photo, mask, render = np.full((2, 4, 3), 0.5, np.float32), np.zeros((2, 4), np.float32), np.zeros((2, 4, 4), np.float32)
    mask[:, 1:3] = 1
    render[:, 2:4] = (0.5, 0.5, 0.5625, 1)  # right of the object by one pixel, and too blue
    seen = Comparison(Camera(np.eye(4), np.ones(2), np.ones(2), (4, 2)), photo, mask, render)
    assert np.allclose(seen.picture("PHOTO")[0, :, 0], [0.5 * OUTSIDE, 0.5, 0.5, 0.5 * OUTSIDE])
    assert np.allclose(seen.picture("RENDER")[0], [(0, 0, 0, 1), (0, 0, 0, 1), (0.5, 0.5, 0.5625, 1), (0.5, 0.5, 0.5625, 1)])
    difference = seen.picture("DIFFERENCE")
    assert np.allclose(difference[0], [(0, 0, 0, 1), (1, 1, 1, 1), (0, 0, 0.0625 * GAIN, 1), (1, 1, 1, 1)])
    error = seen.picture("ERROR")
    assert error[0, 0, 3] == 0
    assert error[0, 1, 3] == 1
    assert 0 < error[0, 2, 3] < 1


def test_the_heat_map_rises():
    ramp = heat(np.linspace(0, FULL_ERROR, 9)[None])[0]
    assert ramp[0, 3] == 0
    assert (np.diff(ramp[:, 3]) > 0).all()
    assert (np.diff(ramp[:, 0]) >= 0).all()
    assert np.array_equal(heat(np.array([[9.0]])), heat(np.array([[FULL_ERROR]])))


def test_the_photo_lies_in_the_cameras_frame(scene):
    """The corners are Blender's own frame of a camera whose photo has the shape of the render."""
    camera = bpy.data.objects["Front"]
    camera.data.shift_x, camera.data.lens = 0.2, 35
    blank = np.zeros((24, 32, 4), np.float32)
    corners = Comparison(read_camera(camera, (32, 24)), blank[..., :3], None, blank).corners()
    frame = np.array(camera.data.view_frame(scene=scene))  # upper right, lower right, lower left, upper left
    assert np.allclose(corners, (frame / -frame[:, 2:])[[2, 1, 0, 3]], atol=1e-5)


def test_a_fit_leaves_its_renders_and_revert_takes_them(scene):
    scene.fit_to_photo.render_report = True
    bpy.ops.fit_to_photo.run()
    assert overlay.can_show("Front")
    assert overlay.can_show("Side")
    bpy.ops.fit_to_photo.revert()
    assert not overlay.can_show("Front")


def test_render_this_view(scene):
    assert not bpy.ops.fit_to_photo.render_view.poll()
    scene.camera = bpy.data.objects["Side"]
    blocks = {kind: len(getattr(bpy.data, kind)) for kind in ("objects", "scenes", "materials", "images", "cameras")}
    assert bpy.ops.fit_to_photo.render_view() == {"FINISHED"}
    assert overlay.can_show("Side")
    assert bpy.context.window_manager.fit_to_photo.view == "RENDER"
    assert {kind: len(getattr(bpy.data, kind)) for kind in blocks} in (blocks, blocks | {"images": blocks["images"] + 1})
    bpy.data.objects["Cube"].hide_viewport = True
    with pytest.raises(RuntimeError, match="no mesh to fit"):
        bpy.ops.fit_to_photo.render_view()


def test_another_file_forgets_the_renders(scene, monkeypatch):
    scene.camera = bpy.data.objects["Front"]
    bpy.ops.fit_to_photo.render_view()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert not overlay.can_show("Front")


def test_the_running_fit_is_seen_through_the_camera(scene, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    scene.camera, window = bpy.data.objects["Side"], bpy.context.window_manager.fit_to_photo
    window.view = "RENDER"
    fit = session.start(scene, bpy.context.view_layer)
    scene.camera.name = "Renamed"
    end = time.monotonic() + 10
    while not overlay.can_show("Renamed") and time.monotonic() < end:
        fit.tick(renders=False)
        fit.show_preview()
        time.sleep(0.01)
    seen = overlay._comparisons["Renamed"]
    assert seen.photo.shape == (12, 16, 3)
    assert np.allclose(seen.render[0, 0], [0.735, 0, 0, 0.5], atol=1e-3), "linear 0.5 is 0.735 in sRGB"
    window.view = "NONE"
    assert wanted_camera(fit._proof) == ""


def test_no_render_while_a_fit_runs(scene, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    scene.camera = bpy.data.objects["Front"]
    session.start(scene, bpy.context.view_layer)
    assert not bpy.ops.fit_to_photo.render_view.poll()
