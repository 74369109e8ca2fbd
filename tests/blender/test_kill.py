"""The real worker, killed twenty times at random moments: Blender lives and the scene is whole."""

import os
import random
import signal
import sys
import time

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")
pytest.importorskip("torch")

import blender_addon  # noqa: E402
from blender_addon import preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from tests.blender.conftest import evaluated_positions, fingerprint  # noqa: E402

KILLS = 20
LONGEST_S = 6.0  # starting torch takes two or three seconds, so that about half of the kills hit the fit itself

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")


@pytest.fixture
def scene(build, tmp_path, monkeypatch):
    blender_addon.register()
    monkeypatch.setenv(VARIABLE, sys.executable)
    monkeypatch.setattr(preferences, "job_root", lambda: tmp_path / "jobs")
    ball = build.mesh("Ball")
    for vertex in ball.data.vertices:
        vertex.co *= 0.6
    mask = build.image("Mask")
    mask.colorspace_settings.name = "Non-Color"
    pixels = np.ones((48, 64, 4), np.float32)
    pixels[:, :16, :3] = pixels[:, 48:, :3] = 0
    mask.pixels.foreach_set(pixels.ravel())
    build.camera("Front", mask=mask)
    settings = build.scene.fit_to_photo
    settings.quality, settings.device, settings.render_report = "high", "cpu", False
    bpy.context.view_layer.update()
    yield build.scene
    session.stop()
    blender_addon.unregister()


def test_a_worker_killed_at_any_moment_leaves_a_whole_scene(scene):
    before, start = fingerprint(), evaluated_positions(bpy.data.objects["Ball"])
    moments = random.Random(7)
    kept = 0
    for _ in range(KILLS):
        fit = session.start(scene, bpy.context.view_layer)
        end = time.monotonic() + moments.uniform(0, LONGEST_S)
        while time.monotonic() < end:
            fit.tick()
            time.sleep(0.01)
        os.kill(fit._client.pid, signal.SIGKILL)
        limit = time.monotonic() + 10
        while not fit.finished and time.monotonic() < limit:
            fit.tick()
            time.sleep(0.01)
        assert fit.state is session.State.FAILED, fit.message
        assert "killed" in fit.message.lower(), fit.message
        if fit.changed:
            kept += 1
            assert "best result" in fit.message
            assert np.isfinite(evaluated_positions(bpy.data.objects["Ball"])).all()
            assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
        else:
            assert "Nothing was changed" in fit.message
        assert np.array_equal(evaluated_positions(bpy.data.objects["Ball"]), start)
        assert fingerprint()[0] == before[0]
    assert kept, "no kill came late enough to leave a checkpoint"
