"""Outline gradients. The truth at a silhouette is the finite difference of coverage, 16 × 16 samples per pixel."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import FlatScene
from dr_backend.renderers.table import available, make
from dr_backend.scene import Camera
from tests.shapes import camera, flat, icosphere, motions

SAMPLES = 16
STEP = 8e-3
DTYPES = {"reference": torch.float64, "native": torch.float32}
RENDERERS = [(make(name, "cpu"), dtype) for name, dtype in DTYPES.items() if available()[name] is None]
FINE, FINE_DTYPE = RENDERERS[-1]  # takes the samples, being the fastest: which pixel centres are covered is the same in both


@torch.no_grad()
def supersampled_alpha(scene: FlatScene, view: Camera) -> torch.Tensor:
    """Exact coverage up to 1/256 of a pixel, (H, W), without gradients."""
    width, height = view.size
    fine = replace(view, focal_px=view.focal_px * SAMPLES, centre_px=view.centre_px * SAMPLES, size=(width * SAMPLES, height * SAMPLES))
    (out,) = FINE.render(replace(scene, positions=scene.positions.to(FINE_DTYPE)), [fine], color=False)
    return (out.face_id >= 0).view(height, SAMPLES, width, SAMPLES).sum((1, 3)).double() / SAMPLES**2


def weights(view: Camera) -> torch.Tensor:
    """A smooth weight per pixel: its sum with coverage is a loss that feels where the outline is."""
    width, height = view.size
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    return (torch.sin(3 * x + 1) * torch.cos(4 * y + 0.3) + 0.5 * x + 0.3).double()


def alphas(scene: FlatScene, view: Camera) -> dict[str, torch.Tensor]:
    """Coverage by renderer, with gradients, in double precision."""
    found = {}
    for renderer, dtype in RENDERERS:
        (out,) = renderer.render(replace(scene, positions=scene.positions.to(dtype)), [view], color=False)
        found[renderer.capabilities.name] = out.alpha.double()
    return found


def relative_errors(scene: FlatScene, view: Camera, motion: torch.Tensor, weight: torch.Tensor | None = None) -> dict[str, float]:
    """Difference of each renderer's directional derivative from the supersampled one, relative to it."""
    weight = weights(view) if weight is None else weight
    points = scene.positions.detach().requires_grad_()
    ahead, behind = (supersampled_alpha(replace(scene, positions=points.detach() + s * motion), view) for s in (STEP, -STEP))
    truth = float(((ahead - behind) * weight).sum() / (2 * STEP))
    found = {}
    for name, alpha in alphas(replace(scene, positions=points), view).items():
        (gradient,) = torch.autograd.grad((alpha * weight).sum(), points)
        found[name] = abs(float((gradient * motion).sum()) - truth) / abs(truth)
    return found


@pytest.fixture(scope="module")
def sphere() -> FlatScene:
    positions, faces = icosphere(4)  # 5,120 faces: at the limb they are too thin to own a pixel centre
    return flat(positions * 0.9 + [0.03, 0.02, 0], faces, dtype=torch.float64)


@pytest.mark.parametrize(("motion", "limit"), [("x", 0.02), ("y", 0.02), ("scale", 0.02), ("bend", 0.03)])
@pytest.mark.parametrize("orthographic", [False, True])
def test_moving_outline_of_a_sphere(sphere, motion, limit, orthographic):
    view = camera(256, 256, orthographic=orthographic)
    errors = relative_errors(sphere, view, motions(sphere.positions)[motion])
    assert max(errors.values()) <= limit, errors


def test_self_occluding_bumpy_body(sphere):
    p = sphere.positions
    bumpy = p * (1 + 0.25 * torch.sin(4 * p[:, :1]) * torch.cos(5 * p[:, 1:2]))
    for motion in ("x", "y", "scale"):
        errors = relative_errors(replace(sphere, positions=bumpy), camera(256, 256), motions(bumpy)[motion])
        assert max(errors.values()) <= 0.02, errors


@pytest.mark.parametrize("bumps", [0.0, 0.25])
def test_turning_towards_another_outline(sphere, bumps):
    """As in a fit: what turns all pixels alike nearly cancels out, so they count by how far they are from the outline that is wanted."""
    p = sphere.positions
    body = p * (1 + bumps * torch.sin(4 * p[:, :1]) * torch.cos(5 * p[:, 1:2])) * torch.tensor([1.0, 1.0 if bumps else 0.5, 0.8])
    view = camera(256, 256)
    for axis in "xyz":
        turn = motions(body)[f"turn about {axis}"]
        now, wanted = (supersampled_alpha(replace(sphere, positions=body + part * turn), view) for part in (0, 0.1))
        smooth = torch.nn.functional.avg_pool2d((now - wanted)[None], 9, stride=1, padding=4)[0]  # hardly changes within a pixel
        errors = relative_errors(replace(sphere, positions=body), view, turn, smooth)
        assert max(errors.values()) <= 0.02, errors


def test_open_square_with_turned_over_faces():
    # Boundary edges, and an inner edge whose faces wind against each other: still no outline inside the square.
    positions = np.array([[-0.8, -0.7, 0.2], [0.9, -0.8, 0], [0.8, 0.9, -0.1], [-0.7, 0.8, 0]])
    scene = flat(positions, np.array([[0, 1, 2], [0, 3, 2]]), dtype=torch.float64)
    view = camera(128, 96)
    for alpha in alphas(scene, view).values():
        assert float((alpha - supersampled_alpha(scene, view)).abs().mean()) < 5e-4
    for motion in ("x", "y", "scale"):
        errors = relative_errors(scene, view, motions(scene.positions)[motion])
        assert max(errors.values()) <= 0.03, errors


def test_edge_that_passes_the_camera():
    # A wall beside the camera, its near edge behind it: what is in front moves as it should.
    positions = np.array([[-0.5, -1, 5.0], [-0.5, -1, -6], [-0.5, 0.4, -6], [-0.5, 0.4, 5]])
    scene = flat(positions, np.array([[0, 1, 2], [0, 2, 3]]), dtype=torch.float64)
    up = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=torch.float64)
    errors = relative_errors(scene, camera(128, 128), up)
    assert max(errors.values()) <= 0.03, errors


def test_near_plane_does_not_make_an_outline_inside_the_surface(sphere):
    view = camera(128, 128, distance=0.0)  # the eye inside the sphere sees it everywhere
    for alpha in alphas(sphere, view).values():
        assert float(alpha.min()) == 1.0


def test_coverage_is_close_to_the_supersampled_one(sphere):
    view = camera(256, 256)
    truth = supersampled_alpha(sphere, view)
    for alpha in alphas(sphere, view).values():
        assert float((alpha - truth).abs().mean()) < 3e-4
        assert abs(float((alpha - truth).mean())) < 2e-5


def test_camera_pose_and_focal_length_move_the_outline(sphere):
    view = camera(144, 144)
    weight = weights(view)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    zoom = torch.ones((), dtype=torch.float64, requires_grad=True)

    def moved(offset: torch.Tensor, factor: torch.Tensor) -> Camera:
        matrix = torch.tensor(view.camera_from_world)
        matrix = torch.cat([matrix[:, :3], matrix[:, 3:] + torch.cat([offset, offset.new_zeros(1)])[:, None]], dim=1)
        return replace(view, camera_from_world=matrix, focal_px=torch.tensor(view.focal_px) * factor)

    found = {
        name: torch.autograd.grad((alpha * weight).sum(), [shift, zoom], retain_graph=True)
        for name, alpha in alphas(sphere, moved(shift, zoom)).items()
    }
    still, unit = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    for number, (offset, factor) in enumerate([*((STEP * axis, 0.0) for axis in unit), (still, STEP)]):
        ahead = supersampled_alpha(sphere, moved(offset, torch.tensor(1.0 + factor)))
        behind = supersampled_alpha(sphere, moved(-offset, torch.tensor(1.0 - factor)))
        truth = float(((ahead - behind) * weight).sum() / (2 * STEP))
        for name, (by_shift, by_zoom) in found.items():
            assert float([*by_shift, by_zoom][number]) == pytest.approx(truth, rel=0.02), name
