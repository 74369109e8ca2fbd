"""What a fit computes beside rendering by kernels is what torch computes."""

import itertools

import numpy as np
import pytest
import torch
import warp as wp
from torch import Tensor

from dr_backend.geometry import Topology, normal_kernels, normals, prepare
from dr_backend.kernels.arrays import descriptor, kind_of
from dr_backend.kernels.launch import Launcher, fitting_launcher
from dr_backend.losses import normal_consistency, photometric_kernels
from dr_backend.losses.photometric import photometric
from dr_backend.parameterizations import pyramid_kernels
from dr_backend.parameterizations.pyramid import Pyramid
from dr_backend.scene import Mesh, Scene
from tests.shapes import icosphere

KERNELS = (normal_kernels, photometric_kernels, pyramid_kernels)


def uneven(kind: str) -> tuple[Topology, Tensor]:
    """A bumpy body with loose vertices, a face without area, and an edge of three faces; smooth, flat, partly so, or with sharp edges."""
    positions, faces = icosphere(3)
    generator = np.random.default_rng(3)
    positions = np.concatenate([positions * generator.uniform(0.8, 1.2, (len(positions), 1)), [[3.0, 0, 0], [4, 0, 0]]])
    faces = np.concatenate([faces, [[5, 5, 9], faces[0] * [1, 1, 0] + [0, 0, 40]]])
    smooth = {"smooth": np.ones(len(faces), bool), "flat": None}.get(kind, np.arange(len(faces)) % 3 > 0)
    groups = np.where(faces % 5 == 0, np.arange(faces.size).reshape(-1, 3) + 1000, faces) if kind == "sharp" else None
    mesh = Mesh(positions, faces, np.eye(4), face_smooth=smooth, normal_groups=groups)
    return prepare(Scene(meshes={"body": mesh})), torch.tensor(positions, dtype=torch.float32, requires_grad=True)


def test_arguments_lie_in_memory_as_warp_has_them():
    integers = torch.zeros(3, dtype=torch.int64)
    for tensor, kind in ((torch.zeros(5), wp.float32), (torch.zeros(4, 3), wp.vec3), (integers, wp.int64)):
        described = descriptor(tensor, kind_of(wp.array(dtype=kind)))
        assert bytes(described) == bytes(wp.from_torch(tensor, dtype=kind, return_ctype=True))
    found = wp.launch(pyramid_kernels._unsquash, dim=7, inputs=[0, 1, *[wp.zeros(1, device="cpu")] * 3], device="cpu", record_cmd=True)
    bounds = found.params[0]  # what ``crew`` calls ``Bounds``
    assert [(name, getattr(type(bounds), name).offset) for name, _ in bounds._fields_] == [("shape", 0), ("size", 8), ("coord_mult", 16)]
    assert (bounds.shape[0], bounds.size, bounds.coord_mult) == (7, 7, 1)


def test_tensors_that_a_kernel_would_misread_are_refused():
    vectors = kind_of(wp.array(dtype=wp.vec3))
    with pytest.raises(TypeError, match="torch.float32 here, not torch.float64"):
        descriptor(torch.zeros(2, 3, dtype=torch.float64), vectors)
    with pytest.raises(ValueError, match="contiguous"):
        descriptor(torch.zeros(3, 2).T, vectors)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm())


@pytest.mark.parametrize("kind", ["smooth", "flat", "partly", "sharp"])
def test_corner_normals(kind):
    topology, positions = uneven(kind)
    found = normal_kernels.corner_normals(positions, topology)
    expected = normals.corner_normals(positions, topology.faces, topology.face_smooth, topology.normal_groups)
    assert torch.allclose(found, expected, atol=2e-6)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    (gradient,), (wanted,) = (torch.autograd.grad(out, positions, weight) for out in (found, expected))
    assert bool(wanted.any())
    assert relative(gradient, wanted) < 1e-5


def test_normal_consistency():
    topology, positions = uneven("smooth")
    found = normal_kernels.normal_consistency(positions, topology)
    exact = positions.detach().double().requires_grad_()
    expected = normal_consistency(exact, topology)
    assert len(found) > 1500
    assert torch.allclose(found.double(), expected, atol=1e-6)
    weight = torch.rand(found.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(found, positions, weight)
    (wanted,) = torch.autograd.grad(expected, exact, weight.double())
    assert relative(gradient.double(), wanted) < 1e-5


def test_huge_and_tiny_bodies_have_normals():
    topology, positions = uneven("smooth")
    expected = normal_kernels.corner_normals(positions, topology).detach()
    for size in (1e-6, 1e6):
        found = normal_kernels.corner_normals(positions.detach() * size, topology)
        assert torch.allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(("height", "width"), [(256, 130), (61, 33), (34, 3), (33, 1), (20, 30)])
@pytest.mark.parametrize("squash", [False, True])
def test_pyramid(height, width, squash):
    generator = torch.Generator().manual_seed(height)
    levels = [torch.randn(*size, 3, generator=generator).mul_(4).requires_grad_() for size in Pyramid(height, width).sizes]
    found, expected = pyramid_kernels.summed(levels, squash=squash), Pyramid._sum(levels)
    expected = expected.sigmoid() if squash else expected
    assert torch.allclose(found, expected, rtol=2e-6, atol=2e-6)
    weight = torch.randn(3, width, height, generator=generator).permute(2, 1, 0)  # not contiguous
    for gradient, wanted in zip(*(torch.autograd.grad(out, levels, weight) for out in (found, expected)), strict=True):
        assert relative(gradient, wanted) < 2e-6


def test_sigmoids_of_extreme_numbers():
    extreme = torch.tensor([-1e9, -200.0, -90.0, -80.0, 0.0, 80.0, 90.0, 1e9]).repeat_interleave(3 * 40).reshape(40, 8, 3)
    levels = [extreme, torch.zeros(10, 2, 3)]
    found = pyramid_kernels.summed(levels, squash=True)
    assert torch.allclose(found, extreme.sigmoid(), atol=1e-7)


@pytest.mark.parametrize("size", [(7, 5), (64, 64), (211, 97)])
def test_photometric(size):
    generator = torch.Generator().manual_seed(1)
    rgb, photo = (torch.rand(*size, 3, generator=generator) for _ in range(2))
    exact = rgb.double().requires_grad_()
    expected = photometric(exact, photo.double())
    rgb.requires_grad_()
    found = photometric(rgb, photo)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    (gradient,), (wanted,) = torch.autograd.grad(found, rgb), torch.autograd.grad(expected, exact)
    assert relative(gradient.double(), wanted) < 1e-6


def test_same_bits_for_any_number_of_threads(monkeypatch):
    fitting_launcher()
    topology, positions = uneven("partly")
    generator = torch.Generator().manual_seed(2)
    levels = [torch.randn(*size, 3, generator=generator).requires_grad_() for size in Pyramid(200, 160).sizes]
    results = []
    for threads in (1, 2, 4):
        launcher = Launcher(torch.device("cpu"), threads)
        for module in KERNELS:
            monkeypatch.setattr(module, "fitting_launcher", lambda launcher=launcher: launcher)
        shown, value = normal_kernels.corner_normals(positions, topology), pyramid_kernels.summed(levels, squash=True)
        turns, loss = normal_kernels.normal_consistency(positions, topology), photometric(value, torch.ones_like(value) * 0.4)
        gradients = torch.autograd.grad(shown.square().sum() + shown.sum() + turns.sum() + loss, [positions, *levels])
        results.append([shown, value, turns, loss, *gradients])
    for one, other in itertools.pairwise(results):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
