"""What cannot be fitted: each is a sentence, and the scene stays as it was."""

import sys

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from tests.blender.operators.conftest import fingerprint, two_meshes  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def _no_photo():
    for camera in bpy.data.cameras:
        camera.background_images.clear()


def _selected_camera_without_photo():
    _no_photo()
    bpy.data.objects["Front"].select_set(True)


def _held_out():
    for name in ("Front", "Side"):
        bpy.data.objects[name].fit_to_photo.held_out = True


def _nothing_to_fit():
    bpy.context.scene.fit_to_photo.geometry = bpy.context.scene.fit_to_photo.texture = False


def _missing_file():
    image = bpy.data.images["Front"]
    image.source, image.filepath = "FILE", "//nowhere.png"


def _hidden_mesh():
    bpy.data.objects["Cube"].hide_viewport = True


def _empty_mesh():
    bpy.data.meshes["Cube"].clear_geometry()


def _camera_turned_away():
    for name in ("Front", "Side"):
        bpy.data.objects[name].rotation_euler = (0, 0, 0)
        bpy.data.objects[name].location = (50, 50, 50)
    bpy.data.objects["Cube"].location = (0, 0, 200)


def _panorama():
    bpy.data.cameras["Front"].type = "PANO"


def _wrong_mask():
    mask = bpy.data.images.new("Mask", 10, 10)
    bpy.data.cameras["Front"].background_images.new().image = mask


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (two_meshes, "select the one to fit"),
        (_hidden_mesh, "no mesh to fit"),
        (_empty_mesh, "'Cube'"),
        (_no_photo, "No visible camera has a photo"),
        (_selected_camera_without_photo, "Camera 'Front' has no photo"),
        (_held_out, "All photos are held out"),
        (_nothing_to_fit, "Nothing to fit"),
        (_missing_file, "nowhere.png"),
        (_camera_turned_away, "'Cube' is outside the view"),
        (_panorama, "'Front'"),
        (_wrong_mask, "same size"),
    ],
)
def test_bad_input_is_a_sentence(jobs, spoil, words):
    spoil()
    before = fingerprint()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.fit_to_photo.run()
    assert fingerprint() == before
    assert not session.is_running()
    assert not jobs.exists() or not list(jobs.iterdir())


def test_no_backend_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody"))
    with pytest.raises(RuntimeError, match="which does not exist"):
        bpy.ops.fit_to_photo.run()


def test_a_backend_that_cannot_run_is_a_sentence(tmp_path, monkeypatch, jobs):
    (tmp_path / "text").write_text("not a program")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "text"))
    with pytest.raises(RuntimeError, match="cannot be started"):
        bpy.ops.fit_to_photo.run()
    assert not list(jobs.iterdir())


def test_a_job_folder_that_cannot_be_made_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(preferences, "job_root", lambda: tmp_path / "file" / "jobs")
    with pytest.raises(RuntimeError, match="Choose another Job Folder"):
        bpy.ops.fit_to_photo.run()


def test_check_setup_names_what_is_wrong():
    with pytest.raises(RuntimeError, match="does not work as a Python"):
        bpy.ops.fit_to_photo.check_setup()


def test_set_up_needs_online_access():
    assert bpy.ops.fit_to_photo.setup_backend.poll() == bpy.app.online_access
