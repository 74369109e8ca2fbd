"""Gradients through see-through surfaces against finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Camera, Material, Mesh, Scene, leaves, with_leaves
from tests.gradients.test_texture_and_outline import SAMPLES, STEP, weights
from tests.shapes import camera, corner_uvs, icosphere, motions

SIZE = 128
FIELDS = ("base_color", "base_color_image", "alpha", "alpha_image")


def balls() -> Scene:
    """A painted ball behind one of glass, which cut through each other, in front of a third with an image for its alpha."""
    positions, faces = icosphere(3)
    turned = positions @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    y, x = np.mgrid[:16, :16] / 16
    image = np.stack([0.5 + 0.3 * np.sin(5 * x + y), 0.5 + 0.3 * np.cos(4 * y), 0.4 + 0.2 * x * y], -1)
    uvs = corner_uvs(positions, faces)
    return Scene(
        meshes={
            "glass": Mesh(positions * 0.8 + [0.03, 0.02, 0.3], faces, np.eye(4), materials=("glass",)),
            "solid": Mesh(turned * 0.7 + [0.5, 0.2, -0.1], faces, np.eye(4), uvs, materials=("solid",)),
            "veil": Mesh(turned * 0.6 + [-0.4, 0.1, -1.0], faces, np.eye(4), uvs, materials=("veil",)),
        },
        materials={
            "glass": Material(np.array([0.9, 0.2, 0.1]), alpha=np.array(0.4)),
            "solid": Material(np.ones(3), image),
            "veil": Material(np.array([0.3, 0.6, 0.9]), alpha_image=0.2 + 0.6 * image[..., :1]),
        },
    )


def test_colours_and_alpha():
    scene = to_tensors(balls(), dtype=torch.float64)
    view = camera(40, 40)
    moved = {path: value for path, value in leaves(scene).items() if path.split("/")[-1] in FIELDS}

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        out = ReferenceRenderer().render(flatten(with_leaves(scene, values), dtype=torch.float64), [view])[0]
        return (torch.cat([out.rgb, out.alpha[..., None]], -1) * weights(40)).sum()

    sources = {path: value.clone().requires_grad_() for path, value in moved.items()}
    gradients = torch.autograd.grad(loss(sources), list(sources.values()))
    random = torch.Generator().manual_seed(2)
    for (path, value), gradient in zip(moved.items(), gradients, strict=True):
        step = 1e-5 * torch.randn(value.shape, generator=random, dtype=torch.float64)
        truth = float(loss({path: value + step}) - loss({path: value - step})) / 2
        # an image replaces the colour of one
        assert (abs(truth) > 1e-7) == (path != "materials/solid/base_color")
        assert float((gradient * step).sum()) == pytest.approx(truth, rel=1e-5, abs=1e-12), path


@torch.no_grad()
def supersampled(scene: FlatScene, view: Camera) -> float:
    fine = replace(view, focal_px=view.focal_px * SAMPLES, centre_px=view.centre_px * SAMPLES, size=(SIZE * SAMPLES, SIZE * SAMPLES))
    out = NativeRenderer(threads=1).render(scene, [fine])[0]
    image = torch.cat([out.rgb, out.alpha[..., None]], -1)
    return float((image.view(SIZE, SAMPLES, SIZE, SAMPLES, 4).double().mean((1, 3)) * weights(SIZE)).sum())


@pytest.mark.parametrize("part", ["glass", "solid"])
def test_motion_of_what_is_seen_through_another(part):
    """Outlines, images and the line where surfaces cut through each other, in front of and behind glass."""
    scene = flatten(to_tensors(balls()))
    view = camera(SIZE, SIZE)
    vertices = scene.topology.meshes[part].vertices
    mask = torch.zeros_like(scene.positions)
    mask[vertices] = 1.0
    moves = {name: motion * mask for name, motion in motions(scene.positions).items() if name in ("x", "y", "z", "bend")}
    points = scene.positions.detach().requires_grad_()
    out = NativeRenderer(threads=1).render(replace(scene, positions=points), [view])[0]
    (gradient,) = torch.autograd.grad((torch.cat([out.rgb, out.alpha[..., None]], -1).double() * weights(SIZE)).sum(), points)
    found, truth = [], []
    for motion in moves.values():
        found.append(float((gradient * motion).sum()))
        ahead, behind = (supersampled(replace(scene, positions=points.detach() + s * motion), view) for s in (STEP, -STEP))
        truth.append((ahead - behind) / (2 * STEP))
    assert np.linalg.norm(np.subtract(found, truth)) <= 0.05 * np.linalg.norm(truth), (found, truth)
