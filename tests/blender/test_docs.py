"""The scripts of docs/scripts.md, run as Blender runs them, each in a process of its own."""

import csv
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.reconstruction import save_colmap, save_photos, views  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

# What stands for "blender --background BLEND --python SCRIPT -- ARGUMENTS": pip's bpy has no program of its own.
BLENDER = """
import os, runpy, sys, traceback
sys.path.insert(0, sys.argv.pop(1))
blend, script = sys.argv[1:3]
import bpy, blender_addon
blender_addon.register()
if blend:
    bpy.ops.wm.open_mainfile(filepath=blend)
sys.argv[:] = ["blender", "--background", blend, "--python", script, "--", *sys.argv[3:]]
code = 0
try:
    runpy.run_path(script, run_name="__main__")
except BaseException:
    traceback.print_exc()
    code = 1
blender_addon.unregister()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""


def run(folder, name, *arguments, blend="", backend="fake"):
    """Writes the script of that name from the page and runs it; returns its output."""
    page = (ROOT / "docs" / "scripts.md").read_text("utf-8")
    source = next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if code.startswith(f"# {name}:"))
    (folder / name).write_text(source, "utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{ROOT}/tests/worker/fake_worker.py" "$@"\n')
    python.chmod(0o755)
    environment = {**os.environ, "FIT_TO_PHOTO_PYTHON": str(python) if backend == "fake" else sys.executable, "FAKE_WORKER": "done"}
    command = [sys.executable, "-c", BLENDER, str(ROOT), str(blend), str(folder / name), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False)
    return done.returncode, done.stdout + done.stderr


def save_scene(build, path):
    build.mesh()
    build.camera("Front")
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def test_one_scene(build, tmp_path):
    save_scene(build, tmp_path / "scene.blend")
    code, said = run(tmp_path, "fit_scene.py", tmp_path / "fitted.blend", blend=tmp_path / "scene.blend")
    assert code == 0, said
    assert re.search(r"Front: PSNR \d+\.\d → \d+\.\d dB", said), said
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "fitted.blend"))
    assert len(bpy.data.objects["Cube"].data.shape_keys.key_blocks) == 2


def test_a_failure_ends_the_script(build, tmp_path):
    save_scene(build, tmp_path / "scene.blend")
    bpy.data.objects.remove(bpy.data.objects["Front"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    code, said = run(tmp_path, "fit_scene.py", tmp_path / "fitted.blend", blend=tmp_path / "scene.blend")
    assert code == 1
    assert "No visible camera has a photo" in said
    assert not (tmp_path / "fitted.blend").exists()


def test_from_files(build, tmp_path):
    """With the real backend: there is a painted image in the exported file."""
    pytest.importorskip("torch")
    pytest.importorskip("cholespy")
    taken, size = views(2), (64, 48)
    save_colmap(tmp_path / "sparse" / "0", taken, "SIMPLE_PINHOLE", {"f": 80, "cx": 32, "cy": 24}, size, binary=True)
    save_photos(tmp_path / "images", taken, size)
    build.mesh(material=None)
    bpy.ops.wm.obj_export(filepath=str(tmp_path / "mesh.obj"), forward_axis="Y", up_axis="Z")
    arguments = [tmp_path / name for name in ("mesh.obj", "sparse/0", "images", "textured.glb")]
    code, said = run(tmp_path, "texture_scan.py", *arguments, backend="real")
    assert code == 0, said
    data = (tmp_path / "textured.glb").read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    exported = json.loads(data[20 : 20 + length])
    assert exported["images"], exported["materials"]
    assert exported["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]


def test_many_scenes(build, tmp_path):
    (tmp_path / "scenes").mkdir()
    save_scene(build, tmp_path / "scenes" / "a.blend")
    bpy.data.objects.remove(bpy.data.objects["Front"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scenes" / "b.blend"))
    code, said = run(tmp_path, "fit_folder.py", tmp_path / "scenes", tmp_path / "numbers.csv")
    assert code == 0, said
    with open(tmp_path / "numbers.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scene"], row["camera"]) for row in rows] == [("a.blend", "Front"), ("b.blend", "")]
    assert float(rows[0]["psnr_after"]) > 0
    assert "No visible camera has a photo" in rows[1]["problem"]
    assert (tmp_path / "scenes" / "a_fitted.blend").is_file()
    assert not (tmp_path / "scenes" / "b_fitted.blend").exists()
