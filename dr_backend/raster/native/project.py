"""Vertices in front of a camera, and handing their gradients back to the world."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor

from ...kernels.arrays import Floats, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, kernel
from ..project import View, bend
from .screen import Lens, lens_of, screen

CHUNK_VERTICES_GPU = 64


@wp.func
def turned(turn: wp.mat33, p: wp.vec3) -> wp.vec3:
    """A rotated vector; products are added in the order in which ``raster.project`` adds them."""
    return wp.vec3(
        (p[0] * turn[0, 0] + p[1] * turn[0, 1]) + p[2] * turn[0, 2],
        (p[0] * turn[1, 0] + p[1] * turn[1, 1]) + p[2] * turn[1, 2],
        (p[0] * turn[2, 0] + p[1] * turn[2, 1]) + p[2] * turn[2, 2],
    )


@kernel
def _turn(first: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, chunk: int, adding: int, result: Vec3s):
    """Rotates points and shifts them, or adds this to what is there. The owner is a chunk of points."""
    part = first + wp.tid()
    for v in range(part * chunk, wp.min((part + 1) * chunk, result.shape[0])):
        moved = turned(turn, points[v]) + shift
        if adding != 0:
            moved += result[v]
        result[v] = moved


@kernel
def _to_camera(
    first: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, near: float, lens: Lens, chunk: int, camera: Vec3s, total: Floats
):
    """Points in camera space; ``total`` shows what is not finite, there or on the screen. The owner is a chunk of points."""
    part = first + wp.tid()
    everything = float(0.0)
    for v in range(part * chunk, wp.min((part + 1) * chunk, camera.shape[0])):
        p = turned(turn, points[v]) + shift
        found = screen(wp.vec3(p[0], p[1], wp.min(p[2], -near)), lens)
        camera[v] = p
        everything += p[0] + p[1] + p[2] + found[0] + found[1]
    total[part] = everything


@lru_cache(256)
def _motion(rotation: tuple[float, ...], translation: tuple[float, ...]) -> tuple[Any, Any]:
    """As arguments of kernels, which Warp takes as long to make as all others together."""
    return wp.mat33(*rotation), wp.vec3(*translation)


def project(
    points: Float[Tensor, "V 3"], view: View, launcher: Launcher
) -> Steps[tuple[Float[Tensor, "V 3"], Float[Tensor, " N"], Launch]]:
    """Points of the world in camera space, without gradients: as ``raster.project.project`` has them, bit for bit.

    Returns:
        The points, sums that are for ``refuse_unless_finite``, and what is still to be run.
    """
    count = points.shape[0]
    owners, chunk = launcher.chunks(count, CHUNK_VERTICES_GPU)
    camera, total = torch.empty_like(points), torch.empty(owners, device=points.device)
    turn, shift = _motion(*view.numbers[:2])
    if view.lens is not None:
        yield [Launch(_turn, owners, points, turn, shift, chunk, 0, camera, items=count)]
        points, turn, shift = bend(camera, view).contiguous(), wp.mat33(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), wp.vec3(0.0)
    work = Launch(_to_camera, owners, points, turn, shift, view.near, lens_of(view), chunk, camera, total, items=count)
    return camera, total, work


def add_to_world(
    by_camera: Float[Tensor, "V 3"], view: View, launcher: Launcher, by_world: Float[Tensor, "V 3"] | None
) -> tuple[Float[Tensor, "V 3"], Launch]:
    """Gradients for points in the world from those for camera space; added to ``by_world``, if there is one.

    What does it is still to be run.
    """
    found = torch.empty_like(by_camera) if by_world is None else by_world
    owners, chunk = launcher.chunks(len(by_camera), CHUNK_VERTICES_GPU)
    rows = view.numbers[0]
    turn, shift = _motion(rows[0::3] + rows[1::3] + rows[2::3], (0.0, 0.0, 0.0))  # the transposed rotation
    return found, Launch(_turn, owners, by_camera, turn, shift, chunk, int(by_world is not None), found, items=len(by_camera))
