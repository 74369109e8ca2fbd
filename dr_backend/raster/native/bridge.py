"""The kernels as differentiable functions of torch, for all views of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ...geometry.flatten import FlatMaterial
from ...kernels.launch import Steps, Work, side_by_side
from .batch import CAMERA_TENSORS, Batch
from .coverage import Blend
from .drawing import blended, copies_of, draw, pulls_of, taken, unblended, undraw
from .interpolate import interpolate
from .paint import Painted
from .palette import Paints, Palette, color_gradients, keep_made, paints_of
from .pull import Pull, pull_corners


def _world(
    batch: Batch, positions: Tensor, pulls: Sequence[Pull], needed: Sequence[bool], *stages: Sequence[Work]
) -> tuple[Tensor | None, ...]:
    """Runs what fills the pulls, and returns the gradients for positions and cameras, as far as they are ``needed``."""
    by_camera = [pull.by_camera for pull in pulls]
    by_world, turning = batch.turn_back(by_camera) if needed[0] else (None, [])
    batch.launcher.run(*stages, *turning)
    return batch.world_gradients(positions, by_camera, [pull.by_lens for pull in pulls], needed, by_world)


def _contiguous(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if g is None else g.contiguous() for g in gradients]


def _depths(batch: Batch) -> list[Tensor]:
    """The depth of every view. Not the batch's own tensors: a result and the context that made it would keep each other alive."""
    return [seen.depth.detach() for seen in batch.seen]


class _Locate(Function):
    """Barycentric coordinates and depth of every view."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, positions: Tensor, *cameras: Tensor | None) -> tuple[Tensor, ...]:
        weights, batch.runs, work = zip(
            *(interpolate(s.camera, batch.topology.faces32, s.face_id, s.depth, s.bins, s.view, batch.launcher) for s in batch.seen),
            strict=True,
        )
        batch.launcher.run(*side_by_side(work))
        ctx.batch = batch
        ctx.save_for_backward(positions)
        ctx.set_materialize_grads(False)
        return (*weights, *_depths(batch))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, needed, clean = ctx.batch, ctx.needs_input_grad[1:], _contiguous(gradients)
        (positions,) = ctx.saved_tensors
        count = len(batch.seen)
        pulls = pulls_of(batch, needed)
        work = []
        for pull, seen, runs, by_weight, by_depth in zip(pulls, batch.seen, batch.runs, clean[:count], clean[count:], strict=True):
            if by_weight is not None or by_depth is not None:
                work.append(pull.take(pull_corners(
                    seen.camera, batch.topology.faces32, seen.face_id, seen.bins, runs, seen.view, batch.launcher, by_weight, by_depth,
                    None, pull.by_camera, pull.intrinsics,
                )))
        return (None, *_world(batch, positions, pulls, needed, *side_by_side(work)))


class _Paint(Function):
    """Base colours, depth and barycentric coordinates of every view, which are to be lit."""

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, paints: Paints, keep: bool, colors: Tensor, texels: Tensor, positions: Tensor, *cameras: Tensor | None
    ) -> tuple[Tensor, ...]:
        palette = Palette(paints, batch.launcher)
        painted, work = zip(*(palette.paint(batch, seen, True, keep) for seen in batch.seen), strict=True)
        batch.launcher.run(*([launch] for launch in palette.prepare(batch.launcher)), *side_by_side(work))
        keep_made(paints, palette.textures, lambda tensor: tensor)
        batch.runs = [each.runs for each in painted]
        images, weights = [each.rgb for each in painted], [each.weights for each in painted]
        if not any(ctx.needs_input_grad[5:]):
            ctx.mark_non_differentiable(*weights)
        ctx.batch, ctx.palette, ctx.layout = batch, palette, paints.layout
        ctx.painted = [Painted(None, None, each.read, each.runs) for each in painted]
        ctx.save_for_backward(positions, colors)
        ctx.set_materialize_grads(False)
        return (*images, *_depths(batch), *weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        palette, batch, (positions, colors) = ctx.palette, ctx.batch, ctx.saved_tensors
        by_colors, by_texels, *needed = ctx.needs_input_grad[3:]
        count = len(batch.seen)
        images, depths, weights = (_contiguous(gradients[count * n : count * (n + 1)]) for n in range(3))
        copying: list[list[Work]] = []
        if any(palette.textures.encoded):
            images, copying = copies_of(images, _scattered(gradients[:count]), batch.launcher)
        filtered = any(float(made.read.highest.max()) > 0 for made in ctx.painted if made.read is not None)
        pulls = pulls_of(batch, needed)
        grad_texels, work = palette.unpaint(batch, pulls, ctx.painted, images, depths, weights, any(needed), by_texels, filtered)
        world = _world(batch, positions, pulls, needed, *copying, *work)
        faces = [seen.face_id for seen in batch.seen]
        return (None, None, None, color_gradients(batch, ctx.layout, colors, faces, images) if by_colors else None, grad_texels, *world)


def _scattered(gradients: Sequence[Tensor | None]) -> list[bool]:
    """Which are not contiguous: a contiguous copy of them is our own."""
    return [g is not None and not g.is_contiguous() for g in gradients]


class _Blend(Function):
    """Colours and coverage of every view with their outlines blended, colours in place. Somebody has to have looked before."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, positions: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
        images = rest[CAMERA_TENSORS * len(batch.views) :]

        def work(index: int) -> Steps[tuple[Blend, Tensor]]:
            seen, alpha, before = yield from batch.see(index)
            return (yield from blended(batch, seen, alpha, images[index], before)), alpha

        ctx.blends, alphas = zip(*batch.launcher.together(map(work, range(len(images)))), strict=True)
        ctx.batch = batch
        ctx.save_for_backward(positions)
        ctx.set_materialize_grads(False)
        ctx.mark_dirty(*images)
        return (*alphas, *images)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, views = ctx.batch, len(ctx.batch.seen)
        needed = ctx.needs_input_grad[1 : 2 + CAMERA_TENSORS * views]
        (positions,) = ctx.saved_tensors
        by_alpha = _contiguous(gradients[:views])
        by_rgb, copying = copies_of(_contiguous(gradients[views:]), _scattered(gradients[views:]), batch.launcher)
        pulls = pulls_of(batch, needed)
        world = _world(batch, positions, pulls, needed, *copying, *unblended(batch, pulls, ctx.blends, by_alpha, by_rgb))
        return (None, *world, *by_rgb)


class _Image(Function):
    """What every view of an unlit scene shows, from its vertices to its blended outlines: coverage, with paints also colours and depth.

    The same as ``_Paint`` and ``_Blend``, with fewer turns between Python and kernels.
    """

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, paints: Paints | None, keep: bool, colors: Tensor | None, texels: Tensor | None, positions: Tensor,
        *cameras: Tensor | None,
    ) -> tuple[Tensor, ...]:
        done = draw(batch, paints, keep)
        if paints is not None and done.result.palette is not None:
            keep_made(paints, done.result.palette.textures, done.real)
        images, alphas, depths, batch.faces = taken(done)
        batch.depths = [] if paints else depths
        ctx.batch, ctx.done, ctx.layout = batch, done, None if paints is None else paints.layout
        ctx.save_for_backward(positions, colors)
        ctx.set_materialize_grads(False)
        return (*alphas, *images, *depths) if paints else tuple(alphas)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, (positions, colors) = ctx.batch, ctx.saved_tensors
        by_colors, by_texels, *needed = ctx.needs_input_grad[3:]
        count = len(batch.views)
        alphas, images, depths = ([*gradients[count * n : count * (n + 1)]] or [None] * count for n in range(3))
        done = undraw(batch.launcher, ctx.done, needed, by_texels, images, alphas, depths)
        asked = done.result
        by_world = None if asked.by_world is None else done.real(asked.by_world)
        world: Sequence[Tensor | None] = (by_world, *[None] * (len(needed) - 1))
        if any(needed[1:]) or (needed[0] and by_world is None):
            by_lens = [[done.real(part) for part in parts] for parts in asked.by_lens]
            world = batch.world_gradients(positions, [done.real(each) for each in asked.by_camera], by_lens, needed, by_world)
        grad_texels = None if asked.by_texels is None else done.real(asked.by_texels)
        grad_colors = None
        if by_colors:
            plain = [None if each is None else done.real(each) for each in asked.images]
            grad_colors = color_gradients(batch, ctx.layout, colors, batch.faces, plain)
        return (None, None, None, grad_colors, grad_texels, *world)


def locate(batch: Batch, positions: Float[Tensor, "V 3"]) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]]]:
    """Barycentric coordinates and depth of each view's pixels. Gradients: exact within faces, for positions and cameras."""
    outputs = _Locate.apply(batch, positions, *batch.camera_tensors())
    return list(outputs[: len(batch.seen)]), list(outputs[len(batch.seen) :])


def paint_views(
    batch: Batch, positions: Float[Tensor, "V 3"], uvs: Float[Tensor, "F 3 2"], materials: Sequence[FlatMaterial],
    colors: Float[Tensor, "M 3"], texels: Float[Tensor, "*T 3"],
) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Base colours and depth of each view's pixels, outlines hard, and barycentric coordinates.

    Gradients: exact within faces for positions, cameras, colours and texels; none for ``uvs``.
    """
    keep, views = torch.is_grad_enabled(), len(batch.seen)
    paints = paints_of(materials, uvs, colors, texels)
    outputs = _Paint.apply(batch, paints, keep, colors, texels, positions, *batch.camera_tensors())
    return list(outputs[:views]), list(outputs[views : 2 * views]), list(outputs[2 * views :])


def draw_views(
    batch: Batch, positions: Float[Tensor, "V 3"], uvs: Float[Tensor, "F 3 2"], materials: Sequence[FlatMaterial],
    colors: Float[Tensor, "M 3"], texels: Float[Tensor, "*T 3"],
) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _"]]]:
    """Base colours, outlines blended, coverage and depth of each view's pixels; ``batch.faces`` are what they show.

    Nobody has to have looked before. Gradients: exact for positions, cameras, colours and texels, and for the position of the outline;
    none for ``uvs``.

    Raises:
        ValueError: A position or a camera holds a number that is not finite.
    """
    keep, views = torch.is_grad_enabled(), len(batch.views)
    paints = paints_of(materials, uvs, colors, texels)
    outputs = _Image.apply(batch, paints, keep, colors, texels, positions, *batch.camera_tensors())
    return list(outputs[views : 2 * views]), list(outputs[:views]), list(outputs[2 * views :])


def cover_views(batch: Batch, positions: Float[Tensor, "V 3"]) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _"]]]:
    """Coverage of each view's pixels, and depth, which has no gradient; ``batch.faces`` are what they show.

    Nobody has to have looked before. Gradients: exact for the position of the outline. Raises as ``draw_views`` does.
    """
    outputs = _Image.apply(batch, None, torch.is_grad_enabled(), None, None, positions, *batch.camera_tensors())
    return list(outputs), batch.depths


def blend_views(
    batch: Batch, positions: Float[Tensor, "V 3"], images: Sequence[Float[Tensor, "_ _ 3"]]
) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Coverage of each view's pixels, and its image with blended outlines; the images given are changed in place.

    Somebody has to have looked before. Gradients: exact for the images, and for the position of the outline.
    """
    outputs = _Blend.apply(batch, positions, *batch.camera_tensors(), *images)
    views = len(batch.views)
    return list(outputs[:views]), list(outputs[views:])
