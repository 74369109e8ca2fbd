import errno
import json
import pickle

import numpy as np
import pytest

from dr_backend.job import FitSettings, JobError, JobFolder
from dr_backend.scene import Camera, Mesh, Photo, Scene, leaves

SETTINGS = FitSettings(seed=4)


def _scene() -> Scene:
    eye = np.eye(4)
    cameras = {name: Camera(eye, np.array([50.0, 50.0]), np.array([4.0, 3.0]), (8, 6)) for name in ("A/B", "../C")}
    mesh = Mesh(np.arange(9.0).reshape(3, 3), np.array([[0, 1, 2]], np.int32), eye)
    return Scene(cameras=cameras, meshes={"../../escape": mesh})


def _photos() -> list[Photo]:
    rgb = np.linspace(0, 1, 6 * 8 * 3, dtype=np.float32).reshape(6, 8, 3)
    return [Photo("A/B", rgb, np.ones((6, 8), np.float32)), Photo("../C", rgb, held_out=True)]


@pytest.fixture
def job(tmp_path) -> JobFolder:
    folder = JobFolder(tmp_path / "new" / "job")
    folder.save(_scene(), _photos(), SETTINGS)
    return folder


def _edit(job: JobFolder, **changes) -> None:
    data = json.loads((job.path / "job.json").read_text())
    (job.path / "job.json").write_text(json.dumps(data | changes))


def test_round_trip(job):
    scene, photos, settings = job.load()
    assert settings == SETTINGS
    for path, value in leaves(_scene()).items():
        loaded = leaves(scene)[path]
        assert loaded.dtype == value.dtype
        np.testing.assert_array_equal(loaded, value)
    assert [(p.camera, p.held_out, p.mask is None) for p in photos] == [("A/B", False, False), ("../C", True, True)]
    np.testing.assert_allclose(photos[0].rgb, _photos()[0].rgb, atol=5e-4)  # half floats: finer than 8 bits in linear light
    assert photos[0].rgb.dtype == np.float32


def test_nothing_lies_outside_and_nothing_temporary_is_left(job, tmp_path):
    job.save_result({"meshes/X/positions": np.zeros((3, 3))}, {"status": "done"})
    job.save_checkpoint({"meshes/X/positions": np.zeros((3, 3))})
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    names = {"job.json", "scene.npz", "photos/0.npz", "photos/1.npz", "result.npz", "result.json", "checkpoint.npz", "checkpoint.json"}
    assert files == {f"new/job/{name}" for name in names}


def test_without_its_summary_a_result_does_not_exist(job):
    assert job.load_result() is None
    job.save_arrays("result.npz", {"a": np.zeros(3)})
    assert job.load_result() is None
    job.save_result({"meshes/X/positions": np.ones(3)}, {"status": "done"})
    values, summary = job.load_result()
    assert summary == {"status": "done"}
    assert values["meshes/X/positions"].sum() == 3


def test_a_failed_write_keeps_the_old_file(job, monkeypatch):
    job.save_checkpoint({"a": np.ones(3)})

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(JobError, match="disk is full") as caught:
        job.save_checkpoint({"a": np.zeros(3)})
    assert caught.value.code == "disk_full"
    assert caught.value.hint
    assert job.load_checkpoint()["a"].sum() == 3
    assert not list(job.path.glob("*.tmp"))


def test_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="Cannot write") as caught:
        JobFolder(tmp_path / "file" / "job").save(_scene(), _photos(), SETTINGS)
    assert caught.value.code == "cannot_write"


def test_numbers_that_are_none_stay_out_of_json(job):
    with pytest.raises(ValueError, match="JSON"):
        job.save_json("x.json", {"loss": float("nan")})


def test_pickles_are_not_read(job):
    with open(job.path / "scene.npz", "wb") as file:
        np.savez(file, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(JobError, match="scene.npz"):
        job.load()
    (job.path / "scene.npz").write_bytes(pickle.dumps(1))
    with pytest.raises(JobError, match="scene.npz cannot be read"):
        job.load()


@pytest.mark.parametrize("name", ["job.json", "scene.npz", "photos/1.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_damage_is_a_bad_job(job, name, damage):
    path = job.path / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "noise": b"\xff\x00" * 100}[damage])
    with pytest.raises(JobError) as caught:
        job.load()
    assert caught.value.code == "bad_job"


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"quality": "best"}},
        {"scene": None},
        {"scene": {"cameras": {"A/B": {}}}},
        {"photos": None},
        {"photos": [{}]},
        {"photos": ["A"]},
        {"leaves": {"meshes/Nobody/positions": {"shape": [3, 3], "dtype": "float64"}}},
    ],
    ids=str,
)
def test_a_wrong_job_is_a_bad_job(job, changes):
    _edit(job, **changes)
    with pytest.raises(JobError) as caught:
        job.load()
    assert caught.value.code == "bad_job"


def test_versions(job):
    _edit(job, protocol="1.99", from_the_future=1)
    job.load()
    _edit(job, protocol="2.0")
    with pytest.raises(JobError, match="speaks protocol 2.0, this backend 1.2"):
        job.load()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda job: job.update(settings=[]), "Settings should be a dictionary"),
        (lambda job: job["scene"]["cameras"]["A/B"].update(size=[3]), "not a width and a height"),
        (lambda job: job["scene"]["cameras"]["A/B"].update(size=[0, 4]), "not a width and a height"),
    ],
)
def test_a_job_of_the_wrong_shape_is_refused(tmp_path, damage, words):
    folder = JobFolder(tmp_path)
    folder.save(_scene(), _photos(), SETTINGS)
    job = folder.load_json("job.json")
    damage(job)
    folder.save_json("job.json", job)
    with pytest.raises(JobError, match=words):
        folder.load()
