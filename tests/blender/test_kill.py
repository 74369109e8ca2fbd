"""The real worker killed thirty times at random moments, and Blender ended around it: the scene is whole, the fit can be resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")
pytest.importorskip("torch")

import blender_addon  # noqa: E402
from blender_addon import jobs, left, preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from tests.blender.conftest import evaluated_positions, fingerprint  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
KILLS = 30
LATE = 5  # every fifth kill comes after a checkpoint, the others at any moment of the first seconds, starting torch included
LONGEST_S = 2.0
PATIENCE_S = 120.0
SIZE = (640, 480)  # with these pixels a fit lasts several times as long as the latest kill, on a quick machine too

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")


@pytest.fixture
def scene(build, tmp_path, monkeypatch):
    blender_addon.register()
    monkeypatch.setenv(VARIABLE, sys.executable)
    monkeypatch.setattr(preferences, "job_root", lambda: tmp_path / "jobs")
    ball = build.mesh("Ball")
    for vertex in ball.data.vertices:
        vertex.co *= 0.6
    mask = build.image("Mask", SIZE)
    mask.colorspace_settings.name = "Non-Color"
    pixels = np.ones((SIZE[1], SIZE[0], 4), np.float32)
    pixels[:, : SIZE[0] // 4, :3] = pixels[:, -SIZE[0] // 4 :, :3] = 0
    mask.pixels.foreach_set(pixels.ravel())
    build.camera("Front", SIZE, mask=mask)
    settings = build.scene.fit_to_photo
    settings.quality, settings.device, settings.render_report = "high", "cpu", False
    bpy.context.view_layer.update()
    yield build.scene
    session.stop()
    blender_addon.unregister()


def _tick(fit: session.Session, seconds: float, until=lambda: False) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        fit.tick()
        time.sleep(0.01)


def test_a_worker_killed_at_any_moment_leaves_a_whole_scene(scene):
    before, start = fingerprint(), evaluated_positions(bpy.data.objects["Ball"])
    moments = random.Random(7)
    kept = 0
    for number in range(KILLS):
        fit = session.start(scene, bpy.context.view_layer)
        if number % LATE == 0:
            _tick(fit, PATIENCE_S, until=(fit._job.path / "checkpoint.npz").exists)
        _tick(fit, moments.uniform(0, LONGEST_S))
        os.kill(fit._client.pid, signal.SIGKILL)
        _tick(fit, 10, until=lambda fit=fit: fit.finished)
        assert fit.state is session.State.FAILED, fit.message
        assert "killed" in fit.message.lower(), fit.message
        if fit.changed:
            kept += 1
            assert "best result" in fit.message
            assert np.isfinite(evaluated_positions(bpy.data.objects["Ball"])).all()
            assert left.left_job() is not None, "a fit that left a checkpoint is offered again"
            assert bpy.ops.fit_to_photo.discard() == {"FINISHED"}
            assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
        else:
            assert "Nothing was changed" in fit.message
        assert np.array_equal(evaluated_positions(bpy.data.objects["Ball"]), start)
        assert fingerprint()[0] == before[0]
    assert kept >= KILLS // LATE


# Another Blender: opens the file, fits, says the worker's process id once there is a checkpoint, and fits on until it hears something.
BLENDER = """
import sys, threading, time
from pathlib import Path
import bpy
import blender_addon
from blender_addon import preferences, session
blender_addon.register()
preferences.job_root = lambda: Path(sys.argv[2])
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
fit = session.start(bpy.context.scene, bpy.context.view_layer)
heard = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), heard.set()), daemon=True).start()
told = False
while not heard.is_set():
    fit.tick()
    if not told and (fit._job.path / "checkpoint.npz").exists():
        told = True
        print("PID", fit._client.pid, flush=True)
    time.sleep(0.01)
blender_addon.unregister()
"""


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked after counts as well."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
@pytest.mark.parametrize("how", ["closed", "crashed"])
def test_the_worker_ends_with_blender_and_leaves_a_checkpoint(scene, tmp_path, how):
    path, root = tmp_path / "scene.blend", tmp_path / "jobs"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    command = [sys.executable, "-c", BLENDER, str(path), str(root)]
    blender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    pid = next(int(line.split()[1]) for line in blender.stdout if line.startswith("PID"))
    assert not _gone(pid)
    if how == "closed":
        blender.stdin.write("\n")
        blender.stdin.flush()
    else:
        blender.kill()
    ended = time.monotonic()
    while not _gone(pid) and time.monotonic() - ended < 20:
        time.sleep(0.05)
    assert time.monotonic() - ended < 5
    blender.wait(20)
    blender.stdin.close()
    blender.stdout.close()
    assert list(root.glob("*/checkpoint.npz"))
    assert len(jobs.find_left(root)) == 1, "the fit is offered again"
