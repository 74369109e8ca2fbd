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
from ...kernels.launch import Launcher, Steps
from .batch import CAMERA_TENSORS, Batch, Seen
from .coverage import Blend, Crossings, blend, copied, unblend
from .cuts import cross_cuts
from .gather import texel_gradients
from .interpolate import Runs, interpolate
from .outline import cross_edges
from .paint import paint
from .pull import Painted, pull_corners
from .texture import Read, reduce_levels, tabulate

Pulled = tuple[Tensor, Tensor | None]  # gradients for vertices in camera space, and for the intrinsics


def _wants_lens(needed: Sequence[bool], index: int) -> bool:
    return any(needed[3 + CAMERA_TENSORS * index : 5 + CAMERA_TENSORS * index])


def _contiguous(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if g is None else g.contiguous() for g in gradients]


def _depths(batch: Batch) -> list[Tensor]:
    """The depth of every view. Not the batch's own tensors: a result and the context that made it would keep each other alive."""
    return [seen.depth.detach() for seen in batch.seen]


class _Locate(Function):
    """Barycentric coordinates and depth of every view."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, positions: Tensor, *cameras: Tensor | None) -> tuple[Tensor, ...]:
        def work(seen: Seen) -> Steps[tuple[Tensor, Runs]]:
            return interpolate(seen.projected, batch.topology.faces32, seen.face_id, seen.depth, seen.bins, seen.view, batch.launcher)

        weights, batch.runs = zip(*batch.launcher.together(map(work, batch.seen)), strict=True)
        ctx.batch = batch
        ctx.save_for_backward(positions)
        ctx.set_materialize_grads(False)
        return (*weights, *_depths(batch))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, needed = ctx.batch, ctx.needs_input_grad[1:]
        (positions,) = ctx.saved_tensors
        count = len(batch.seen)

        def work(index: int, seen: Seen, runs: Runs, by_weight: Tensor | None, by_depth: Tensor | None) -> Steps[Pulled]:
            total = torch.zeros_like(seen.projected.camera)
            if by_weight is None and by_depth is None:
                return total, None
            by_lens = yield from pull_corners(
                seen.projected, batch.topology.faces32, seen.face_id, seen.bins, runs, seen.view, batch.launcher, by_weight, by_depth,
                None, total, _wants_lens(needed, index),
            )
            return total, by_lens

        clean = _contiguous(gradients)
        parts = batch.launcher.together(map(work, range(count), batch.seen, batch.runs, clean[:count], clean[count:]))
        return (None, *batch.world_gradients(positions, *zip(*parts, strict=True), needed))


class _Paint(Function):
    """Base colours and depth of every view; where these are to be lit, barycentric coordinates too."""

    @staticmethod
    def forward(
        ctx: Any, batch: Batch, materials: Sequence[FlatMaterial], lit: bool, keep: bool, uvs: Tensor, colors: Tensor, texels: Tensor,
        positions: Tensor, *cameras: Tensor | None,
    ) -> tuple[Tensor, ...]:
        textures = tabulate(materials, colors, texels)
        batch.launcher.run(*([launch] for launch in reduce_levels(textures)))
        faces, face_material = batch.topology.faces32, batch.topology.face_material32

        keep = keep and any(ctx.needs_input_grad)

        def color(seen: Seen) -> Steps[tuple[Tensor, Tensor | None, Read | None, Runs | None]]:
            return paint(
                seen.projected, faces, uvs, face_material, textures, seen.face_id, seen.depth, seen.bins, seen.view, batch.launcher, lit,
                keep,
            )

        images, weights, ctx.reads, batch.runs = zip(*batch.launcher.together(map(color, batch.seen)), strict=True)
        weights = weights if lit else ()
        if not any(ctx.needs_input_grad[7:]):
            ctx.mark_non_differentiable(*weights)
        ctx.batch, ctx.textures, ctx.uvs = batch, textures, uvs
        ctx.save_for_backward(positions, colors)
        ctx.set_materialize_grads(False)
        return (*images, *_depths(batch), *weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, textures, uvs = ctx.batch, ctx.textures, ctx.uvs
        by_colors, by_texels, *needed = ctx.needs_input_grad[5:]
        positions, colors = ctx.saved_tensors
        count, topology = len(batch.seen), batch.topology
        images = _contiguous(gradients[:count])
        if textures.encoded:  # the gradient for colours is changed on the spot, and it may be somebody else's
            images = _copied(images, batch.launcher)
        depths = _contiguous(gradients[count : 2 * count])
        weights = gradients[2 * count :] or [None] * count

        def work(
            index: int, seen: Seen, runs: Runs, read: Read, by_rgb: Tensor | None, by_depth: Tensor | None, by_place: Tensor | None
        ) -> Steps[Pulled]:
            total = torch.zeros_like(seen.projected.camera)
            if by_rgb is None and by_depth is None and by_place is None:
                return total, None
            painted = None if by_rgb is None else Painted(textures, uvs, topology.face_material32, read.address, by_rgb)
            by_weight = None if by_place is None else by_place.contiguous()
            by_lens = yield from pull_corners(
                seen.projected, topology.faces32, seen.face_id, seen.bins, runs, seen.view, batch.launcher, by_weight, by_depth,
                painted, total, _wants_lens(needed, index),
            )
            return total, by_lens

        pulls: list[Steps[Any]] = []
        if any(needed) or textures.encoded:
            pulls = list(map(work, range(count), batch.seen, batch.runs, ctx.reads, images, depths, weights))
        views = [(seen.face_id, read, g) for seen, read, g in zip(batch.seen, ctx.reads, images, strict=True) if g is not None]
        gather = [texel_gradients(views, topology.face_material32, textures, batch.launcher)] if by_texels else []
        # Gradients for encoded texels are those that the pulls leave behind.
        found = [*map(batch.launcher.together, (pulls, gather))] if textures.encoded else [batch.launcher.together(pulls + gather)]
        results = [result for part in found for result in part]
        grad_texels = results.pop() if gather else None
        world: tuple[Tensor | None, ...] = (None,) * len(needed)
        if results:
            world = batch.world_gradients(positions, *zip(*results, strict=True), needed)
        grad_colors = None
        if by_colors:
            grad_colors = torch.zeros_like(colors)
            for seen, by_rgb in zip(batch.seen, images, strict=True):
                if by_rgb is not None:
                    shown = (seen.face_id >= 0).reshape(-1).nonzero().squeeze(1)
                    material = topology.face_material[seen.face_id.reshape(-1)[shown].long()]
                    grad_colors.index_add_(0, material, by_rgb.reshape(-1, 3)[shown])
            grad_colors[[i for i, m in enumerate(textures.sizes) if m[0] > 0]] = 0.0
        return (None, None, None, None, None, grad_colors, grad_texels, *world)


def _copied(gradients: Sequence[Tensor | None], launcher: Launcher) -> list[Tensor | None]:
    given = launcher.together(copied(g, launcher) for g in gradients if g is not None)
    return [None if g is None else given.pop(0) for g in gradients]


def _crossings(batch: Batch, seen: Seen) -> Steps[Crossings]:
    """The outline of a view, and where its surfaces cut through each other."""
    topology = batch.topology
    edge, *edges = yield from cross_edges(
        seen.projected, topology.faces32, *topology.edges32, batch.culled, seen.bins, seen.face_id, seen.view, batch.launcher
    )
    if topology.shell_count < 2:
        return Crossings(edge, edge.new_zeros(0, 2), *edges)
    cut, *cuts = yield from cross_cuts(
        seen.projected, topology.faces32, topology.shells32, seen.face_id, seen.view, batch.launcher, *edges[:2]
    )
    return Crossings(edge, cut, *(torch.cat(pair) for pair in zip(edges, cuts, strict=True)))


class _Blend(Function):
    """Colours and coverage of every view with their outlines blended, in place."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, positions: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
        views = len(batch.seen)
        images = list(rest[CAMERA_TENSORS * views :]) or [None] * views

        def work(seen: Seen, rgb: Tensor | None) -> Steps[tuple[Blend, Tensor]]:
            found = yield from _crossings(batch, seen)
            return (yield from blend(found, seen.face_id, rgb, batch.launcher))

        ctx.blends, alphas = zip(*batch.launcher.together(map(work, batch.seen, images)), strict=True)
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
        by_rgb = _copied(gradients[views:], batch.launcher) or [None] * views

        def work(index: int, seen: Seen, made: Blend, alpha: Tensor | None, rgb: Tensor | None) -> Steps[Pulled]:
            total = torch.zeros_like(seen.projected.camera)
            if alpha is None and rgb is None:
                return total, None
            by_lens = yield from unblend(
                made, rgb, alpha, seen.projected, batch.topology.faces32, batch.topology.edges32[0], seen.view, batch.launcher, total,
                _wants_lens(needed, index),
            )
            return total, by_lens

        parts = batch.launcher.together(map(work, range(views), batch.seen, ctx.blends, by_alpha, by_rgb))
        world = batch.world_gradients(positions, *zip(*parts, strict=True), needed)
        return (None, *world, *(by_rgb if ctx.colored else ()))


def locate(batch: Batch, positions: Float[Tensor, "V 3"]) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]]]:
    """Barycentric coordinates and depth of each view's pixels. Gradients: exact within faces, for positions and cameras."""
    outputs = _Locate.apply(batch, positions, *batch.camera_tensors())
    return list(outputs[: len(batch.seen)]), list(outputs[len(batch.seen) :])


def paint_views(
    batch: Batch, positions: Float[Tensor, "V 3"], uvs: Float[Tensor, "F 3 2"], materials: Sequence[FlatMaterial],
    colors: Float[Tensor, "M 3"], texels: Float[Tensor, "T 3"], *, lit: bool = False,
) -> tuple[list[Float[Tensor, "_ _ 3"]], list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Base colours and depth of each view's pixels, outlines hard; and for scenes that are ``lit`` what ``locate`` says of them.

    Gradients: exact within faces for positions, cameras, colours and texels; none for ``uvs``.
    """
    outputs = _Paint.apply(batch, materials, lit, torch.is_grad_enabled(), uvs, colors, texels, positions, *batch.camera_tensors())
    views = len(batch.seen)
    return list(outputs[:views]), list(outputs[views : 2 * views]), list(outputs[2 * views :])


def blend_views(
    batch: Batch, positions: Float[Tensor, "V 3"], images: Sequence[Float[Tensor, "_ _ 3"]] = ()
) -> tuple[list[Float[Tensor, "_ _"]], list[Float[Tensor, "_ _ 3"]]]:
    """Coverage of each view's pixels, and its image with blended outlines; the images given are changed in place.

    Gradients: exact for the images, and for the position of the outline.
    """
    outputs = _Blend.apply(batch, positions, *batch.camera_tensors(), *images)
    views = len(batch.seen)
    return list(outputs[:views]), list(outputs[views:])
