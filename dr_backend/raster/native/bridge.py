"""The kernels as differentiable functions of torch, for all views of a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ...geometry.flatten import FlatMaterial
from ...kernels.launch import Steps, Work, side_by_side
from ...kernels.recipe import Done
from .batch import CAMERA_TENSORS, Batch
from .coverage import Blend
from .drawing import Asked, Sketch, Wanted, blended, cleaned, copies_of, draw, pulls_of, taken, unblended, undraw
from .interpolate import interpolate
from .palette import Paints, color_gradients, keep_made, paints_of
from .pull import Pull, pull_corners
from .shade import Lighting


def _once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """``once_differentiable`` without what that does where nobody would differentiate again."""
    refusing = once_differentiable(backward)
    return lambda ctx, *gradients: (refusing if torch.is_grad_enabled() else backward)(ctx, *gradients)


def _world(
    batch: Batch, positions: Tensor, pulls: Sequence[Pull], needed: Sequence[bool], *stages: Sequence[Work]
) -> tuple[Tensor | None, ...]:
    """Runs what fills the pulls, and returns the gradients for positions and cameras, as far as they are ``needed``."""
    by_camera = [pull.by_camera for pull in pulls]
    by_world, turning = batch.turn_back(by_camera, None) if needed[0] else (None, [])
    batch.launcher.run(*stages, *turning)
    return batch.world_gradients(positions, by_camera, [pull.by_lens for pull in pulls], needed, by_world)


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
        batch, needed, (clean, _) = ctx.batch, ctx.needs_input_grad[1:], cleaned(gradients)
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
        clean, own = cleaned(gradients)
        by_rgb, copying = copies_of(clean[views:], own[views:], batch.launcher)
        pulls = pulls_of(batch, needed)
        world = _world(batch, positions, pulls, needed, *copying, *unblended(batch, pulls, ctx.blends, clean[:views], by_rgb))
        return (None, *world, *by_rgb)


_LOOKS = 4  # inputs that say what surfaces look like: colours, texels, the lamps' lines, corner normals


@dataclass(frozen=True)
class _Drawing:
    """What is to be drawn, and all that it may have gradients for."""

    batch: Batch
    paints: Paints | None
    lighting: Lighting | None
    inputs: Sequence[Tensor | None]  # see ``_LOOKS``; then positions and cameras, as ``Batch.world_gradients`` answers for them
    moving: Sequence[int]  # which of them have any

    def show(self) -> tuple[tuple[Tensor, ...], Done[Sketch]]:
        """What ``_Image`` returns, and how it was made."""
        batch, paints = self.batch, self.paints
        done = draw(batch, paints, self.lighting, bool(self.moving))
        if paints is not None and done.result.palette is not None:
            keep_made(paints, done.result.palette.textures, done.real)
        images, alphas, depths, batch.faces = taken(done)
        if paints is not None:
            return (*alphas, *images, *depths), done
        batch.depths = depths
        return tuple(alphas), done


def _drawn(
    batch: Batch, positions: Tensor, paints: Paints | None = None, lighting: Lighting | None = None, *looks: Tensor | None
) -> Sequence[Tensor]:
    """See ``_Image``; ``looks`` are what else has gradients."""
    cameras = batch.camera_tensors() if batch.moving else [None] * (CAMERA_TENSORS * len(batch.views))
    inputs = [*(looks or [None] * _LOOKS), positions, *cameras]
    moving = [n for n, each in enumerate(inputs) if each is not None and each.requires_grad] if torch.is_grad_enabled() else []
    drawing = _Drawing(batch, paints, lighting, inputs, moving)
    return _Image.apply(drawing, *[inputs[n] for n in moving]) if moving else drawing.show()[0]


class _Image(Function):
    """What every view shows, from its vertices to its blended outlines: coverage; with paints colours, which may be lit, and depth.

    Torch is told only of what has gradients: it takes its time over each.
    """

    @staticmethod
    def forward(ctx: Any, drawing: _Drawing, *moving: Tensor) -> tuple[Tensor, ...]:
        outputs, ctx.done = drawing.show()
        ctx.batch, ctx.moving, ctx.layout = drawing.batch, drawing.moving, None if drawing.paints is None else drawing.paints.layout
        ctx.save_for_backward(drawing.inputs[_LOOKS], drawing.inputs[0])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @_once
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, (positions, colors) = ctx.batch, ctx.saved_tensors
        count = len(batch.views)
        wanted = [False] * (_LOOKS + 1 + CAMERA_TENSORS * count)
        for n, need in zip(ctx.moving, ctx.needs_input_grad[1:], strict=True):
            wanted[n] = need
        by_colors, by_texels, by_lines, by_normals, *needed = wanted
        alphas, images, depths = ([*gradients[count * n : count * (n + 1)]] or [None] * count for n in range(3))
        asked = Wanted(by_texels, by_lines, any(needed) or by_normals, tuple(needed))
        done = undraw(batch.launcher, ctx.done, asked, images, alphas, depths)
        found: list[Tensor | None] = [None] * _LOOKS
        if by_colors:
            plain = [None if each is None else done.real(each) for each in done.result.images]
            found[0] = color_gradients(batch, ctx.layout, colors, batch.faces, plain)
        found[1] = _real(done, done.result.by_texels)
        if by_lines:
            found[2] = sum(done.real(each).double().sum(0).float() for each in done.result.by_lines)
        found[3] = _real(done, done.result.by_normals) if by_normals else None
        found += _moved(batch, done, positions, needed)
        return (None, *[found[n] for n in ctx.moving])


def _real(done: Done[Asked], tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else done.real(tensor)


def _moved(batch: Batch, done: Done[Asked], positions: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """Gradients for positions and cameras, as far as they are ``needed``."""
    asked = done.result
    by_world = _real(done, asked.by_world) if needed[0] else None
    by_camera, by_lens = map(done.real, asked.by_camera), (list(map(done.real, parts)) for parts in asked.by_lens)  # if anybody asks
    by_positions, *rest = batch.world_gradients(positions, by_camera, by_lens, needed, None if batch.bent else by_world)
    if batch.bent and by_world is not None and by_positions is not None:
        by_positions = by_positions + by_world
    return (by_positions, *rest)


def locate(batch: Batch, positions: Float[Tensor, "V 3"]) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]]]:
    """Barycentric coordinates and depth of each view's pixels. Gradients: exact within faces, for positions and cameras."""
    outputs = _Locate.apply(batch, positions, *batch.camera_tensors())
    return list(outputs[: len(batch.seen)]), list(outputs[len(batch.seen) :])


def draw_views(
    batch: Batch, positions: Float[Tensor, "V 3"], uvs: Float[Tensor, "F 3 2"], materials: Sequence[FlatMaterial],
    colors: Float[Tensor, "M 3"], texels: Float[Tensor, "*T 3"], lighting: Lighting | None = None,
) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _"]]]:
    """Colours of matte surfaces, or without ``lighting`` base colours, coverage and depth of each view's pixels, outlines blended.

    Nobody has to have looked before; ``batch.faces`` are what pixels show. Gradients: exact for positions, cameras, colours, texels, the
    lamps' lines and corner normals, and for the position of the outline; none for ``uvs``. Which share of a lamp's light reaches a
    vertex is constant, and so is a sky that is not the same all around.

    Raises:
        ValueError: A position or a camera holds a number that is not finite.
    """
    views, light = len(batch.views), (None, None)
    if lighting is not None:
        lighting = replace(lighting, normals=lighting.normals.contiguous())
        light = lighting.lamps.lines, lighting.normals
    outputs = _drawn(batch, positions, paints_of(materials, uvs, colors, texels), lighting, colors, texels, *light)
    return list(outputs[views : 2 * views]), list(outputs[:views]), list(outputs[2 * views :])


def cover_views(batch: Batch, positions: Float[Tensor, "V 3"]) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _"]]]:
    """Coverage of each view's pixels, and depth, which has no gradient; ``batch.faces`` are what they show.

    Nobody has to have looked before. Gradients: exact for the position of the outline. Raises as ``draw_views`` does.
    """
    return list(_drawn(batch, positions)), batch.depths


def blend_views(
    batch: Batch, positions: Float[Tensor, "V 3"], images: Sequence[Float[Tensor, "_ _ 3"]]
) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Coverage of each view's pixels, and its image with blended outlines; the images given are changed in place.

    Somebody has to have looked before. Gradients: exact for the images, and for the position of the outline.
    """
    outputs = _Blend.apply(batch, positions, *batch.camera_tensors(), *images)
    views = len(batch.views)
    return list(outputs[:views]), list(outputs[views:])
