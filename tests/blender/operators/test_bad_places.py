"""Backends, folders, disks and memory that fail, and what goes away during a fit: each is a sentence."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from blender_addon.operators.fit import why_not  # noqa: E402
from tests.blender.operators.conftest import Cases, everything, tick_until  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def test_no_backend(refused, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody"))
    refused("which does not exist: choose the Python that has torch installed")


def test_the_button_says_why_it_is_greyed_out(tmp_path, monkeypatch):
    """What its tooltip tells in a window; without one it is never grey, for scripts are to hear the reason."""
    assert not why_not(bpy.context)
    bpy.context.scene.fit_to_photo.geometry = bpy.context.scene.fit_to_photo.texture = False
    assert why_not(bpy.context) == "Nothing to fit: turn on Geometry or Texture"
    bpy.context.scene.fit_to_photo.texture = True
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody"))
    assert "which does not exist: choose the Python that has torch installed" in why_not(bpy.context)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    assert why_not(bpy.context) == "There is no mesh to fit: add or unhide one"
    assert bpy.ops.fit_to_photo.run.poll()


def test_a_backend_that_cannot_run(refused, tmp_path, monkeypatch):
    (tmp_path / "text").write_text("not a program")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "text"))
    refused("cannot be started: .*text .*Set Backend Python in the add-on's preferences, or press Check Setup")


@pytest.mark.parametrize("place", ["a file", "a folder of the system"])
def test_a_job_folder_that_cannot_be_made(refused, tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "jobs" if place == "a file" else Path("/proc/fit_to_photo")
    monkeypatch.setattr(preferences, "job_root", lambda: root)
    refused("The job folder .* cannot be written .* Choose another Job Folder in the add-on's preferences")


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is made of memory")
def test_a_full_disk(refused, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True, check=False).returncode != 0:
        pytest.skip("making a small disk needs root")
    try:
        monkeypatch.setattr(preferences, "job_root", lambda: disk)
        refused("The disk is full: cannot write .* Free some space or choose another job folder")
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_disk_that_takes_no_file_of_that_size(jobs):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(session.CannotStart, match=f"Cannot write .*: {os.strerror(errno.EFBIG)}"):
            session.start(bpy.context.scene, bpy.context.view_layer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(jobs.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_texture_larger_than_the_memory(refused):
    import resource

    bpy.context.scene.fit_to_photo.texture_size = 8192
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), hard))
    try:
        refused("There is not enough memory to read meshes, textures and photos: choose a smaller Texture Size")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_two_fits_at_once(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "endless")
    session.start(bpy.context.scene, bpy.context.view_layer)
    before = everything()
    with pytest.raises(RuntimeError, match="A fit is already running: wait for it to end, or cancel it first"):
        bpy.ops.fit_to_photo.run()
    assert everything() == before
    assert session.is_running()


def test_check_setup_names_what_is_wrong():
    with pytest.raises(RuntimeError, match="does not work as a Python"):
        bpy.ops.fit_to_photo.check_setup()


def test_set_up_needs_online_access():
    assert bpy.ops.fit_to_photo.setup_backend.poll() == bpy.app.online_access


# -- during the fit ----------------------------------------------------------------------------------------------------------------------

gone = Cases()


@gone("'Cube' was deleted while it was being fitted: undo that, or choose another mesh, and fit again")
def the_object():
    bpy.data.objects.remove(bpy.data.objects["Cube"])


@gone("'Cube' was edited during the fit .* undo the edit, or fit again")
def some_vertices():
    mesh = bpy.data.meshes["Cube"]
    mesh.clear_geometry()
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])


@gone("'Cube' is scaled to nothing: give it a scale other than 0")
def the_scale():
    bpy.data.objects["Cube"].scale = 0, 0, 0
    bpy.context.view_layer.update()


@gone("'Cube' shows only one shape key: turn off the pin")
def the_other_shape_keys():
    bpy.data.objects["Cube"].shape_key_add(name="Basis")
    bpy.data.objects["Cube"].show_only_shape_key = True


@pytest.mark.parametrize("name", gone)
def test_what_goes_away_during_the_fit_is_a_sentence(name):
    spoil, words = gone[name]
    fit = session.start(bpy.context.scene, bpy.context.view_layer)
    spoil()
    before = everything()
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert re.search(words, fit.message), fit.message
    assert everything() == before


def test_a_scene_deleted_during_the_fit_costs_only_the_report():
    second = bpy.data.scenes.new("Second")  # not the context's own, which Blender 5.2 cannot spare where there is no window
    for obj in bpy.context.scene.objects:
        second.collection.objects.link(obj)
    second.fit_to_photo.render_report = True
    layer = second.view_layers[0]
    layer.update()
    fit = session.start(second, layer)
    bpy.data.batch_remove((second,))
    tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.DONE, fit.message
    assert any("There is no report" in warning for warning in fit.warnings)
