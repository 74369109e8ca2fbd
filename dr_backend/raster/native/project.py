"""Vertices in front of a camera, and handing their gradients back to the world."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor

from ...kernels.arrays import Floats, Vec3s
from ...kernels.launch import Launch, Launcher, Steps, as_bytes, kernel
from ..project import View, bend
from .screen import SCREEN, Lens, lens_of

CHUNK_VERTICES_GPU = 64


# C++ as in ``lookup``: points rotated and shifted. Products are added in the order in which ``raster.project`` adds them.
_TURNING = """
const float *const from = &points.data[0][0], (*const t)[3] = turn.data, sx = shift[0], sy = shift[1], sz = shift[2];
const float t00 = t[0][0], t01 = t[0][1], t02 = t[0][2], t10 = t[1][0], t11 = t[1][1], t12 = t[1][2];
const float t20 = t[2][0], t21 = t[2][1], t22 = t[2][2];
const auto turned = [=](int v) {
    const float x = from[3 * v], y = from[3 * v + 1], z = from[3 * v + 2];
    struct { float x, y, z; } point = {
        ((x * t00 + y * t01) + z * t02) + sx, ((x * t10 + y * t11) + z * t12) + sy, ((x * t20 + y * t21) + z * t22) + sz,
    };
    return point;
};
float* const to = &result.data[0][0];
"""


@wp.func_native(_TURNING + """
if (adding) {
#pragma clang loop vectorize(enable) interleave_count(1)
    for (int v = start; v < stop; ++v) {
        const auto p = turned(v);
        to[3 * v] += p.x, to[3 * v + 1] += p.y, to[3 * v + 2] += p.z;
    }
} else {
#pragma clang loop vectorize(enable) interleave_count(1)
    for (int v = start; v < stop; ++v) {
        const auto p = turned(v);
        to[3 * v] = p.x, to[3 * v + 1] = p.y, to[3 * v + 2] = p.z;
    }
}
""")
def turn_points(start: int, stop: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, adding: int, result: Vec3s):
    """Rotates some points and shifts them, or adds this to what is there."""
    ...


@kernel
def _turn(first: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, chunk: int, adding: int, result: Vec3s):
    """See ``turn_points``. The owner is a chunk of points."""
    start = (first + wp.tid()) * chunk
    turn_points(start, wp.min(start + chunk, result.shape[0]), points, turn, shift, adding, result)


@wp.func_native(_TURNING + SCREEN + """
int wrong = 0;
#pragma clang loop vectorize(enable) interleave_count(1)
for (int v = start; v < stop; ++v) {
    const auto p = turned(v);
    const Corner found = on_screen(p.x, p.y, p.z < -near ? p.z : -near);
    const float everything = (p.x + p.y + p.z) + (found.x + found.y);
    wrong |= everything - everything != 0.0f;
    to[3 * v] = p.x, to[3 * v + 1] = p.y, to[3 * v + 2] = p.z;
}
return wrong ? NAN : 0.0f;
""")
def points_to_camera(start: int, stop: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, near: float, lens: Lens, result: Vec3s) -> float:
    """Some points in camera space; returns 0, or no number if one of them is not finite, there or on the screen."""
    ...


@kernel
def _to_camera(
    first: int, points: Vec3s, turn: wp.mat33, shift: wp.vec3, near: float, lens: Lens, chunk: int, camera: Vec3s, total: Floats
):
    """See ``points_to_camera``. The owner is a chunk of points."""
    part = first + wp.tid()
    total[part] = points_to_camera(part * chunk, wp.min((part + 1) * chunk, camera.shape[0]), points, turn, shift, near, lens, camera)


@lru_cache(256)
def _motion(rotation: tuple[float, ...], translation: tuple[float, ...]) -> tuple[Any, Any]:
    """As arguments of kernels, which Warp takes as long to make as all others together."""
    return wp.mat33(*rotation), wp.vec3(*translation)


def _back(rotation: tuple[float, ...]) -> tuple[Any, Any]:
    """The transposed rotation, and no shift."""
    return _motion(rotation[0::3] + rotation[1::3] + rotation[2::3], (0.0, 0.0, 0.0))


def told(view: View) -> tuple[bytes, ...]:
    """All that kernels are told of a view without a bent lens, as they read it."""
    rotation, translation = view.numbers[:2]
    (turn, shift), (back, _) = _motion(rotation, translation), _back(rotation)
    return as_bytes(lens_of(view)), as_bytes(turn), as_bytes(shift), as_bytes(back), struct.pack("=f", view.near)


@lru_cache(256)
def all_told(view: View) -> Tensor:
    """The same, one after the other in memory."""
    return torch.frombuffer(bytearray(b"".join(told(view))), dtype=torch.uint8)


@lru_cache(256)
def stand_in(width: int, height: int, perspective: bool, index: int) -> View:
    """A view of this size whose numbers are those of no other: what is told of it can be told apart from all else."""
    own = 1000.5 * (index + 1) + torch.arange(20)
    return View(own[:9].view(3, 3), own[9:12], own[12:14], own[14:16], width, height, perspective, float(own[16]))


def project(
    points: Float[Tensor, "V 3"], view: View, launcher: Launcher
) -> Steps[tuple[Float[Tensor, "V 3"], Float[Tensor, " N"], Launch]]:
    """Points of the world in camera space, without gradients: as ``raster.project.project`` has them, bit for bit.

    Returns:
        The points, sums that are for ``refuse_unless_finite``, and what is still to be run.
    """
    count = points.shape[0]
    owners, chunk = launcher.chunks(count, CHUNK_VERTICES_GPU)
    camera, total = launcher.empty(count + 1, 3)[:count], launcher.empty(owners)  # ``find_bins`` reads one number more
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
    found = launcher.empty(*by_camera.shape, lasting=True) if by_world is None else by_world
    owners, chunk = launcher.chunks(len(by_camera), CHUNK_VERTICES_GPU)
    turn, shift = _back(view.numbers[0])
    return found, Launch(_turn, owners, by_camera, turn, shift, chunk, int(by_world is not None), found, items=len(by_camera))
