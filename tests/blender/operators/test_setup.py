"""Check Setup and Set Up Backend in a real bpy; only the download of torch is left out."""

import functools
import sys
import time

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import installation, preferences  # noqa: E402
from blender_addon.environment import VARIABLE, BackendProblem  # noqa: E402
from blender_addon.operators import setup  # noqa: E402


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A Blender that is allowed online, and a set-up that installs nothing but pip, into a folder of its own."""
    system = bpy.context.preferences.system
    monkeypatch.setattr(system, "use_online_access", True)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(preferences.sys, "executable", "/nowhere")  # the Python around bpy has torch and would do
    monkeypatch.setattr(setup, "choose_build", lambda card: installation.Build("For a test", "", (), 0))
    monkeypatch.setattr(setup, "Setup", functools.partial(installation.Setup, torch=("pip",)))
    yield tmp_path
    setup.stop_setup()


def wait_until(done, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    assert done()


def test_set_up_backend_makes_one(small):
    with pytest.raises(BackendProblem, match="not installed"):
        preferences.backend_python()
    assert bpy.ops.fit_to_photo.setup_backend() == {"FINISHED"}
    assert preferences.backend_python().startswith(str(small))
    with pytest.raises(RuntimeError, match="not ready.*numpy does not work"):
        bpy.ops.fit_to_photo.check_setup()
    assert [part.ok for part in setup.last_check().parts if part.name in ("Python", "torch")] == [True, False]


def test_cancel_stops_it_and_nothing_is_left(small):
    assert not bpy.ops.fit_to_photo.cancel_setup.poll()
    running = setup.Setup(small, installation.find_system_python(), setup.choose_build(None))
    setup._setup = running
    running.start()
    wait_until((small / "backend.new").exists)
    assert setup._tick() == setup.TICK_SECONDS
    assert not bpy.ops.fit_to_photo.setup_backend.poll()
    assert bpy.ops.fit_to_photo.cancel_setup() == {"FINISHED"}
    wait_until(lambda: running.finished)
    assert running.stopped
    assert setup._tick() is None
    assert not (small / "backend").exists()


def test_a_check_in_the_background_is_followed_by_the_timer(monkeypatch):
    monkeypatch.setenv(VARIABLE, sys.executable)
    setup._start_check()
    assert setup._tick() == setup.TICK_SECONDS
    assert not bpy.ops.fit_to_photo.check_setup.poll()
    wait_until(lambda: not setup.checking())
    assert setup._tick() is None
    assert setup.last_check().ready, setup.last_check().sentences()
    setup.stop_setup()
    assert setup.last_check() is None
