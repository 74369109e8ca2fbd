"""The operators and the command line in a real bpy, with a fake worker in a real process that lifts every mesh by one unit."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import blender_addon  # noqa: E402
from blender_addon import command, preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from blender_addon.selection import select  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


@pytest.fixture(scope="module", autouse=True)
def _registered():
    blender_addon.register()
    yield
    blender_addon.unregister()  # bpy hangs at exit with classes still registered


@pytest.fixture(autouse=True)
def jobs(tmp_path, monkeypatch):
    """An empty folder for jobs, and a backend that only pretends."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{ROOT}/tests/worker/fake_worker.py" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(python))
    monkeypatch.setenv("FAKE_WORKER", "done")
    folder = tmp_path / "jobs"
    monkeypatch.setattr(preferences, "job_root", lambda: folder)
    yield folder
    session.stop()


def _camera(name: str, location: tuple[float, float, float], turn: tuple[float, float, float]) -> "bpy.types.Object":
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location, camera.rotation_euler = location, turn
    bpy.context.scene.collection.objects.link(camera)
    image = bpy.data.images.new(name, 32, 24, alpha=True)
    pixels = np.zeros((24, 32, 4), np.float32)
    pixels[6:18, 10:22] = (0.9, 0.9, 0.9, 1)  # as a mesh without material looks
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    camera.data.show_background_images = True
    camera.data.background_images.new().image = image
    return camera


@pytest.fixture(autouse=True)
def scene():
    """A cube, a camera in front of it, one beside it, and a lamp."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 32, 24
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.select_all(action="DESELECT")
    _camera("Front", (0, -8, 0), (np.pi / 2, 0, 0))
    _camera("Side", (8, 0, 0), (np.pi / 2, 0, np.pi / 2))
    scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))
    scene.fit_to_photo.render_report = False
    bpy.context.view_layer.update()
    return scene


def _heights() -> np.ndarray:
    """Heights of the cube's vertices as Blender evaluates them."""
    bpy.context.view_layer.update()
    evaluated = bpy.data.objects["Cube"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([vertex.co.z for vertex in evaluated.data.vertices])


def _fingerprint() -> tuple:
    """Everything a fit might leave behind."""
    kinds = ("objects", "meshes", "materials", "images", "shape_keys")
    blocks = tuple(tuple(sorted(block.name for block in getattr(bpy.data, kind))) for kind in kinds)
    report = bpy.context.scene.fit_to_photo.last_report
    return blocks, tuple(_heights()), report, len(bpy.data.objects["Cube"].material_slots), len(bpy.data.meshes["Cube"].uv_layers)


def _lifted() -> bool:
    return bool(np.allclose(np.sort(_heights()), [0] * 4 + [2] * 4, atol=1e-5))


def _tick_until(fit: session.Session, done, limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        fit.tick()
        time.sleep(0.01)
    assert done()


def _start() -> session.Session:
    return session.start(bpy.context.scene, bpy.context.view_layer)


def test_a_fit_is_written_and_reported(scene, jobs):
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert _lifted()
    report = json.loads(scene.fit_to_photo.last_report)
    assert (report["status"], report["message"], report["renderer"]) == ("done", "Fitted.", "fake")
    assert "This is only a fake" in report["warnings"]
    assert report["done"]
    assert not list(jobs.iterdir()), "the job folder of a fit that succeeded is removed"


def test_revert_gives_everything_back(scene):
    before = _fingerprint()
    assert not bpy.ops.fit_to_photo.revert.poll()
    bpy.ops.fit_to_photo.run()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    after = _fingerprint()
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
    assert _lifted()


def test_undo_is_one_step(scene):
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.fit_to_photo.run("EXEC_DEFAULT", True)
    assert _lifted()
    assert bpy.context.scene.fit_to_photo.last_report
    bpy.ops.ed.undo()
    assert np.allclose(np.sort(_heights()), [-1] * 4 + [1] * 4)
    assert not bpy.context.scene.fit_to_photo.last_report


def test_a_crash_leaves_the_scene_alone(jobs, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "crash")
    before = _fingerprint()
    with pytest.raises(RuntimeError, match=r"stopped unexpectedly: .*SIGKILL.*the card fell off.*Nothing was changed\. The job folder is"):
        bpy.ops.fit_to_photo.run()
    assert _fingerprint() == before
    assert list(jobs.glob("*/worker.log")), "the log of a crash is kept"
    monkeypatch.setenv("FAKE_WORKER", "done")
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}


def test_a_crash_after_a_checkpoint_keeps_the_best(scene, monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "checkpoint")
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert _lifted()
    report = json.loads(scene.fit_to_photo.last_report)
    assert report["status"] == "failed"
    assert "The best result so far was kept" in report["message"]


def test_a_refused_fit_is_an_error(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "refuse")
    before = _fingerprint()
    with pytest.raises(RuntimeError, match=r"The fit ran away\. Check the cameras\. Nothing was changed"):
        bpy.ops.fit_to_photo.run()
    assert _fingerprint() == before


@pytest.mark.parametrize("mode", ["endless", "deaf"])
def test_cancel_ends_within_two_seconds(jobs, monkeypatch, mode):
    monkeypatch.setenv("FAKE_WORKER", mode)
    bpy.context.scene.fit_to_photo.render_report = True
    fit = _start()
    _tick_until(fit, lambda: fit.progress.step > 0)
    assert bpy.ops.fit_to_photo.cancel() == {"FINISHED"}
    begin = time.monotonic()
    _tick_until(fit, lambda: fit.changed or fit.finished)
    assert time.monotonic() - begin < 2
    _tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.CANCELLED
    assert _lifted() == fit.changed == (mode == "endless")
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
    before = _fingerprint()
    fit = _start()
    _tick_until(fit, lambda: fit.progress.step > 0)
    session.stop()
    assert _fingerprint() == before
    assert not list(jobs.iterdir())


def test_a_mesh_deleted_meanwhile_is_a_sentence(monkeypatch):
    fit = _start()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    _tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert "Cube" in fit.message


def test_a_mesh_edited_meanwhile_is_not_overwritten():
    fit = _start()
    mesh = bpy.data.objects["Cube"].data
    mesh.clear_geometry()
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    _tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.FAILED
    assert len(mesh.vertices) == 3


def test_a_camera_deleted_meanwhile_costs_only_the_report(scene):
    scene.fit_to_photo.render_report = True
    fit = _start()
    bpy.data.objects.remove(bpy.data.objects["Side"])
    _tick_until(fit, lambda: fit.finished)
    assert fit.state is session.State.DONE
    assert _lifted()
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


# -- bad inputs: each is a sentence, and the scene stays as it was -----------------------------------------------------------------


def _two_meshes():
    bpy.data.scenes[0].collection.objects.link(bpy.data.objects.new("Other", bpy.data.meshes["Cube"].copy()))


def _no_photo():
    for camera in bpy.data.cameras:
        camera.background_images.clear()


def _selected_camera_without_photo():
    bpy.data.cameras["Front"].background_images.clear()
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
        (_two_meshes, "select the one to fit"),
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
    before = _fingerprint()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.fit_to_photo.run()
    assert _fingerprint() == before
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
    with pytest.raises(RuntimeError, match="choose another Job Folder"):
        bpy.ops.fit_to_photo.run()


def test_check_setup_names_what_is_wrong():
    with pytest.raises(RuntimeError, match="does not work as a Python"):
        bpy.ops.fit_to_photo.check_setup()


def test_set_up_needs_online_access():
    assert bpy.ops.fit_to_photo.setup_backend.poll() == bpy.app.online_access


# -- what is chosen ------------------------------------------------------------------------------------------------------------------


def test_selection_wins_over_what_is_visible(scene):
    _two_meshes()
    layer = bpy.context.view_layer
    layer.update()
    assert select(scene, layer).problem
    bpy.data.objects["Other"].select_set(True)
    bpy.data.objects["Side"].select_set(True)
    bpy.data.objects["Lamp"].select_set(True)
    chosen = select(scene, layer)
    assert (chosen.meshes, chosen.cameras, chosen.lights, chosen.problem) == (("Other",), ("Side",), ("Lamp",), "")


def test_without_a_selection(scene):
    chosen = select(scene, bpy.context.view_layer)
    assert (chosen.meshes, chosen.cameras, chosen.lights, chosen.problem) == (("Cube",), ("Front", "Side"), (), "")


# -- the command line ----------------------------------------------------------------------------------------------------------------


def test_the_command_saves_a_fitted_scene(tmp_path, capsys):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "in.blend"))
    output, numbers = tmp_path / "deep" / "out.blend", tmp_path / "report.json"
    assert command.run(["--output", str(output), "--report", str(numbers), "--no-texture", "--quality", "draft", "--cameras", "Front"]) == 0
    said = capsys.readouterr().out
    assert "step 5 of 5" in said
    assert said.splitlines()[-1] == f"Fit to Photo: saved as {output}"
    assert json.loads(numbers.read_text())["status"] == "done"
    bpy.ops.wm.open_mainfile(filepath=str(output))
    assert _lifted()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert np.allclose(np.sort(_heights()), [-1] * 4 + [1] * 4)


def test_the_command_saves_beside_the_scene(tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "in.blend"))
    untouched = (tmp_path / "in.blend").read_bytes()
    assert command.run([]) == 0
    assert (tmp_path / "in_fitted.blend").exists()
    assert (tmp_path / "in.blend").read_bytes() == untouched


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Exit code"),
        (["--quality", "best"], 2, "invalid choice"),
        (["--nonsense"], 2, "unrecognized"),
        ([], 1, "never saved"),
        (["--output", "x.blend", "--cameras", "Nobody"], 1, "no camera named 'Nobody'"),
        (["--output", "x.blend", "--stiffness", "0"], 1, "Stiffness must lie"),
        (["--output", "x.blend", "--python", "/nowhere/python"], 1, "cannot be started"),
    ],
)
def test_wrong_commands(arguments, code, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.run(arguments) == code
    said = capsys.readouterr()
    assert words in said.out + said.err
    assert not list(tmp_path.glob("*.blend"))


def test_a_failed_command_says_so_in_its_exit_code_and_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAKE_WORKER", "refuse")
    assert command.run(["--output", str(tmp_path / "x.blend"), "--report", str(tmp_path / "r.json")]) == 1
    assert not (tmp_path / "x.blend").exists()
    assert json.loads((tmp_path / "r.json").read_text())["status"] == "failed"
    assert capsys.readouterr().out.splitlines()[-1] == "Fit to Photo: nothing was saved"


def test_the_command_draws_a_sheet(tmp_path):
    sheet = tmp_path / "sheet.png"
    arguments = ["--output", str(tmp_path / "x.blend"), "--sheet", str(sheet), "--render-report", "--cameras", "Front", "--lights", "Lamp"]
    assert command.run(arguments) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
