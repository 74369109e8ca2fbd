"""Is the fast gradient right? A directional derivative of silhouettes against the finite difference of supersampled coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.raster.project import project, view_of
from dr_backend.raster.rasterize import rasterize
from dr_backend.renderers.base import Renderer
from dr_backend.scene import Camera, Mesh, Scene

from .peers import renderer
from .problem import bumpy, cameras, geodesic_sphere

SAMPLES = 16  # per pixel and axis
STEP = 8e-3  # of each motion, to both sides
FREQUENCY = 16
SIZE = 256


def _coverage(positions: Tensor, faces: Tensor, camera: Camera) -> Tensor:
    """Share of each pixel that the surface covers, by 16 × 16 samples, in float64."""
    fine = replace(
        camera, focal_px=camera.focal_px * SAMPLES, centre_px=camera.centre_px * SAMPLES, size=(camera.size[0] * SAMPLES,) * 2
    )
    view = view_of(fine, positions)
    face_id, _ = rasterize(project(positions, view), faces, view)
    return (face_id >= 0).view(camera.size[1], SAMPLES, camera.size[0], SAMPLES).sum((1, 3)).double() / SAMPLES**2


def _weights() -> Tensor:
    """A smooth weight per pixel, so that every part of the outline counts differently."""
    y, x = torch.meshgrid(torch.arange(SIZE) / SIZE, torch.arange(SIZE) / SIZE, indexing="ij")
    return (torch.sin(3 * x + 1) * torch.cos(4 * y + 0.3) + 0.5 * x + 0.3).double()


def _motions(points: Tensor, camera: Camera) -> dict[str, Tensor]:
    """Directions for every vertex: along the image's axes, away from the centre, and a bend across the image."""
    right, up = (torch.as_tensor(camera.camera_from_world[axis, :3]) for axis in (0, 1))
    height = (points @ up)[:, None]
    return {
        "translation in x": right.expand_as(points),
        "translation in y": up.expand_as(points),
        "scale": points,
        "bend": height * height * right,
    }


def _errors(ours: Renderer, scene: FlatScene, exact: Tensor, camera: Camera) -> dict[str, float]:
    weights = _weights()
    points = scene.positions.detach().requires_grad_()
    alpha = ours.render(replace(scene, positions=points), [camera], color=False)[0].alpha
    (gradient,) = torch.autograd.grad((alpha.double() * weights).sum(), points)
    errors = {}
    for name, motion in _motions(exact, camera).items():
        ahead, behind = (_coverage(exact + sign * STEP * motion, scene.faces, camera) for sign in (1, -1))
        truth = float(((ahead - behind) * weights).sum() / (2 * STEP))
        errors[name] = abs(float((gradient.double() * motion).sum()) - truth) / abs(truth)
    return errors


def derivative_errors(name: str) -> dict[str, float]:
    """Relative error of the renderer ``name`` for each motion: the worse of a sphere and a bumpy body that hides parts of itself."""
    ours, camera = renderer(name, "cpu"), cameras(1, SIZE)[0]
    directions, faces = geodesic_sphere(FREQUENCY)
    worst: dict[str, float] = {}
    for positions in (directions * 0.9 + [0.03, 0.02, 0.0], bumpy(directions)):
        scene = flatten(to_tensors(Scene(meshes={"body": Mesh(positions, faces, np.eye(4))})))
        for motion, error in _errors(ours, scene, torch.tensor(positions), camera).items():
            worst[motion] = max(error, worst.get(motion, 0.0))
    return worst
