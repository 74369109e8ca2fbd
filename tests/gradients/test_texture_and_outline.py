"""Texture, silhouette and surfaces that cut through each other, together: gradients against finite differences of supersampled pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.renderers.native import NativeRenderer
from dr_backend.scene import Camera, Material, Mesh, Scene
from tests.shapes import camera, flat, icosphere, motions

SAMPLES = 6  # per pixel, along each side
STEP = 6e-3
SIZE = 192


def weights(size: int = SIZE) -> torch.Tensor:
    """A smooth weight for each colour and coverage of each pixel, (H, W, 4)."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    return torch.stack([torch.sin(3 * x + 1 + k) * torch.cos(4 * y + 0.3 * k) + 0.5 * x + 0.3 for k in range(4)], -1).double()


@torch.no_grad()
def supersampled(scene: FlatScene, view: Camera) -> float:
    """The weighted sum of an image of many samples per pixel."""
    fine = replace(view, focal_px=view.focal_px * SAMPLES, centre_px=view.centre_px * SAMPLES, size=(SIZE * SAMPLES, SIZE * SAMPLES))
    out = NativeRenderer(threads=1).render(scene, [fine])[0]
    image = torch.cat([out.rgb, (out.face_id >= 0).float()[..., None]], -1)
    image = image.view(SIZE, SAMPLES, SIZE, SAMPLES, 4).double().mean((1, 3))
    return float((image * weights()).sum())


def derivatives(scene: FlatScene, view: Camera, motions: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Directional derivatives by the renderer and by finite differences, one per motion."""
    points = scene.positions.detach().requires_grad_()
    out = NativeRenderer(threads=1).render(replace(scene, positions=points), [view])[0]
    (gradient,) = torch.autograd.grad((torch.cat([out.rgb, out.alpha[..., None]], -1).double() * weights()).sum(), points)
    found, truth = [], []
    for motion in motions.values():
        found.append(float((gradient * motion).sum()))
        ahead, behind = (supersampled(replace(scene, positions=points.detach() + s * motion), view) for s in (STEP, -STEP))
        truth.append((ahead - behind) / (2 * STEP))
    return np.array(found), np.array(truth)


def painted(frequency: float) -> np.ndarray:
    y, x = np.mgrid[:256, :256] / 256
    a = 2 * np.pi * frequency * x
    return np.stack([0.5 + 0.3 * np.sin(a + y), 0.5 + 0.3 * np.cos(a + 3 * y), 0.4 + 0.2 * np.sin(a) * y], -1)


@pytest.mark.parametrize("frequency", [1.0, 4.0])
@pytest.mark.parametrize("bumpy", [False, True])
def test_texture_and_silhouette_together(frequency, bumpy):
    """Some motions nearly cancel out, so the errors are measured against all of them: 2 % of their length."""
    positions, faces = icosphere(4)
    positions = positions * (1 + 0.2 * np.sin(4 * positions[:, :1]) * np.cos(5 * positions[:, 1:2])) if bumpy else positions * 0.9
    corners = positions[faces]
    uvs = 0.5 + 0.3 * corners[..., :2] + 0.1 * corners[..., 2:]
    scene = flat(positions + [0.03, 0.02, 0], faces, uvs=uvs, image=painted(frequency))
    found, truth = derivatives(scene, camera(SIZE, SIZE), motions(scene.positions))
    assert np.linalg.norm(found - truth) <= 0.02 * np.linalg.norm(truth)
    large = np.abs(truth) > 0.1 * np.abs(truth).max()
    assert (np.abs(found - truth)[large] <= 0.03 * np.abs(truth)[large]).all()


@pytest.mark.parametrize("orthographic", [False, True])
def test_the_line_where_two_balls_cut_through_each_other(orthographic):
    positions, faces = icosphere(3)
    turned = positions @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    meshes = {
        "red": Mesh(positions * 0.8, faces, np.eye(4), materials=("red",)),
        "blue": Mesh(turned * 0.7 + [0.5, 0.2, 0.3], faces, np.eye(4), materials=("blue",)),
    }
    materials = {"red": Material(np.array([0.9, 0.2, 0.1])), "blue": Material(np.array([0.1, 0.6, 0.9]))}
    scene = flatten(to_tensors(Scene(meshes=meshes, materials=materials)))
    blue = torch.zeros_like(scene.positions)
    blue[len(positions) :] = 1.0
    moves = {name: motion * blue for name, motion in motions(scene.positions).items() if name in ("x", "y", "z")}
    found, truth = derivatives(scene, camera(SIZE, SIZE, orthographic=orthographic), moves)
    assert np.linalg.norm(found - truth) <= 0.05 * np.linalg.norm(truth)
