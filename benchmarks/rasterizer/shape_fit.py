"""A whole fit as a race: a sphere becomes a monkey head, from twenty silhouettes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.optim import AdamUniform
from dr_backend.parameterizations import LargeSteps
from dr_backend.renderers.base import Renderer
from dr_backend.scene import Camera, Mesh, Scene

from .peers import renderer, torch_threads
from .problem import geodesic_sphere, look_at_origin
from .suzanne import target

VIEWS, SIZE, VIEWS_PER_STEP = 20, 256, 4
FREQUENCY = 16  # 2,562 vertices
SMOOTHING, RATE = 5.0, 0.1
LOOK_EVERY, MOST_STEPS = 3, 300
GOALS = (0.95, 0.98)  # mean intersection over union


@dataclass(frozen=True)
class Race:
    """What was fitted, and the seconds until each of ``GOALS``, ``None`` where it was not reached."""

    name: str
    seconds: tuple[float | None, ...]


def _scene(positions: np.ndarray, faces: np.ndarray) -> FlatScene:
    return flatten(to_tensors(Scene(meshes={"mesh": Mesh(positions, faces, np.eye(4))})))


def _cameras() -> list[Camera]:
    """Views from all around: a Fibonacci spiral on the sphere."""
    height = 1 - (2 * np.arange(VIEWS) + 1) / VIEWS
    angle = np.arange(VIEWS) * math.pi * (3 - 5**0.5)
    ring = np.sqrt(1 - height**2)
    directions = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], 1)
    return [look_at_origin(direction, SIZE, distance=4.0, framing=1.2) for direction in directions]


@torch.no_grad()
def _masks(ours: Renderer, scene: FlatScene, cameras: list[Camera]) -> Tensor:
    return torch.stack([view.face_id >= 0 for view in ours.render(scene, cameras, color=False)])


def race(name: str) -> Race:
    """The renderer ``name`` with AdamUniform on large steps. The clock stops while the result is looked at, every third step."""
    torch.set_num_threads(torch_threads(name))
    torch.manual_seed(0)
    ours, cameras = renderer(name, "cpu"), _cameras()
    what, positions, faces = target()
    masks = _masks(ours, _scene(positions, faces), cameras)
    sphere = _scene(*geodesic_sphere(FREQUENCY))
    large_steps = LargeSteps(sphere.faces, len(sphere.positions), SMOOTHING)
    latents = [latent.requires_grad_() for latent in large_steps.to_latents(sphere.positions)]
    optimizer = AdamUniform(latents, RATE)
    seconds, reached = 0.0, []
    for step in range(MOST_STEPS):
        start = perf_counter()
        chosen = torch.randperm(VIEWS)[:VIEWS_PER_STEP].tolist()
        latents[0].grad = None
        moved = replace(sphere, positions=large_steps.to_value(latents))
        views = ours.render(moved, [cameras[index] for index in chosen], color=False)
        sum((view.alpha - masks[index].float()).square().mean() for view, index in zip(views, chosen, strict=True)).backward()
        optimizer.step()
        seconds += perf_counter() - start
        if step % LOOK_EVERY == LOOK_EVERY - 1:
            seen = _masks(ours, replace(sphere, positions=large_steps.to_value(latents)), cameras)
            union = ((seen & masks).sum((1, 2)) / (seen | masks).sum((1, 2))).mean()
            while len(reached) < len(GOALS) and union >= GOALS[len(reached)]:
                reached.append(seconds)
            if len(reached) == len(GOALS):
                break
    return Race(what, tuple(reached) + (None,) * (len(GOALS) - len(reached)))
