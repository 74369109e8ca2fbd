"""The real worker process: done, cancelled, killed, orphaned, and given bad jobs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dr_backend.job import FitSettings, JobFolder, parse_event
from dr_backend.scene import Photo
from dr_backend.worker import Commands, _for_preview
from tests.fits.test_recover import photograph
from tests.scenes import painted, ring, sphere_scene

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path):
    cameras = ring(4, (64, 64))
    photos = photograph(sphere_scene(cameras, (1.0, 0.75, 0.6), painted()))
    folder = JobFolder(tmp_path / "ünï cödé job")
    folder.save(sphere_scene(cameras), photos, FitSettings(quality="draft"))
    return folder


def start(folder: JobFolder) -> subprocess.Popen:
    command = [sys.executable, "-m", "dr_backend", "fit", str(folder.path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def wait_for(process: subprocess.Popen, kind: str) -> list:
    seen = []
    for line in process.stdout:
        event = parse_event(line)
        assert event is not None, f"not an event: {line!r}"
        seen.append(event)
        if event.kind == kind:
            return seen
    raise AssertionError(f"no {kind} event: {[e.kind for e in seen]} {process.stderr.read()}")


def test_a_job_is_done(job):
    process = start(job)
    events = wait_for(process, "done")
    assert process.wait(20) == 0
    kinds = [e.kind for e in events]
    assert kinds[0] == "hello"
    assert kinds.count("stage") == 4
    assert "step" in kinds
    values, summary = job.load_result()
    assert set(values) == {"meshes/Ball/positions", "materials/Paint/base_color_image"}
    assert values["meshes/Ball/positions"].dtype == np.float32
    assert summary["status"] == "done"
    assert summary["renderer"] in ("native", "reference")
    assert summary["why"]


def test_cancel_keeps_the_best(job):
    process = start(job)
    wait_for(process, "step")
    asked = time.monotonic()
    process.stdin.write(json.dumps({"command": "cancel"}) + "\n")
    process.stdin.flush()
    wait_for(process, "cancelled")
    assert time.monotonic() - asked < 2
    assert process.wait(20) == 3
    values, summary = job.load_result()
    assert summary["status"] == "cancelled"
    assert np.isfinite(values["meshes/Ball/positions"]).all()


def pause(process) -> None:
    """Pauses a fit, which keeps a checkpoint then: small fits end before they keep one by themselves."""
    process.stdin.write('{"command": "pause"}\n')
    process.stdin.flush()
    wait_for(process, "checkpoint")


def test_pause_keeps_a_checkpoint_and_waits_and_resume_goes_on(job):
    process = start(job)
    wait_for(process, "step")
    pause(process)
    assert np.isfinite(job.load_checkpoint()["meshes/Ball/positions"]).all()
    time.sleep(1.0)
    assert process.poll() is None
    process.stdin.write('not a command\n{"command": "resume"}\n')
    process.stdin.flush()
    wait_for(process, "done")
    process.wait(20)


def test_previews_come_once_asked_for(job):
    process = start(job)
    assert "preview" not in [event.kind for event in wait_for(process, "step")]
    process.stdin.write('{"command": "preview"}\n')
    process.stdin.flush()
    wait_for(process, "preview")
    seen = job.load_preview()
    assert set(seen) == {"meshes/Ball/positions"}
    assert not np.array_equal(seen["meshes/Ball/positions"], job.load()[0].meshes["Ball"].positions)
    process.stdin.write('{"command": "look", "camera": "nobody"}\n{"command": "look", "camera": "Camera 1"}\n')
    process.stdin.flush()
    assert wait_for(process, "look")[-1].data["camera"] == "Camera 1"
    render, photo = job.load_look(), next(p for p in job.load()[1] if p.camera == "Camera 1")
    assert render.shape == (64, 64, 4)
    assert np.abs(render[..., 3] - photo.mask).mean() < 0.1, "the picture is that of this camera"
    assert wait_for(process, "step"), "the fit goes on"
    process.kill()
    process.communicate()


def test_images_in_previews_are_small():
    image = torch.arange(512 * 300 * 3, dtype=torch.float32).reshape(512, 300, 3) / 512 / 300 / 3
    path = "materials/Paint/base_color_image"
    seen = _for_preview({path: image, "meshes/Ball/positions": torch.ones(4, 3), "cameras/Front/focal_px": torch.ones(2)})
    assert seen.keys() == {path, "meshes/Ball/positions"}
    assert seen[path].shape == (256, 256, 3)
    assert seen[path].dtype == np.float16
    assert np.allclose(seen[path].mean((0, 1)), image.mean((0, 1)), atol=1e-3)
    assert seen[path][0].mean() < 0.01 < 0.99 < seen[path][-1].mean(), "the first row stays the first"


def test_endless_and_nested_lines_are_no_commands():
    read, write = os.pipe()
    commands = Commands(read)
    os.write(write, b"[" * 5000 + b"\n" + b"x" * 40000)
    time.sleep(0.2)
    os.write(write, b'\n{"command": "pause"}\n')
    end = time.monotonic() + 5
    while not commands.paused() and time.monotonic() < end:
        time.sleep(0.01)
    assert commands.paused()
    os.close(write)
    assert commands.should_stop()
    os.close(read)


def test_end_of_stdin_means_the_parent_is_gone(job):
    process = start(job)
    wait_for(process, "step")
    process.stdin.close()
    process.stdin = None
    assert process.wait(5) == 3
    assert job.load_result() is not None
    process.stdout.close()
    process.stderr.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_worker_leaves_no_half_result(job):
    process = start(job)
    wait_for(process, "step")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert job.load_result() is None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_fit_goes_on_where_it_stopped(job):
    process = start(job)
    while wait_for(process, "step")[-1].data["step"] <= 80:  # in a later stage than the first
        pass
    pause(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    stage, kept = job.load_checkpoint_stage(), job.load_checkpoint()
    assert stage > 0
    process = start(job)
    events = wait_for(process, "done")
    assert process.wait(20) == 0
    assert [e.data["index"] for e in events if e.kind == "stage"] == list(range(stage, 4))
    assert min(e.data["step"] for e in events if e.kind == "step") > 80
    assert not np.array_equal(job.load_result()[0]["meshes/Ball/positions"], kept["meshes/Ball/positions"])


def test_a_stopped_fit_goes_on_and_a_whole_one_begins_anew(job):
    process = start(job)
    wait_for(process, "step")
    pause(process)
    process.stdin.write('{"command": "resume"}\n')
    process.stdin.close()
    process.stdin = None
    assert process.wait(5) == 3
    process.communicate()
    start_again = start(job)
    stages = [e.data["index"] for e in wait_for(start_again, "done") if e.kind == "stage"]
    assert stages == list(range(stages[0], 4))
    start_again.wait(20)
    again = start(job)
    assert wait_for(again, "step")[-1].data["step"] == 1
    again.kill()
    again.communicate()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "job.json").unlink(), "job.json"),
        (lambda path: (path / "job.json").write_text("[1"), "job.json"),
        (lambda path: (path / "job.json").write_text('{"protocol": "9.0"}'), "protocol 9.0"),
        (lambda path: (path / "scene.npz").write_bytes(b"PK garbage"), "scene.npz"),
        (lambda path: (path / "photos" / "0.npz").unlink(), "0.npz"),
    ],
)
def test_a_bad_job_fails_with_a_sentence(job, damage, words):
    damage(job.path)
    process = start(job)
    event = wait_for(process, "failed")[-1]
    assert process.wait(20) == 1
    assert event.data["code"] == "bad_job"
    assert words in event.data["message"]
    assert event.data["hint"]


def test_render_writes_one_picture_per_camera(job):
    command = [sys.executable, "-m", "dr_backend", "render", str(job.path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(list((job.path / "renders").glob("*.png"))) == 4
    assert "Camera 3" in finished.stderr


def test_doctor_speaks_sentences_and_json():
    text = subprocess.run([sys.executable, "-m", "dr_backend", "doctor"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Auto uses" in text
    command = [sys.executable, "-m", "dr_backend", "doctor", "--json"]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert {"part", "ok", "sentence"} <= set(found[0])


def test_photos_survive_the_folder(tmp_path):
    cameras = ring(1, (20, 10))
    rgb = np.random.default_rng(0).random((10, 20, 3), np.float32)
    folder = JobFolder(tmp_path)
    folder.save(sphere_scene(cameras), [Photo("Camera 0", rgb, None, True)], FitSettings())
    scene, photos, _ = folder.load()
    assert np.allclose(photos[0].rgb, rgb, atol=5e-4)
    assert photos[0].mask is None
    assert photos[0].held_out
    assert scene.cameras["Camera 0"].size == (20, 10)
