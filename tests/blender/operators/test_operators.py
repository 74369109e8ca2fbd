"""The operators in a real bpy, with a fake worker in a real process."""

import json
import sys
import time

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from blender_addon.selection import select  # noqa: E402
from tests.blender.operators.conftest import fingerprint, heights, lifted, tick_until, two_meshes  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def _start() -> session.Session:
    return session.start(bpy.context.scene, bpy.context.view_layer)


def test_a_fit_is_written_and_reported(scene, jobs):
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert lifted()
    report = json.loads(scene.fit_to_photo.last_report)
    assert (report["status"], report["message"], report["renderer"]) == ("done", "Fitted.", "fake")
    assert "This is only a fake" in report["warnings"]
    assert report["done"]
    assert not list(jobs.iterdir()), "the job folder of a fit that succeeded is removed"


def test_revert_gives_everything_back(scene):
    before = fingerprint()
    assert not bpy.ops.fit_to_photo.revert.poll()
    bpy.ops.fit_to_photo.run()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    after = fingerprint()
    assert after[1:] == before[1:]
    assert not bpy.ops.fit_to_photo.revert.poll()


def test_blenders_own_renders_are_the_report(scene):
    scene.fit_to_photo.render_report = True
    bpy.data.objects["Side"].fit_to_photo.held_out = True
    bpy.ops.fit_to_photo.run()
    report = json.loads(scene.fit_to_photo.last_report)
    assert [(c["name"], c["held_out"]) for c in report["cameras"]] == [("Front", False), ("Side", True)], report["warnings"]
    for camera in report["cameras"]:
        assert camera["psnr_before"] > camera["psnr_after"], "the fake makes it worse, and the report says so"
        assert camera["mask_iou_before"] > camera["mask_iou_after"]
    assert lifted()


def test_undo_is_one_step(scene):
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.fit_to_photo.run("EXEC_DEFAULT", True)
    assert lifted()
    assert bpy.context.scene.fit_to_photo.last_report
    bpy.ops.ed.undo()
    assert np.allclose(np.sort(heights()), [-1] * 4 + [1] * 4)
    assert not bpy.context.scene.fit_to_photo.last_report


def test_a_crash_leaves_the_scene_alone(jobs, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "crash")
    before = fingerprint()
    with pytest.raises(RuntimeError, match=r"stopped unexpectedly: .*SIGKILL.*the card fell off.*Nothing was changed\. The job folder is"):
        bpy.ops.fit_to_photo.run()
    assert fingerprint() == before
    assert list(jobs.glob("*/worker.log")), "the log of a crash is kept"
    monkeypatch.setenv("FAKE_WORKER", "done")
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}


def test_a_crash_after_a_checkpoint_keeps_the_best(scene, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "checkpoint")
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert lifted()
    report = json.loads(scene.fit_to_photo.last_report)
    assert report["status"] == "failed"
    assert "The best result so far was kept" in report["message"]


def test_a_refused_fit_is_an_error(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "refuse")
    before = fingerprint()
    with pytest.raises(RuntimeError, match=r"The fit ran away\. Check the cameras\. Nothing was changed"):
        bpy.ops.fit_to_photo.run()
    assert fingerprint() == before


@pytest.mark.parametrize("mode", ["endless", "deaf"])
def test_cancel_ends_within_two_seconds(jobs, monkeypatch, mode):
    monkeypatch.setenv("FAKE_WORKER", mode)
    bpy.context.scene.fit_to_photo.render_report = True
    fit = _start()
    tick_until(fit, lambda: fit.progress.step > 0)
    assert bpy.ops.fit_to_photo.cancel() == {"FINISHED"}
    begin = time.monotonic()
    tick_until(fit, lambda: fit.changed or fit.finished)
    assert time.monotonic() - begin < 2
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.CANCELLED
    assert lifted() == fit.changed == (mode == "endless")
    assert ("The best result so far was kept" if mode == "endless" else "Nothing was changed") in fit.message
    assert not list(jobs.iterdir())


def test_two_fits_at_once_are_refused(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    fit = _start()
    with pytest.raises(RuntimeError, match="A fit is already running"):
        bpy.ops.fit_to_photo.run()
    with pytest.raises(session.CannotStart, match="already running"):
        _start()
    session.stop()
    assert fit.finished
    assert not session.is_running()


def test_stopping_leaves_nothing_behind(jobs, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    before = fingerprint()
    fit = _start()
    tick_until(fit, lambda: fit.progress.step > 0)
    fit.cancel()
    session.stop()
    assert fingerprint() == before
    assert not list(jobs.iterdir()), "who cancelled does not want to resume"


def test_a_mesh_deleted_meanwhile_is_a_sentence(monkeypatch):
    fit = _start()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert "Cube" in fit.message


def test_a_mesh_edited_meanwhile_is_not_overwritten():
    fit = _start()
    mesh = bpy.data.objects["Cube"].data
    mesh.clear_geometry()
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert len(mesh.vertices) == 3


def test_a_camera_deleted_meanwhile_costs_only_the_report(scene):
    scene.fit_to_photo.render_report = True
    fit = _start()
    bpy.data.objects.remove(bpy.data.objects["Side"])
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.DONE
    assert lifted()
    assert any("There is no report" in warning for warning in fit.warnings)


def test_the_real_backend_fits(scene, monkeypatch):
    """No fake: the cube is smaller than the outline in the photos, and Blender's own renders say that it fits afterwards."""
    pytest.importorskip("torch")
    pytest.importorskip("cholespy")
    monkeypatch.setenv(VARIABLE, sys.executable)
    scene.fit_to_photo.quality, scene.fit_to_photo.device, scene.fit_to_photo.texture = "draft", "cpu", False
    scene.fit_to_photo.render_report = True
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    for _ in range(3):
        bpy.data.objects["Cube"].modifiers.new("Subdivision", "SUBSURF").subdivision_type = "SIMPLE"
        bpy.ops.object.modifier_apply(modifier="Subdivision")
    for vertex in bpy.data.objects["Cube"].data.vertices:
        vertex.co *= 0.7
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    report = json.loads(scene.fit_to_photo.last_report)
    assert report["status"] == "done", report
    assert report["renderer"]
    for camera in report["cameras"]:
        assert camera["mask_iou_after"] > 0.9 > 0.6 > camera["mask_iou_before"], camera


# -- what is chosen ------------------------------------------------------------------------------------------------------------------


def test_selection_wins_over_what_is_visible(scene):
    two_meshes()
    layer = bpy.context.view_layer
    layer.update()
    assert select(scene, layer).problem
    bpy.data.objects["Other"].select_set(True)
    bpy.data.objects["Lamp"].select_set(True)
    chosen = select(scene, layer)
    assert (chosen.meshes, chosen.cameras, chosen.lights, chosen.problem) == (("Other",), ("Front", "Side"), ("Lamp",), "")


def test_without_a_selection(scene):
    chosen = select(scene, bpy.context.view_layer)
    assert (chosen.meshes, chosen.cameras, chosen.lights, chosen.problem) == (("Cube",), ("Front", "Side"), (), "")
