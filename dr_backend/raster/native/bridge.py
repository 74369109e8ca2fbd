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
from ...kernels.launch import Launcher, Stage, Steps, Work, side_by_side
from .batch import CAMERA_TENSORS, Batch, Seen
from .coverage import Blend, Crossings, blend, copied, unblend
from .cuts import cross_cuts
from .interpolate import interpolate
from .outline import cross_edges
from .paint import Painted
from .palette import Palette
from .pull import Pull, pull_corners


def _pulls(batch: Batch, needed: Sequence[bool]) -> list[Pull]:
    """Of each view; ``needed`` is as ``Batch.world_gradients`` takes it."""
    starts = range(1, len(needed), CAMERA_TENSORS)
    return [Pull(seen.camera, any(needed[n + 2 : n + 4])) for seen, n in zip(batch.seen, starts, strict=True)]


def _world(
    batch: Batch, positions: Tensor, pulls: Sequence[Pull], needed: Sequence[bool], *stages: Sequence[Work]
) -> tuple[Tensor | None, ...]:
    """Runs what fills the pulls, and returns the gradients for positions and cameras, as far as they are ``needed``."""
    by_camera = [pull.by_camera for pull in pulls]
    by_world, turning = batch.turn_back(by_camera) if needed[0] else (None, [])
    batch.launcher.run(*stages, *turning)
    if not any(needed):
        return (None,) * len(needed)
    return batch.world_gradients(positions, by_camera, [pull.by_lens() for pull in pulls], needed, by_world)


def _contiguous(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if g is None else g.contiguous() for g in gradients]


def _depths(batch: Batch, keep: bool = True) -> list[Tensor]:
    """The depth of every view. With ``keep``, for a backward pass, not the batch's own tensors: a result and the context that made it would
    keep each other alive.
    """
    return [seen.depth.detach() if keep else seen.depth for seen in batch.seen]


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
        pulls = _pulls(batch, needed)
        work = []
        for pull, seen, runs, by_weight, by_depth in zip(pulls, batch.seen, batch.runs, clean[:count], clean[count:], strict=True):
            if by_weight is not None or by_depth is not None:
                work.append(pull.take(pull_corners(
                    seen.camera, batch.topology.faces32, seen.face_id, seen.bins, runs, seen.view, batch.launcher, by_weight, by_depth,
                    None, pull.by_camera, pull.intrinsics,
                )))
        return (None, *_world(batch, positions, pulls, needed, *side_by_side(work)))


def _copied(gradients: Sequence[Tensor | None], launcher: Launcher) -> tuple[list[Tensor | None], list[list[Work]]]:
    """Copies, and what makes them: gradients that are changed on the spot may be somebody else's."""
    made = [(None, []) if g is None else copied(g, launcher) for g in gradients]
    return [copy for copy, _ in made], side_by_side([work for _, work in made])


def _unpainted(
    ctx: Any, pulls: Sequence[Pull], images: Sequence[Tensor | None], depths: Sequence[Tensor | None], weights: Sequence[Tensor | None],
    *before: Sequence[Work],
) -> tuple[Tensor | None, ...]:
    """What ``_Paint`` and ``_Image`` answer, once ``before`` has run and ``images`` are gradients for colours that are not blended."""
    palette = ctx.palette
    by_colors, by_texels, *needed = ctx.needs_input_grad[4:]
    positions, colors = ctx.saved_tensors
    grad_texels, work = palette.unpaint(pulls, ctx.painted, images, depths, weights, any(needed), by_texels)
    world = _world(palette.batch, positions, pulls, needed, *before, *work)
    return (None, None, None, None, palette.by_colors(colors, images) if by_colors else None, grad_texels, *world)


class _Paint(Function):
    """Base colours and depth of every view; where these are to be lit, barycentric coordinates too."""

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, materials: Sequence[FlatMaterial], keep: bool, uvs: Tensor, colors: Tensor, texels: Tensor,
        positions: Tensor, *cameras: Tensor | None,
    ) -> tuple[Tensor, ...]:
        palette = Palette(batch, materials, uvs, colors, texels)
        painted, work = zip(*(palette.paint(seen, True, keep) for seen in batch.seen), strict=True)
        batch.launcher.run(*([launch] for launch in palette.prepare()), *side_by_side(work))
        palette.keep()
        batch.runs = [each.runs for each in painted]
        images, weights = [each.rgb for each in painted], [each.weights for each in painted]
        if not any(ctx.needs_input_grad[6:]):
            ctx.mark_non_differentiable(*weights)
        ctx.palette, ctx.painted = palette, [Painted(None, None, each.read, each.runs) for each in painted]
        ctx.save_for_backward(positions, colors)
        ctx.set_materialize_grads(False)
        return (*images, *_depths(batch, keep), *weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        palette, batch = ctx.palette, ctx.palette.batch
        count = len(batch.seen)
        images, depths, weights = (_contiguous(gradients[count * n : count * (n + 1)]) for n in range(3))
        copying: list[list[Work]] = []
        if any(palette.textures.encoded):
            images, copying = _copied(images, batch.launcher)
        return _unpainted(ctx, _pulls(batch, ctx.needs_input_grad[6:]), images, depths, weights, *copying)


def _blended(
    batch: Batch, seen: Seen, alpha: Tensor, rgb: Tensor | None, before: Sequence[Work], color: Sequence[Work] = ()
) -> Steps[Blend]:
    """Coverage and colours blended in place along the outline of a view, and where its surfaces cut through each other.

    What is to be run ``before`` finds what pixels see, and ``color`` their colours.
    """
    topology, launcher = batch.topology, batch.launcher
    (edge, *edges), work = yield from cross_edges(
        seen.outline, seen.camera, topology.faces32, seen.face_id, seen.view, launcher, before
    )
    found = Crossings(edge, None, *edges)
    if topology.shell_count > 1:
        cut, *cuts = yield from cross_cuts(
            seen.camera, topology.faces32, topology.shells32, seen.face_id, seen.view, launcher, *edges[:2], work
        )
        found, work = Crossings(edge, cut, *(torch.cat(pair) for pair in zip(edges, cuts, strict=True))), []
    made, blending = blend(found, alpha, rgb, launcher)
    later: list[Stage] = [[]] * max(len(before), len(work) - 1)  # one thread chooses crossings: the others paint meanwhile
    yield [*side_by_side([work, [*later, *color]]), *blending]
    return made


def _unblended(
    batch: Batch, pulls: Sequence[Pull], blends: Sequence[Blend], by_alpha: Sequence[Tensor | None], by_rgb: Sequence[Tensor | None]
) -> list[list[Work]]:
    """What turns the gradients for colours, on the spot, into those for colours that are not blended, and pulls at the outlines."""
    topology, work = batch.topology, []
    for pull, seen, made, alpha, rgb in zip(pulls, batch.seen, blends, by_alpha, by_rgb, strict=True):
        if alpha is not None or rgb is not None:
            work.append(pull.take(unblend(
                made, rgb, alpha, seen.camera, topology.faces32, topology.edges32[0], seen.view, batch.launcher, pull.by_camera,
                pull.intrinsics,
            )))
    return side_by_side(work)


class _Blend(Function):
    """Colours and coverage of every view with their outlines blended, in place."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, positions: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
        views = len(batch.views)
        images = list(rest[CAMERA_TENSORS * views :]) or [None] * views

        def work(index: int, rgb: Tensor | None) -> Steps[tuple[Seen, Blend, Tensor]]:
            seen, alpha, before = yield from batch.see(index)
            return seen, (yield from _blended(batch, seen, alpha, rgb, before)), alpha

        found = batch.launcher.together(map(work, range(views), images))
        batch.seen, ctx.blends, alphas = zip(*found, strict=True)
        ctx.batch, ctx.colored = batch, images[0] is not None
        ctx.save_for_backward(positions)
        ctx.set_materialize_grads(False)
        if ctx.colored:
            ctx.mark_dirty(*images)
            return (*alphas, *images)
        return alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, views = ctx.batch, len(ctx.batch.seen)
        needed = ctx.needs_input_grad[1 : 2 + CAMERA_TENSORS * views]
        (positions,) = ctx.saved_tensors
        by_alpha = _contiguous(gradients[:views])
        by_rgb, copying = _copied(gradients[views:] or [None] * views, batch.launcher)
        pulls = _pulls(batch, needed)
        world = _world(batch, positions, pulls, needed, *copying, *_unblended(batch, pulls, ctx.blends, by_alpha, by_rgb))
        return (None, *world, *(by_rgb if ctx.colored else ()))


class _Image(Function):
    """What every view of an unlit scene shows, from its vertices to its blended outlines: colours, coverage and depth.

    The same as ``_Paint`` and ``_Blend``, with fewer turns between Python and kernels.
    """

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, materials: Sequence[FlatMaterial], keep: bool, uvs: Tensor, colors: Tensor, texels: Tensor,
        positions: Tensor, *cameras: Tensor | None,
    ) -> tuple[Tensor, ...]:
        palette = Palette(batch, materials, uvs, colors, texels)

        def work(index: int) -> Steps[tuple[Seen, Painted, Blend, Tensor]]:
            if batch.seen:
                yield ()  # textures are prepared first
            seen, alpha, before = yield from batch.see(index)
            painted, color = palette.paint(seen, False, keep)
            if before:
                before[-1].then = color.pop(0)  # a tile is painted while what it shows is in the cache
            return seen, painted, (yield from _blended(batch, seen, alpha, painted.rgb, before, color)), alpha

        def prepare() -> Steps[None]:
            yield palette.prepare()

        found = batch.launcher.together([*map(work, range(len(batch.views))), prepare()])
        palette.keep()
        batch.seen, painted, ctx.blends, alphas = zip(*found[:-1], strict=True)
        ctx.palette, ctx.painted = palette, [Painted(None, None, each.read, each.runs) for each in painted]
        ctx.save_for_backward(positions, colors)
        ctx.set_materialize_grads(False)
        return (*(each.rgb for each in painted), *alphas, *_depths(batch, keep))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch = ctx.palette.batch
        count = len(batch.seen)
        images, copying = _copied(gradients[:count], batch.launcher)
        by_alpha, depths = _contiguous(gradients[count : 2 * count]), _contiguous(gradients[2 * count :])
        pulls = _pulls(batch, ctx.needs_input_grad[6:])
        outlines = _unblended(batch, pulls, ctx.blends, by_alpha, images)
        return _unpainted(ctx, pulls, images, depths, [None] * count, *copying, *outlines)


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
    outputs = _Paint.apply(batch, materials, keep, uvs, colors, texels, positions, *batch.camera_tensors())
    return list(outputs[:views]), list(outputs[views : 2 * views]), list(outputs[2 * views :])


def draw_views(
    batch: Batch, positions: Float[Tensor, "V 3"], uvs: Float[Tensor, "F 3 2"], materials: Sequence[FlatMaterial],
    colors: Float[Tensor, "M 3"], texels: Float[Tensor, "*T 3"],
) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _"]]]:
    """Base colours, outlines blended, coverage and depth of each view's pixels. Nobody has to have looked before.

    Gradients: exact within faces for positions, cameras, colours and texels, and for the position of the outline; none for ``uvs``.

    Raises:
        ValueError: A position or a camera holds a number that is not finite.
    """
    keep, views = torch.is_grad_enabled(), len(batch.views)
    outputs = _Image.apply(batch, materials, keep, uvs, colors, texels, positions, *batch.camera_tensors())
    return list(outputs[:views]), list(outputs[views : 2 * views]), list(outputs[2 * views :])


def blend_views(
    batch: Batch, positions: Float[Tensor, "V 3"], images: Sequence[Float[Tensor, "_ _ 3"]] = ()
) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Coverage of each view's pixels, and its image with blended outlines; the images given are changed in place.

    Without images nobody has to have looked before.

    Gradients: exact for the images, and for the position of the outline.
    """
    outputs = _Blend.apply(batch, positions, *batch.camera_tensors(), *images)
    views = len(batch.views)
    return list(outputs[:views]), list(outputs[views:])
