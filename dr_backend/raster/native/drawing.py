"""Drawing a batch from its vertices to its blended outlines, and the adjoint.

The plan is the same every time, so it is made once where torch has no part in it (see ``recipe``).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...kernels.launch import Launcher, Stage, Steps, Work, side_by_side
from ...kernels.recipe import Done, Recorder, follow
from ..project import refuse_unless_finite
from .batch import CAMERA_TENSORS, Batch, Seen, Tables
from .copies import copied
from .coverage import Blend, Crossings, blend, unblend
from .cuts import cross_cuts
from .outline import cross_edges
from .paint import Painted
from .palette import Paints, Palette
from .project import stand_in, told
from .pull import Pull


@dataclass(frozen=True)
class Sketch:
    """What drawing makes, and what its adjoint needs."""

    batch: Batch
    palette: Palette | None  # none where colours do not count
    painted: Sequence[Painted]
    blends: Sequence[Blend]
    alphas: Sequence[Tensor]


@dataclass(frozen=True)
class Asked:
    """What the gradients of a batch's images ask of what it shows."""

    by_world: Tensor | None  # of vertices; none where nobody wants to know, or a lens bends the world
    by_camera: Sequence[Tensor]  # of vertices in each view's camera space
    by_lens: Sequence[Sequence[Tensor]]  # of each view's centre and focal length, to be added up
    by_texels: Tensor | None
    images: Sequence[Tensor | None]  # of colours before they were blended


def blended(
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
        assert not isinstance(topology, Tables)
        cut, *cuts = yield from cross_cuts(
            seen.camera, topology.faces32, topology.shells32, seen.face_id, seen.view, launcher, *edges[:2], work
        )
        found, work = Crossings(edge, cut, *(torch.cat(pair) for pair in zip(edges, cuts, strict=True))), []
    made, blending = blend(found, alpha, rgb, launcher)
    later: list[Stage] = [[]] * max(len(before), len(work) - 1)  # one thread chooses crossings: the others paint meanwhile
    yield [*side_by_side([work, [*later, *color]]), *blending]
    return made


def unblended(
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


def pulls_of(batch: Batch, needed: Sequence[bool]) -> list[Pull]:
    """Of each view; ``needed`` is as ``Batch.world_gradients`` takes it."""
    starts = range(1, len(needed), CAMERA_TENSORS)
    return [Pull(seen.camera, any(needed[n + 2 : n + 4]), batch.launcher) for seen, n in zip(batch.seen, starts, strict=True)]


def copies_of(gradients: Sequence[Tensor | None], own: Sequence[bool], launcher: Launcher) -> tuple[list[Tensor | None], list[list[Work]]]:
    """Copies of what is not our ``own``, and what makes them: gradients that are changed on the spot may be somebody else's."""
    made = [(g, None) if g is None or ours else copied(g, launcher) for g, ours in zip(gradients, own, strict=True)]
    return [copy for copy, _ in made], side_by_side([[work] for _, work in made if work is not None])


def _sketch(batch: Batch, paints: Paints | None, keep: bool) -> Sketch:
    """Draws a batch; with ``keep`` for a backward pass."""
    launcher, palette = batch.launcher, None if paints is None else Palette(paints, batch.launcher)

    def work(index: int) -> Steps[tuple[Seen, Painted | None, Blend, Tensor]]:
        if batch.seen:
            yield ()  # textures are prepared first
        seen, alpha, before = yield from batch.see(index)
        if palette is None:
            return seen, None, (yield from blended(batch, seen, alpha, None, before)), alpha
        painted, color = palette.paint(batch, seen, False, keep)
        if before:
            before[-1].then = color.pop(0)  # a tile is painted while what it shows is in the cache
        return seen, painted, (yield from blended(batch, seen, alpha, painted.rgb, before, color)), alpha

    def prepare() -> Steps[None]:
        if palette is not None:
            yield palette.prepare(launcher)

    found: list[Any] = launcher.together([*map(work, range(len(batch.views))), prepare()])
    batch.seen, painted, blends, alphas = zip(*found[:-1], strict=True)
    return Sketch(batch, palette, [each for each in painted if each is not None], blends, alphas)


def draw(batch: Batch, paints: Paints | None, keep: bool) -> Done[Sketch]:
    """Draws a batch whose views nobody has to have looked at; without ``paints`` only coverage, and with ``keep`` for a backward pass.

    Raises:
        ValueError: A position or a camera holds a number that is not finite.
    """
    done = _by_recipe(batch, paints, keep) or Done(_sketch(batch, paints, keep))
    if not all(done.blank(seen.faults) for seen in done.result.batch.seen):
        refuse_unless_finite(math.nan)
    return done


def _by_recipe(batch: Batch, paints: Paints | None, keep: bool) -> Done[Sketch] | None:
    """The same where that has been done before for scenes and views of these sizes, and torch has no part in it."""
    topology, views = batch.topology, [view.fixed for view in batch.views]
    if batch.seen or topology.shell_count > 1 or any(view.lens is not None for view in views):
        return None
    sizes = tuple((view.width, view.height, view.perspective) for view in views)
    look: tuple[Hashable, ...] = ()
    given = [batch.points, topology.faces32, *topology.edges32, topology.face_material32, batch.culled]
    if paints is not None:
        look = paints.layout.kinds, paints.still, paints.encoded is None, paints.coarse is None
        given += [paints.layout.table, paints.uvs, paints.colors, paints.texels, paints.encoded, paints.coarse]
    key = keep, sizes, look

    def plan(recorder: Recorder) -> Sketch:
        points, faces, vertices, sides, material, culled, *painting = recorder.given
        flat: Any = Tables(faces, (vertices, sides), material)  # type: ignore[arg-type]
        own = None
        if paints is not None:
            table, uvs, colors, texels, encoded, coarse = painting
            layout = replace(paints.layout, table=table)
            own = replace(paints, layout=layout, uvs=uvs, colors=colors, texels=texels, encoded=encoded, coarse=coarse)
        strangers = [stand_in(*size, index) for index, size in enumerate(sizes)]
        return _sketch(Batch(flat, points, culled, strangers, recorder), own, keep)  # type: ignore[arg-type]

    told_all = [value for view in views for value in told(view)]
    return follow(batch.launcher, batch.launcher.recipes, key, plan, (), given, _stand_ins(sizes), told_all)


def taken(done: Done[Sketch]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Images, coverage, depths and faces of what was drawn; for the adjoint it keeps only what that needs.

    A result of a function and the context that made it would keep each other alive.
    """
    sketch = done.result
    views = sketch.batch.seen
    pictures = [[made.rgb for made in sketch.painted], sketch.alphas, [seen.depth for seen in views]]
    images, alphas, depths = ([done.real(each) for each in some if each is not None] for some in pictures)
    for each in (*pictures[0], *pictures[1], *pictures[2]):
        done.forget(each)
    if done.recipe is None:
        done.result = replace(sketch, alphas=[], painted=[replace(made, rgb=None) for made in sketch.painted])
        depths = [depth.detach() for depth in depths]
    return images, alphas, depths, [done.real(seen.face_id) for seen in views]


@lru_cache(64)
def _stand_ins(sizes: tuple[tuple[int, int, bool], ...]) -> list[bytes]:
    """What kernels are told of views of these sizes that stand in for others."""
    return [value for index, size in enumerate(sizes) for value in told(stand_in(*size, index))]


def _asked(
    sketch: Sketch, needed: Sequence[bool], by_texels: bool, filtered: bool, images: Sequence[Tensor | None], own: Sequence[bool],
    alphas: Sequence[Tensor | None], depths: Sequence[Tensor | None],
) -> Asked:
    """See ``undraw``."""
    batch, palette = sketch.batch, sketch.palette
    images, copying = copies_of(images, own, batch.launcher)
    pulls, grad_texels, work = pulls_of(batch, needed), None, []
    outlines = unblended(batch, pulls, sketch.blends, alphas, images)
    if palette is not None:
        nothing = [None] * len(images)
        grad_texels, work = palette.unpaint(
            batch, pulls, sketch.painted, images, depths, nothing, any(needed), by_texels, filtered
        )
    by_camera = [pull.by_camera for pull in pulls]
    by_world, turning = batch.turn_back(by_camera) if needed[0] else (None, [])
    batch.launcher.run(*copying, *outlines, *work, *turning)
    return Asked(by_world, by_camera, [pull.by_lens for pull in pulls], grad_texels, images)


def undraw(
    launcher: Launcher, done: Done[Sketch], needed: Sequence[bool], by_texels: bool, images: Sequence[Tensor | None],
    alphas: Sequence[Tensor | None], depths: Sequence[Tensor | None],
) -> Done[Asked]:
    """What the gradients for ``images``, ``alphas`` and ``depths`` ask; ``needed`` is as ``Batch.world_gradients`` takes it."""
    sketch = done.result
    own = [image is not None and not image.is_contiguous() for image in images]
    clean = [None if g is None else g.contiguous() for g in (*images, *alphas, *depths)]
    filtered = any(not done.blank(each.read.highest) for each in sketch.painted if each.read is not None)
    count = len(own)

    def ask(sketch: Sketch, gradients: Sequence[Tensor | None]) -> Asked:
        parts = gradients[:count], own, gradients[count : 2 * count], gradients[2 * count :]
        return _asked(sketch, needed, by_texels, filtered, *parts)

    if done.recipe is None:
        return Done(ask(sketch, clean))
    rooms = [done.last(each.runs.starts) for each in sketch.painted]
    room = 1 << max(rooms, default=0).bit_length()  # few different ones
    key = tuple(needed), by_texels, filtered, tuple(own), tuple(g is None for g in clean), room

    def plan(recorder: Recorder) -> Asked:
        return ask(replace(sketch, batch=sketch.batch.with_launcher(recorder)), recorder.given)

    sizes = tuple((view.width, view.height, view.perspective) for view in sketch.batch.views)
    found = follow(launcher, done.recipe.after, key, plan, done.tensors, clean, _stand_ins(sizes), done.told, [room] * count, True)
    assert found is not None
    return found
