"""Light on matte surfaces as a differentiable function of torch, for all views of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ...kernels.launch import Launcher, Steps
from .batch import Batch, Seen
from .interpolate import Runs
from .shade import Lamps, Surface, multiply, shade, unlight, unmultiply, unshade


class _Shade(Function):
    """Irradiance over π of every view."""

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, lamps: Lamps, lines: Tensor, positions: Tensor, normals: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        surfaces = _surfaces(batch, replace(lamps, lines=lines), positions, normals, weights)
        ctx.batch, ctx.lamps = batch, lamps
        ctx.save_for_backward(lines, positions, normals, *weights)
        ctx.set_materialize_grads(False)
        return tuple(batch.launcher.together(shade(surface, batch.launcher) for surface in surfaces))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch = ctx.batch
        lines, positions, normals, *weights = ctx.saved_tensors
        surfaces = _surfaces(batch, replace(ctx.lamps, lines=lines), positions, normals, weights)
        wants_lines, *moving = ctx.needs_input_grad[2:]

        def work(surface: Surface, by_light: Tensor | None) -> Steps[tuple[Tensor | None, ...]]:
            if by_light is None:
                return None, None, None, None
            by_light = by_light.contiguous()
            by_lines = (yield from unlight(surface, by_light, batch.launcher)) if wants_lines else None
            if not any(moving):
                return by_lines, None, None, None
            by_positions, by_normals = torch.zeros_like(positions), torch.zeros_like(normals)
            by_weights = yield from unshade(surface, by_light, batch.launcher, by_positions, by_normals)
            return by_lines, by_positions, by_normals, by_weights

        *shared, by_weights = zip(*batch.launcher.together(map(work, surfaces, gradients)), strict=True)
        return (None, None, *(_total(parts) for parts in shared), *by_weights)


class _Product(Function):
    """The products of two images for every view."""

    @staticmethod
    def forward(ctx: Any, launcher: Launcher, *images: Tensor) -> tuple[Tensor, ...]:
        half = len(images) // 2
        ctx.launcher = launcher
        ctx.save_for_backward(*images)
        ctx.set_materialize_grads(False)
        return tuple(launcher.together(multiply(*pair, launcher) for pair in zip(images[:half], images[half:], strict=True)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        launcher, half = ctx.launcher, len(gradients)
        factors = zip(ctx.saved_tensors[:half], ctx.saved_tensors[half:], gradients, strict=True)
        needed = ctx.needs_input_grad[1], ctx.needs_input_grad[1 + half]
        found = launcher.together(unmultiply(*each, needed, launcher) for each in factors if each[2] is not None)
        pairs = [(None, None) if g is None else found.pop(0) for g in gradients]
        return (None, *(by for by, _ in pairs), *(by for _, by in pairs))


def multiply_views(
    batch: Batch, left: Sequence[Float[Tensor, "_ _ 3"]], right: Sequence[Float[Tensor, "_ _ 3"]]
) -> list[Float[Tensor, "_ _ 3"]]:
    """The product of two images of each view. Gradients: exact for both."""
    return list(_Product.apply(batch.launcher, *left, *right))


def _surfaces(batch: Batch, lamps: Lamps, positions: Tensor, normals: Tensor, weights: Sequence[Tensor]) -> list[Surface]:
    def surface(seen: Seen, runs: Runs, weight: Tensor) -> Surface:
        return Surface(batch.topology.faces32, positions, normals, lamps, seen.bins, seen.face_id, runs, weight, seen.view)

    return [surface(*each) for each in zip(batch.seen, batch.runs, weights, strict=True)]


def _total(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The sum over views, in their order."""
    given = [part for part in parts if part is not None]
    return sum(given[1:], given[0]) if given else None


def shade_views(
    batch: Batch, lamps: Lamps, positions: Float[Tensor, "V 3"], normals: Float[Tensor, "F 3 3"],
    weights: Sequence[Float[Tensor, "_ _ 3"]],
) -> list[Float[Tensor, "_ _ 3"]]:
    """Irradiance over π of each view's pixels from their barycentric coordinates: what a base colour is to be multiplied with.

    Gradients: exact for positions, corner normals, barycentric coordinates and the lamps' lines; which share of a lamp's light reaches a
    vertex is constant, and so is a sky that is not the same all around.
    """
    return list(_Shade.apply(batch, lamps, lamps.lines, positions, normals.contiguous(), *weights))
