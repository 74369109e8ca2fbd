"""What would find no room in memory is refused before anything is made of it."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

pytest.importorskip("torch")

from dr_backend.job import FitSettings, JobError  # noqa: E402
from dr_backend.problem import make_problem  # noqa: E402
from dr_backend.scene import Photo  # noqa: E402
from tests.scenes import ring, sphere_scene  # noqa: E402


def problem(monkeypatch, free_gib: float, **settings):
    """A ball with that much memory free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free_gib * 2**30)))
    scene = sphere_scene(ring(2, (32, 32)), segments=256, rings=128)
    photos = [Photo(name, np.zeros((32, 32, 3), np.float32), np.ones((32, 32), np.float32)) for name in scene.cameras]
    return make_problem(scene, photos, FitSettings(device="cpu", renderer="reference", **settings))


def test_textures_that_find_no_room(monkeypatch):
    with pytest.raises(JobError, match=r"Textures of 8192 pixels a side need 16\.\d GiB, 4\.0 GiB are free") as caught:
        problem(monkeypatch, 4, texture_size=8192)
    assert (caught.value.code, caught.value.hint) == ("out_of_memory", "Choose a smaller Texture Size, or close other programs")


def test_meshes_that_find_no_room(monkeypatch):
    with pytest.raises(JobError, match=r"Meshes of 32,514 vertices need 0\.1 GiB, 0\.1 GiB are free") as caught:
        problem(monkeypatch, 0.1, texture=False)
    assert "Decimate" in caught.value.hint


def test_what_finds_room_is_fitted(monkeypatch):
    assert problem(monkeypatch, 4, texture_size=64).scene.materials["Paint"].base_color_image.shape == (64, 64, 3)
