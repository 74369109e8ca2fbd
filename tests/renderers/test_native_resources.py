"""What the native renderer takes from the machine: memory within its plan, none kept, and a million faces.

``python -m tests.renderers.test_native_resources SIDE SEGMENTS`` prints bytes: those planned for a forward and backward pass, those taken.
"""

import ctypes
import gc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from dr_backend.geometry import FlatScene, flatten
from dr_backend.renderers.native import NativeRenderer
from dr_backend.scene import Material, Mesh, Scene
from tests.renderers.parity import body, scene_of
from tests.scenes import uv_sphere
from tests.shapes import camera

ROOT = Path(__file__).parents[2]
KEPT = 4 << 20  # bytes that may come and go by chance; an image that is kept each step makes several times as much
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def painted_sphere(segments: int) -> FlatScene:
    """About ``segments`` ² faces with an image."""
    positions, faces, uvs = uv_sphere(segments, segments // 2)
    mesh = Mesh(positions, faces, np.eye(4), uvs, materials=("paint",))
    material = Material(np.full(3, 0.5), np.random.default_rng(0).random((64, 64, 3)))
    return flatten(Scene(meshes={"mesh": mesh}, materials={"paint": material}))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("kind", "steps"), [("outline", 400), ("painted", 500), ("lit", 300)])
def test_memory_does_not_grow(kind, steps):
    scene = flatten(scene_of(body(1), lit=kind == "lit"))
    views = [camera(48, 48), camera(64, 40)]  # what two images share is harder to let go
    renderer, process = NativeRenderer(threads=1), psutil.Process()

    def after(count: int) -> int:
        for _ in range(count):
            points = scene.positions.detach().requires_grad_()
            outputs = renderer.render(replace(scene, positions=points), views, color=kind != "outline")
            loss = sum(out.alpha.sum() + out.rgb.sum() for out in outputs)
            if kind != "outline":
                loss = loss + sum(torch.where(out.face_id < 0, 0.0, out.depth).sum() for out in outputs)
            loss.backward()
        return process.memory_info().rss

    early = after(steps // 10)
    assert after(steps - steps // 10) - early < KEPT


def test_a_million_faces():
    scene, view = painted_sphere(1000), camera(512, 512)
    assert len(scene.faces) > 990_000
    points = scene.positions.requires_grad_()
    (out,) = NativeRenderer().render(scene, [view], color=False)
    out.alpha.sum().backward()
    radius = view.focal_px / np.sqrt(3.0**2 - 1)  # of the outline of a unit sphere seen from a distance of 3, on the image plane at 1
    area = np.pi * radius[0] * radius[1]
    assert float(out.alpha.detach().sum()) == pytest.approx(area, rel=1e-3)
    growth = float((points.grad * points.detach()).sum())  # what the area gains when the sphere grows
    assert growth == pytest.approx(2 * area * (1 + 1 / (3.0**2 - 1)), rel=2e-2)


def memory(name: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` the most since that was last cleared."""
    return next(int(line.split()[1]) * 1024 for line in STATUS.read_text().splitlines() if line.startswith(name))


def main(side: int, segments: int) -> None:
    torch.set_num_threads(1)
    scene, view, renderer = painted_sphere(segments), camera(side, side, distance=0.9), NativeRenderer(threads=2)
    texels = scene.materials[0].image.requires_grad_()
    scene = replace(scene, positions=scene.positions.requires_grad_(), materials=(replace(scene.materials[0], image=texels),))
    for width, height in [(64, 64), view.size, view.size]:  # the last time by a recipe
        out = None
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text("5")
        before = memory("VmRSS")
        seen = replace(view, size=(width, height))
        (out,) = renderer.render(scene, [seen])
        (out.rgb.sum() + out.alpha.sum()).backward()
    print(renderer.plan(scene, [view]), memory("VmHWM") - before)


@pytest.mark.skipif(not CLEAR.exists(), reason="only Linux tells how much memory a process took at its peak")
@pytest.mark.parametrize(("side", "segments"), [(4096, 64), (512, 1000)])
def test_large_images_and_meshes_keep_to_the_plan(side, segments):
    command = [sys.executable, "-m", "tests.renderers.test_native_resources", str(side), str(segments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    planned, taken = map(int, done.stdout.split())
    assert planned / 3 < taken <= planned


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
