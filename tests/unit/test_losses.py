import numpy as np
import pytest
import torch

from dr_backend.geometry import Topology, prepare
from dr_backend.losses import normal_consistency, photometric, silhouette
from dr_backend.scene import Mesh, Scene


def test_silhouette_counts_one_where_one_is_full_and_the_other_empty():
    alpha, mask = torch.tensor([[0.0, 1.0, 0.5]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert float(silhouette(alpha, mask)) == 1.25


def test_silhouette_gradient():
    alpha, mask = torch.rand(3, 4, dtype=torch.float64, requires_grad=True), torch.rand(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: silhouette(x, mask), alpha)


def test_photometric_is_quadratic_near_and_linear_far():
    black = torch.zeros(1, 2, 3)
    assert abs(float(photometric(black, black))) < 1e-7
    near = [float(photometric(black + d, black)) for d in (0.005, 0.01)]
    far = [float(photometric(black + d, black)) for d in (4.0, 8.0)]
    assert near[1] / near[0] == pytest.approx(4, rel=0.01)
    assert far[1] / far[0] == pytest.approx(2, rel=0.03)


def test_photometric_gradient():
    rgb, photo = torch.rand(3, 4, 3, dtype=torch.float64, requires_grad=True), torch.rand(3, 4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: photometric(x, photo), rgb)


def topology(*faces: list[int]) -> Topology:
    """Of some triangles between six vertices."""
    return prepare(Scene(meshes={"mesh": Mesh(np.zeros((6, 3)), np.array(faces), np.eye(4))}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # kernels, and torch
def test_normal_consistency_of_flat_right_angle_and_fold(dtype):
    positions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0.5, 0]], dtype=dtype)
    flat = normal_consistency(positions, topology([0, 1, 2], [1, 3, 2]))
    right = normal_consistency(positions, topology([0, 1, 2], [1, 0, 4]))
    fold = normal_consistency(positions, topology([0, 1, 2], [1, 0, 5]))
    assert float(flat) == pytest.approx(0, abs=1e-6)
    assert float(right) == pytest.approx(1, abs=1e-6)
    assert float(fold) == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_consistency_of_a_face_without_area_is_finite(dtype):
    positions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=dtype, requires_grad=True)
    loss = normal_consistency(positions, topology([0, 1, 2], [1, 0, 3]))
    assert len(loss) == 1
    loss.sum().backward()
    assert torch.isfinite(positions.grad).all()
