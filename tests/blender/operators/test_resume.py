"""Fits that were interrupted: offered again, resumed, discarded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import jobs as job_folders  # noqa: E402
from blender_addon import left, session  # noqa: E402
from tests.blender.operators.conftest import fingerprint, heights, lifted, tick_until  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def _begin(monkeypatch, mode: str = "endless") -> session.Session:
    monkeypatch.setenv("FAKE_WORKER", mode)
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    tick_until(fit, lambda: fit.progress.step > 0 or fit.finished)
    monkeypatch.setenv("FAKE_WORKER", "done")
    return fit


def test_a_running_fit_is_not_offered(monkeypatch):
    _begin(monkeypatch)
    assert left.left_job() is None
    assert not bpy.ops.fit_to_photo.discard.poll()


def test_a_fit_that_ended_is_not_offered(jobs, monkeypatch):
    bpy.ops.fit_to_photo.run()
    left.look_again()
    assert left.left_job() is None
    with pytest.raises(RuntimeError, match="No unfinished fit"):
        bpy.ops.fit_to_photo.resume()


def test_a_stopped_fit_is_offered_and_resumed(jobs, monkeypatch):
    before = fingerprint()
    _begin(monkeypatch)
    session.stop()
    assert fingerprint() == before
    assert left.left_job().title.startswith("Cube, ")
    assert bpy.ops.fit_to_photo.resume() == {"FINISHED"}
    assert lifted()
    assert left.left_job() is None
    assert not list(jobs.iterdir())
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert fingerprint()[1:] == before[1:]


def test_discard_removes_it(jobs, monkeypatch):
    before = fingerprint()
    _begin(monkeypatch)
    session.stop()
    assert bpy.ops.fit_to_photo.discard() == {"FINISHED"}
    assert left.left_job() is None
    assert not list(jobs.iterdir())
    assert fingerprint() == before


@pytest.mark.parametrize("saved", [True, False])
def test_a_fit_of_another_session_is_found_by_its_objects(jobs, monkeypatch, tmp_path, saved):
    """As after a crash: the lock is free, uids mean nothing any more."""
    if saved:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    _begin(monkeypatch)
    session.stop(scene_is_closing=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    note = next(jobs.glob(f"*/{job_folders.SESSION}"))
    note.write_text(note.read_text().replace('"process": "', '"process": "other'))
    bpy.context.scene.fit_to_photo.render_report = True
    assert bpy.ops.fit_to_photo.resume() == {"FINISHED"}
    assert lifted()
    assert [camera["name"] for camera in session.current().report["cameras"]] == ["Front", "Side"], session.current().warnings


def test_the_file_may_get_its_name_during_the_fit(monkeypatch, tmp_path):
    fit = _begin(monkeypatch)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "named.blend"))
    session.stop(scene_is_closing=True)
    assert fit.finished
    assert left.left_job() is not None
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "copy.blend"))
    assert left.left_job() is None, "it belongs to the other file"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "named.blend"))
    assert left.left_job() is not None


def test_other_meshes_are_offered_nothing(monkeypatch):
    _begin(monkeypatch)
    session.stop()
    mesh = bpy.data.meshes["Cube"]
    mesh.clear_geometry()
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    assert left.left_job() is None
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert left.left_job() is None


def test_a_crashed_fit_is_offered_and_a_refused_one_is_not(jobs, monkeypatch):
    fit = _begin(monkeypatch, "crash")
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert bpy.ops.fit_to_photo.resume() == {"FINISHED"}
    assert lifted()
    bpy.ops.fit_to_photo.revert()
    fit = _begin(monkeypatch, "refuse")
    tick_until(fit, lambda: fit.finished)
    assert left.left_job() is None


def test_a_crashed_fit_whose_best_was_kept_is_resumed_over_it(monkeypatch):
    before = sorted(heights())
    fit = _begin(monkeypatch, "checkpoint")
    tick_until(fit, lambda: fit.finished)
    assert fit.changed
    assert bpy.ops.fit_to_photo.resume() == {"FINISHED"}
    assert lifted()
    bpy.ops.fit_to_photo.revert()
    assert np.allclose(sorted(heights()), before)


def test_a_result_that_nobody_took_is_taken(monkeypatch):
    """Blender was closed while the worker wrote its result."""
    fit = _begin(monkeypatch)
    folder = fit._job
    session.stop()
    folder.save_result({"meshes/Cube/positions": folder.load()[0].meshes["Cube"].positions + [0, 0, 1]}, {"status": "done"})
    monkeypatch.setenv("FAKE_WORKER", "crash")
    assert bpy.ops.fit_to_photo.resume() == {"FINISHED"}
    assert lifted()


def test_a_folder_of_nonsense_does_no_harm(jobs, monkeypatch, capsys):
    for name, text in {"a": "{", "b": "[]", "c": '{"format": 99}', "d": ""}.items():
        (jobs / name).mkdir(parents=True)
        (jobs / name / job_folders.SESSION).write_text(text)
    left.look_again()
    assert left.left_job() is None


def test_a_damaged_job_is_a_sentence(jobs, monkeypatch):
    _begin(monkeypatch)
    session.stop()
    (left.left_job().folder / "scene.npz").write_bytes(b"PK")
    before = fingerprint()
    with pytest.raises(RuntimeError, match="scene.npz cannot be read"):
        bpy.ops.fit_to_photo.resume()
    assert fingerprint() == before
    assert bpy.ops.fit_to_photo.discard() == {"FINISHED"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_the_lock_ends_with_its_process(tmp_path):
    code = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from blender_addon import jobs
held = jobs.lock(Path(sys.argv[2]))
print("held:", held is not None, flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[3]
    holder = subprocess.Popen([sys.executable, "-c", code, str(root), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    said = next(line for line in holder.stdout if line.startswith("held:"))  # Blender 5.2 has something to say on the way
    assert said == "held: True\n"
    assert job_folders.lock(tmp_path) is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    again = job_folders.lock(tmp_path)
    assert again is not None
    again.close()
