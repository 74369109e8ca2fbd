"""The native renderer on CUDA: its kernels compile and its way leads to the same, which needs no GPU; where there is one, that it does."""

import importlib
import pkgutil
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import warp

from dr_backend.kernels.launch import BASIS, CUTS, GRAPHICS, LAMPS, PLACES, Launch, Launcher, typed
from dr_backend.raster import native
from dr_backend.renderers.base import RenderOutput
from dr_backend.renderers.native import NativeRenderer
from dr_backend.scene import Scene
from tests.renderers.parity import assert_same_images, body, image, paint, relative_error, rendered, scene_of
from tests.shapes import camera

ARCHITECTURE = 75  # the oldest that the torch of today runs on

on_gpu = pytest.mark.skipif(not (torch.cuda.is_available() and warp.is_cuda_available()), reason="there is no CUDA graphics card here")


@pytest.mark.parametrize("module", [*BASIS, CUTS, LAMPS, PLACES, GRAPHICS], ids=lambda module: module.name)
def test_every_kernel_compiles_for_cuda(tmp_path, module):
    for found in pkgutil.iter_modules(native.__path__):
        importlib.import_module(f"{native.__name__}.{found.name}")
    warp.compile_aot_module(module, arch=ARCHITECTURE, module_dir=tmp_path, use_ptx=True)
    (path,) = tmp_path.glob("*.ptx")
    code = path.read_text("ascii")
    assert f".target sm_{ARCHITECTURE}" in code
    compiled = {name.split("_cuda_kernel")[0].rsplit("_", 1)[0] for name in re.findall(r"\.visible \.entry (\w+)", code)}
    assert compiled == set(module.kernels)
    assert compiled
    assert not re.search(r"^\s*(@\S+ )?(atom|red)\.", code, re.MULTILINE)


def scenes() -> dict[str, tuple[Scene, bool]]:
    """By name: a scene, and whether it is rendered in colour."""
    mesh = body(3, seed=3)
    views = [camera(96, 80), camera(33, 70, distance=1.4), camera(64, 64, orthographic=True)]
    views.append(replace(camera(80, 64), distortion=np.array([-0.2, 0.05, 0.01, 0.02, -0.03])))
    finer = {"paint": paint(), "fine": replace(paint(encoded=True), base_color_image=image(90, 71))}  # this one is filtered
    behind = body(2, seed=7, at=(0.21, 0.13, -1.45), material="fine")
    return {
        "outline": (scene_of(mesh, views=views), False),
        "painted": (scene_of(mesh, behind, views=views, materials=finer), True),
        "lit": (scene_of(mesh, behind, views=views, materials=finer, lit=True), True),
    }


class AsOnGpu(Launcher):
    """Takes the way of a GPU, owner by owner and with torch between the kernels, on a processor."""

    def __init__(self) -> None:
        super().__init__(torch.device("cuda"), 1)
        self.memory = torch.device("cpu")

    def _queue(self, launch: Launch) -> None:
        warp.launch(launch.work, dim=launch.owners, inputs=[0, *typed(launch)], device="cpu")


@pytest.mark.parametrize("name", ["outline", "painted", "lit"])
def test_the_way_of_a_gpu_leads_to_the_same(name):
    scene, color = scenes()[name]
    renderer = NativeRenderer("cpu")
    theirs, expected = rendered(renderer, scene, color=color)
    renderer._launcher = AsOnGpu()
    ours, found = rendered(renderer, scene, color=color)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_images(mine, other)
    errors = {path: relative_error(found[path], gradient) for path, gradient in expected.items()}
    assert max(errors.values()) <= 1e-5, errors


@on_gpu
@pytest.mark.parametrize("name", ["outline", "painted", "lit"])
def test_gpu_shows_and_differentiates_as_the_processor_does(name):
    scene, color = scenes()[name]
    (ours, found), (theirs, expected) = (rendered(NativeRenderer(device), scene, color=color) for device in ("cuda", "cpu"))
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_images(mine, other, coverage=1e-4, color=1e-4)  # vertices are projected in another order of operations
    errors = {path: relative_error(found[path].cpu(), gradient) for path, gradient in expected.items()}
    assert max(errors.values()) <= 1e-3, errors


@on_gpu
@pytest.mark.parametrize("name", ["outline", "painted"])
def test_gpu_gives_the_same_bits_every_time(name):
    scene, color = scenes()[name]
    renderer = NativeRenderer("cuda")
    runs = []
    for _ in range(3):
        outputs, gradients = rendered(renderer, scene, color=color)
        images = [getattr(out, field).detach() for out in outputs for field in RenderOutput.__dataclass_fields__]
        runs.append([*images, *gradients.values()])
    for again in runs[1:]:
        assert all(torch.equal(*pair) for pair in zip(again, runs[0], strict=True))
