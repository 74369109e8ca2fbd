"""Projection through a lens: the formula, and its gradients against finite differences in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.raster.project import bend, project, view_of
from dr_backend.scene import Camera
from tests.shapes import camera

LENSES = {
    "barrel": [-0.28, 0.09, -0.013, 0.0, 0.0],
    "pincushion": [0.2, -0.02, 0.05, 0.0, 0.0],
    "tangential": [-0.1, 0.04, 0.01, 0.012, -0.02],
}
FIELDS = ("camera_from_world", "focal_px", "centre_px", "distortion", "distortion_focal_px", "distortion_centre_px")


def lensed(lens: str, *, orthographic: bool = False, own: bool = True) -> Camera:
    view = replace(camera(64, 48, orthographic=orthographic), distortion=np.array(LENSES[lens]))
    if not own:
        return view
    return replace(view, distortion_focal_px=np.array([70.0, 68.0]), distortion_centre_px=np.array([30.0, 26.0]))


def cloud(count: int = 40) -> torch.Tensor:
    """Points in front of the camera, inside the picture."""
    return torch.tensor(np.random.default_rng(2).uniform(-0.75, 0.75, (count, 3)))


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("lens", LENSES)
def test_points_land_where_the_formula_says(lens, orthographic):
    view, points = lensed(lens, orthographic=orthographic), cloud()
    local = points.numpy() + view.camera_from_world[:3, 3]
    reach = np.ones(len(local)) if orthographic else -local[:, 2]
    straight = view.centre_px + view.focal_px * local[:, :2] / reach[:, None] * [1, -1]
    x, y = ((straight - view.distortion_centre_px) / view.distortion_focal_px).T
    k1, k2, k3, p1, p2 = view.distortion
    r2 = x**2 + y**2
    s = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    wanted = np.stack([x * s + 2 * p1 * x * y + p2 * (r2 + 2 * x**2), y * s + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y], -1)
    found = project(points, view_of(view, points))
    np.testing.assert_allclose(found.xy, wanted * view.distortion_focal_px + view.distortion_centre_px, atol=1e-9)
    np.testing.assert_allclose(found.depth, -local[:, 2], rtol=1e-12)
    assert np.abs(found.xy.numpy() - straight).max() > 0.3


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("lens", LENSES)
def test_gradients_equal_finite_differences(lens, orthographic):
    view, points = lensed(lens, orthographic=orthographic), cloud()
    values = {name: torch.tensor(getattr(view, name)) for name in FIELDS}
    weight = torch.tensor(np.random.default_rng(5).normal(size=(len(points), 2)))

    def loss(moved: dict[str, torch.Tensor], where: torch.Tensor) -> torch.Tensor:
        return (project(where, view_of(replace(view, **moved), where)).xy * weight).sum()

    leaves = {name: value.clone().requires_grad_() for name, value in (values | {"points": points}).items()}
    found = torch.autograd.grad(loss({name: leaves[name] for name in FIELDS}, leaves["points"]), list(leaves.values()))
    for (name, value), gradient in zip(leaves.items(), found, strict=True):
        motion = torch.tensor(np.random.default_rng(7).normal(size=value.shape))
        if name == "camera_from_world":
            motion[3] = 0
        ends = []
        for step in (1e-6, -1e-6):
            here = values | {"points": points}
            here[name] = here[name] + step * motion
            ends.append(float(loss({field: here[field] for field in FIELDS}, here["points"])))
        assert float((gradient * motion).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6), name


def test_points_at_and_behind_the_camera_stay_finite():
    view = lensed("barrel")
    points = torch.tensor([[0.0, 0, 3], [5, 0, 3], [0, 0, 4], [1e6, -1e6, 2.99], [1e8, 0, -1e8]], dtype=torch.float32, requires_grad=True)
    found = project(points, view_of(view, points))
    found.xy.sum().backward()
    assert bool(torch.isfinite(found.camera).all() and torch.isfinite(points.grad).all())


def test_a_lens_of_zeros_is_straight():
    straight, points = camera(64, 48), cloud()
    view = replace(straight, distortion=np.zeros(5))
    torch.testing.assert_close(project(points, view_of(view, points)).xy, project(points, view_of(straight, points)).xy)
    assert bend(points, view_of(straight, points)) is points
