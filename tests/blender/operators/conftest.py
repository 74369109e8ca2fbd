"""A cube, two cameras with photos, and a fake worker in a real process that lifts every mesh by one unit."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
from blender_addon import preferences, session  # noqa: E402
from blender_addon.environment import VARIABLE  # noqa: E402
from tests.blender.conftest import fingerprint as contents  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def registered():
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


def add_camera(name: str, location: tuple[float, float, float], turn: tuple[float, float, float]) -> "bpy.types.Object":
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location, camera.rotation_euler = location, turn
    bpy.context.scene.collection.objects.link(camera)
    image = bpy.data.images.new(name, 32, 24, alpha=True)
    pixels = np.zeros((24, 32, 4), np.float32)
    pixels[6:18, 10:22] = (0.9, 0.9, 0.9, 1)  # as a mesh without material looks
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    camera.data.show_background_images = True
    background = camera.data.background_images.new()
    background.image, background.frame_method = image, "STRETCH"  # Fit by default since Blender 5
    return camera


@pytest.fixture(autouse=True)
def scene():
    """A cube, a camera in front of it, one beside it, and a lamp."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 32, 24
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.select_all(action="DESELECT")
    add_camera("Front", (0, -8, 0), (np.pi / 2, 0, 0))
    add_camera("Side", (8, 0, 0), (np.pi / 2, 0, np.pi / 2))
    scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))
    scene.fit_to_photo.render_report = False
    bpy.context.view_layer.update()
    return scene


def heights() -> np.ndarray:
    """Heights of the cube's vertices as Blender evaluates them."""
    bpy.context.view_layer.update()
    evaluated = bpy.data.objects["Cube"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([vertex.co.z for vertex in evaluated.data.vertices])


def fingerprint() -> tuple:
    """Everything a fit might leave behind."""
    kinds = ("objects", "meshes", "materials", "images", "shape_keys")
    blocks = tuple(tuple(sorted(block.name for block in getattr(bpy.data, kind))) for kind in kinds)
    report = bpy.context.scene.fit_to_photo.last_report
    return blocks, tuple(heights()), report, len(bpy.data.objects["Cube"].material_slots), len(bpy.data.meshes["Cube"].uv_layers)


def everything() -> tuple:
    """All there is in the file: names of all blocks, what meshes and materials hold, where objects are and what cameras show."""
    collections = {name: getattr(bpy.data, name) for name in dir(bpy.data)}
    blocks = {n: sorted(b.name_full for b in c) for n, c in collections.items() if isinstance(c, bpy.types.bpy_prop_collection)}
    objects = {o.name: (o.mode, repr(o.matrix_world), o.select_get(), o.hide_viewport, o.modifiers.keys()) for o in bpy.data.objects}
    shown = [
        (c.name, c.type, [(b.source, b.image and b.image.name, b.frame_method, b.scale, b.rotation) for b in c.background_images])
        for c in bpy.data.cameras
    ]
    scene = bpy.context.scene
    settings = {name: getattr(scene.fit_to_photo, name) for name in scene.fit_to_photo.__annotations__}
    picture = scene.camera and scene.camera.name, scene.render.resolution_x, scene.render.engine, scene.view_settings.view_transform
    return blocks, contents(), objects, shown, settings, picture


@pytest.fixture
def refused(jobs, capfd):
    """Presses Fit to Photo, which answers with one sentence that holds these words and changes nothing."""

    def press(words: str) -> None:
        before = everything()
        with pytest.raises(RuntimeError, match=words) as caught:
            bpy.ops.fit_to_photo.run()
        said = str(caught.value).removeprefix("Error: ").strip()
        assert "Traceback" not in said + capfd.readouterr().err
        assert said[0].isupper() or said[0] == "'", said
        assert 20 < len(said) < 300, said
        assert "\n" not in said, said
        assert everything() == before
        assert not session.is_running()
        assert not jobs.exists() or not list(jobs.iterdir())

    return press


class Cases(dict):
    """Ways to spoil the scene by name, each with what is expected of it: ``@cases(expected)``."""

    def __call__(self, expected):
        def add(spoil):
            self[spoil.__name__] = (spoil, expected)
            return spoil

        return add


def lifted() -> bool:
    return bool(np.allclose(np.sort(heights()), [0] * 4 + [2] * 4, atol=1e-5))


def two_meshes():
    """A second mesh beside the cube."""
    bpy.data.scenes[0].collection.objects.link(bpy.data.objects.new("Other", bpy.data.meshes["Cube"].copy()))


def tick_until(fit: session.Session, done, limit_s: float = 20) -> None:
    """Moves a fit on until something is so; fails after ``limit_s`` seconds."""
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        fit.tick()
        time.sleep(0.01)
    assert done()
