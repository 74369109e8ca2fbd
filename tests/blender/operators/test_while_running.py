"""The live preview and what the artist does meanwhile: nothing is lost, nothing stays behind."""

import os
import signal
import sys
import time

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import session  # noqa: E402
from blender_addon.loss_plot import plot  # noqa: E402
from blender_addon.progress import Progress  # noqa: E402
from tests.blender.operators.conftest import fingerprint, heights, lifted  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")

REST, HALF = [-1] * 4 + [1] * 4, [-0.5] * 4 + [1.5] * 4


def looks(expected: list[float]) -> bool:
    return bool(np.allclose(np.sort(heights()), expected, atol=1e-5))


def tick_until(fit: session.Session, done, limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        fit.tick(renders=False)
        fit.show_preview()
        time.sleep(0.01)
    assert done()


def begin(monkeypatch, mode: str) -> session.Session:
    """A fit as the modal operator starts it, up to its first preview."""
    monkeypatch.setenv("FAKE_WORKER", mode)
    bpy.ops.ed.undo_push(message="Original")
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    assert fit.begin_preview()
    bpy.ops.ed.undo_push(message="Begin Fit to Photo")
    assert looks(REST)
    tick_until(fit, lambda: looks(HALF))
    return fit


def test_the_mesh_moves_and_the_result_replaces_the_preview(monkeypatch):
    fit = begin(monkeypatch, "endless")
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    assert lifted()
    assert [key.name for key in bpy.data.meshes["Cube"].shape_keys.key_blocks] == ["Basis", "Fit to Photo"]
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert looks(REST)
    assert bpy.data.meshes["Cube"].shape_keys is None


@pytest.mark.parametrize("end", ["killed", "deaf", "stopped"])
def test_without_a_result_everything_is_as_before(monkeypatch, end):
    before = fingerprint()
    fit = begin(monkeypatch, "deaf" if end == "deaf" else "endless")
    if end == "killed":
        os.kill(fit._client.pid, signal.SIGKILL)
    elif end == "deaf":
        fit.cancel()
    else:
        session.stop()
    tick_until(fit, lambda: fit.finished)
    assert fingerprint() == before
    assert not bpy.data.meshes["Cube"].keys(), "no note is left on the mesh"


def test_an_earlier_fit_and_other_keys_are_not_touched_by_a_preview(monkeypatch):
    bpy.ops.fit_to_photo.run()
    cube = bpy.data.objects["Cube"]
    cube.shape_key_add(name="Smile", from_mix=False).value = 0.5
    before = fingerprint()
    monkeypatch.setenv("FAKE_WORKER", "endless")
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    fit.begin_preview()
    tick_until(fit, lambda: looks([0.5] * 4 + [2.5] * 4))
    session.stop()
    assert fingerprint() == before
    assert [key.name for key in cube.data.shape_keys.key_blocks] == ["Basis", "Fit to Photo", "Smile"]


def test_a_file_saved_meanwhile_holds_no_preview(monkeypatch, tmp_path):
    fit = begin(monkeypatch, "endless")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert looks(HALF), "the preview goes on after saving"
    session.stop(scene_is_closing=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert fit.finished
    assert looks(REST)
    assert bpy.data.meshes["Cube"].shape_keys is None


def test_a_file_saved_by_a_crash_is_tidied_when_it_is_opened(monkeypatch, tmp_path):
    begin(monkeypatch, "endless")
    assert bpy.data.meshes["Cube"].shape_keys.key_blocks["Fit to Photo Preview"].value == 1
    bpy.data.libraries.write(str(tmp_path / "autosave.blend"), {bpy.context.scene})  # as an automatic save: no handler hears of it
    session.stop(scene_is_closing=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "autosave.blend"))
    assert looks(REST)
    assert bpy.data.meshes["Cube"].shape_keys is None


def test_undo_and_redo_meanwhile(monkeypatch):
    fit = begin(monkeypatch, "endless")
    bpy.data.objects["Lamp"].location.x = 9
    bpy.ops.ed.undo_push(message="Move")
    bpy.ops.ed.undo()
    tick_until(fit, lambda: looks(HALF))
    bpy.ops.ed.undo()  # before the fit began: nothing of it is in the scene, and it goes on
    assert looks(REST)
    tick_until(fit, lambda: fit.progress.step > 2)
    bpy.ops.ed.redo()
    tick_until(fit, lambda: looks(HALF))
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    assert lifted()
    bpy.ops.ed.undo_push(message="Fit to Photo")
    bpy.ops.ed.undo()
    assert looks(REST), "undoing the fit shows the mesh as it was, not a preview"
    assert bpy.data.meshes["Cube"].shape_keys is None, "nor does the preview's key stay in the list"
    bpy.ops.ed.redo()
    assert lifted()


def test_undo_of_a_fit_into_a_moment_with_preview(monkeypatch):
    fit = begin(monkeypatch, "endless")
    bpy.data.objects["Lamp"].location.x = 9
    bpy.ops.ed.undo_push(message="Move")
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    bpy.ops.ed.undo_push(message="Fit to Photo")
    bpy.ops.ed.undo()
    assert looks(REST)
    assert bpy.data.objects["Lamp"].location.x == 9
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert looks(REST)
    assert bpy.data.meshes["Cube"].shape_keys is None


def test_a_renamed_mesh_camera_and_scene_are_found(monkeypatch, scene):
    scene.fit_to_photo.render_report = True
    fit = begin(monkeypatch, "done")
    for block in (bpy.data.objects["Cube"], bpy.data.objects["Side"], scene):
        block.name = f"My {block.name}"
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.DONE, fit.message
    assert [camera["name"] for camera in fit.report["cameras"]] == ["Front", "Side"], fit.warnings


def test_a_deleted_mesh_stops_the_fit_with_a_sentence(monkeypatch):
    fit = begin(monkeypatch, "endless")
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    tick_until(fit, lambda: fit.finished, 3)
    assert fit.state is session.State.FAILED
    assert "'Cube' was deleted while it was being fitted" in fit.message


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "VERTEX_PAINT"])
def test_other_modes_meanwhile(monkeypatch, mode):
    fit = begin(monkeypatch, "endless")
    cube = bpy.data.objects["Cube"]
    bpy.context.view_layer.objects.active = cube
    bpy.ops.object.mode_set(mode=mode)
    step = fit.progress.step
    tick_until(fit, lambda: fit.progress.step > step or fit.progress.step == fit.progress.steps)
    time.sleep(0.3)
    fit.tick(renders=False)
    fit.show_preview()
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    assert cube.mode == mode
    bpy.ops.object.mode_set(mode="OBJECT")
    assert lifted()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert looks(REST)


def test_edit_mode_that_is_undone_again(monkeypatch):
    fit = begin(monkeypatch, "endless")
    cube = bpy.data.objects["Cube"]
    bpy.context.view_layer.objects.active = cube
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.ed.undo_push(message="Toggle Editmode")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.translate(value=(5, 0, 0))
    bpy.ops.ed.undo_push(message="Move")
    fit.tick(renders=False)
    fit.show_preview()
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert bpy.data.objects["Cube"].mode == "OBJECT"
    tick_until(fit, lambda: looks(HALF))
    fit.cancel()
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.CANCELLED, fit.message
    assert lifted()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert looks(REST)


def test_a_fit_started_in_edit_mode_has_no_preview(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "done")
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    assert not fit.begin_preview()
    tick_until(fit, lambda: fit.finished)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert lifted()


def test_an_unforeseen_error_bars_no_further_fit(monkeypatch):
    before = fingerprint()
    with monkeypatch.context() as broken:
        broken.setattr(Progress, "hear", lambda *_: 1 / 0)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            bpy.ops.fit_to_photo.run()
    assert not session.is_running()
    assert fingerprint() == before
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert lifted()


def test_pause_and_continue(monkeypatch, jobs):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    assert not bpy.ops.fit_to_photo.pause.poll()
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    tick_until(fit, lambda: fit.progress.step > 0)
    for paused in (True, False):
        assert bpy.ops.fit_to_photo.pause() == {"FINISHED"}
        assert fit.paused is paused
    tick_until(fit, lambda: any('"resume"' in file.read_text() for file in jobs.glob("*/commands.txt")))
    fit.cancel()
    assert not bpy.ops.fit_to_photo.pause.poll()


def test_the_loss_curve():
    assert len(np.unique(plot([], 32).reshape(-1, 4), axis=0)) == 1, "an empty ground"
    filled = (plot([1.0, 0.1, 0.01], 32)[..., 2] == 1.0).sum(0)
    assert (np.diff(filled.astype(int)) <= 1).all(), "the curve falls"
    assert filled[0] > 25 > 5 > filled[-1]
    progress = Progress()
    for step in range(1000):
        progress.hear("step", {"stage": "Outline", "step": step, "steps": 1000, "loss": 1 / (step + 1), "seconds_left": 1})
    assert len(progress.losses) <= 256
    assert progress.losses[0] == 1.0
    assert progress.losses[-1] == 1 / 1000
