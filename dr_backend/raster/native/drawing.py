"""Drawing a batch from its vertices to its blended outlines, and the adjoint.

The plan is the same every time, so it is made once where torch has no part in it (see ``recipe``).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from ...kernels.launch import Launch, Launcher, Stage, Steps, Work, chained, side_by_side
from ...kernels.recipe import Done, Recorder, follow
from ..project import refuse_unless_finite
from .batch import CAMERA_TENSORS, Batch, Seen, Tables
from .copies import copied
from .coverage import Blend, Crossings, blend, unblend
from .cuts import cross_cuts
from .outline import cross_edges
from .paint import Painted
from .palette import Paints, Palette
from .project import all_told, stand_in, told
from .pull import Pull
from .shade import Lamps, Lighting, Lit, shade, unshade


@dataclass(frozen=True)
class Sketch:
    """What drawing makes, and what its adjoint needs."""

    batch: Batch
    palette: Palette | None  # none where colours do not count
    painted: Sequence[Painted]
    lit: Sequence[Lit]  # none where base colours are shown
    blends: Sequence[Blend]
    alphas: Sequence[Tensor]
    images: Sequence[Tensor]


@dataclass(frozen=True)
class Asked:
    """What the gradients of a batch's images ask of what it shows."""

    by_world: Tensor | None  # of vertices; where a lens bends the world what light asks, and the rest is left to ``world_gradients``
    by_camera: Sequence[Tensor]  # of vertices in each view's camera space
    by_lens: Sequence[Sequence[Tensor]]  # of each view's centre and focal length, to be added up
    by_texels: Tensor | None
    by_lines: Sequence[Tensor]  # of the lamps' lines, to be added up
    by_normals: Tensor | None
    images: Sequence[Tensor | None]  # of base colours before they were blended


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
        cut, joint, work = yield from cross_cuts(
            seen.camera, topology.faces32, topology.shells32, seen.face_id, seen.view, launcher, edges, work
        )
        found = Crossings(edge, cut, *joint)
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


def cleaned(gradients: Sequence[Tensor | None]) -> tuple[list[Tensor | None], list[bool]]:
    """The same, contiguous, and which of them are our own for that reason."""
    return [None if g is None else g.contiguous() for g in gradients], [g is not None and not g.is_contiguous() for g in gradients]


def copies_of(gradients: Sequence[Tensor | None], own: Sequence[bool], launcher: Launcher) -> tuple[list[Tensor | None], list[list[Work]]]:
    """Copies of what is not our ``own``, and what makes them: gradients that are changed on the spot may be somebody else's."""
    made = [(g, None) if g is None or ours else copied(g, launcher) for g, ours in zip(gradients, own, strict=True)]
    return [copy for copy, _ in made], side_by_side([[work] for _, work in made if work is not None])


def _sketch(batch: Batch, paints: Paints | None, lighting: Lighting | None, keep: bool) -> Sketch:
    """Draws a batch; with ``keep`` for a backward pass."""
    launcher, palette = batch.launcher, None if paints is None else Palette(paints, batch.launcher)

    def work(index: int) -> Steps[tuple[Seen, Painted | None, Lit | None, Blend, Tensor, Tensor | None]]:
        if batch.seen:
            yield ()  # textures are prepared first
        seen, alpha, before = yield from batch.see(index)
        if palette is None:
            return seen, None, None, (yield from blended(batch, seen, alpha, None, before)), alpha, None
        painted, (painting, *later) = palette.paint(batch, seen, lighting is not None, keep)
        rgb, lit = painted.rgb, None
        assert isinstance(painting, Launch)
        assert rgb is not None
        if lighting is not None:
            assert painted.weights is not None
            lit = Lit(
                lighting, batch.topology.faces32, batch.points, seen.bins, seen.face_id, painted.runs, painted.weights, seen.view, rgb,
                launcher.empty(*rgb.shape),
            )
            rgb, shading = shade(lit, launcher)
            painting = chained([painting, *shading])
        if before:
            before[-1] = chained([before[-1], painting])  # a tile is painted while what it shows is in the cache
        color = later if before else [painting, *later]
        return seen, painted, lit, (yield from blended(batch, seen, alpha, rgb, before, color)), alpha, rgb

    def prepare() -> Steps[None]:
        if palette is not None:
            yield palette.prepare(launcher)

    found: list[Any] = launcher.together([*map(work, range(len(batch.views))), prepare()])
    batch.seen, *rest = zip(*found[:-1], strict=True)
    painted, lit, blends, alphas, images = ([each for each in some if each is not None] for some in rest)
    return Sketch(batch, palette, painted, lit, blends, alphas, images)


def draw(batch: Batch, paints: Paints | None, lighting: Lighting | None, keep: bool) -> Done[Sketch]:
    """Draws a batch whose views nobody has to have looked at: in the light, without ``lighting`` base colours, without ``paints`` coverage.

    With ``keep`` for a backward pass.

    Raises:
        ValueError: A position or a camera holds a number that is not finite.
    """
    done = _by_recipe(batch, paints, lighting, keep) or Done(_sketch(batch, paints, lighting, keep))
    for seen in done.result.batch.seen:
        if not done.blank(seen.faults):
            refuse_unless_finite(math.nan)
    return done


def _by_recipe(batch: Batch, paints: Paints | None, lighting: Lighting | None, keep: bool) -> Done[Sketch] | None:
    """The same where that has been done before for scenes and views of these sizes, and torch has no part in it."""
    topology, views = batch.topology, [view.fixed for view in batch.views]
    if batch.seen or batch.bent:
        return None
    sizes = tuple([(view.width, view.height, view.perspective) for view in views])
    look: tuple[Hashable, ...] = ()
    several = topology.shell_count > 1
    given: list[Tensor | None] = [batch.points, topology.faces32, *topology.edges32, topology.face_material32, batch.culled]
    given.append(topology.shells32 if several else None)
    if paints is not None:
        look = paints.layout.kinds, paints.still, paints.encoded is None, paints.coarse is None
        given += [paints.layout.table, paints.uvs, paints.colors, paints.texels, paints.encoded, paints.coarse]
    if lighting is not None:
        lamps = lighting.lamps
        given += [lighting.normals, lamps.lines, lamps.shapes, lamps.shares, lamps.directions, lamps.power]
    key = keep, sizes, look

    def plan(recorder: Recorder) -> Sketch:
        points, faces, vertices, sides, material, culled, shells, *rest = recorder.given
        flat: Any = Tables(faces, (vertices, sides), material, shells, 2 if several else 1)  # type: ignore[arg-type]
        own_paints = own_lighting = None
        if paints is not None:
            table, uvs, colors, texels, encoded, coarse = rest[:6]
            layout = replace(paints.layout, table=table)
            own_paints = replace(paints, layout=layout, uvs=uvs, colors=colors, texels=texels, encoded=encoded, coarse=coarse)
        if lighting is not None:
            normals, *parts = rest[6:]
            own_lighting = Lighting(Lamps(*parts), normals)  # type: ignore[arg-type]
        strangers = [stand_in(*size, index) for index, size in enumerate(sizes)]
        for index, view in enumerate(strangers):
            recorder.stand_in(index, told(view))
        return _sketch(Batch(flat, points, culled, strangers, recorder), own_paints, own_lighting, keep)  # type: ignore[arg-type]

    return follow(batch.launcher, batch.launcher.recipes, key, plan, given, [all_told(view) for view in views])


def taken(done: Done[Sketch]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Images, coverage, depths and faces of what was drawn; for the adjoint it keeps only what that needs.

    A result of a function and the context that made it would keep each other alive.
    """
    sketch = done.result
    views = sketch.batch.seen
    images, alphas = [done.take(image) for image in sketch.images], [done.take(alpha) for alpha in sketch.alphas]
    depths, faces = [done.take(seen.depth) for seen in views], [done.real(seen.face_id) for seen in views]
    if done.recipe is None:
        done.result = replace(sketch, images=(), alphas=(), painted=[replace(made, rgb=None) for made in sketch.painted])
        depths = [depth.detach() for depth in depths]
    return images, alphas, depths, faces


class Wanted(NamedTuple):
    """Which gradients are."""

    texels: bool
    lines: bool
    moving: bool  # those for anything that moves pixels, normals too
    world: tuple[bool, ...]  # as ``Batch.world_gradients`` takes it


def _asked(
    sketch: Sketch, wanted: Wanted, filtered: bool, images: Sequence[Tensor | None], own: Sequence[bool],
    alphas: Sequence[Tensor | None], depths: Sequence[Tensor | None],
) -> Asked:
    """See ``undraw``; ``filtered`` says whether smaller levels of textures were read, and ``own`` which images may be changed."""
    batch, palette, launcher = sketch.batch, sketch.palette, sketch.batch.launcher
    images, copying = copies_of(images, own, launcher)
    pulls = pulls_of(batch, wanted.world)
    outlines = unblended(batch, pulls, sketch.blends, alphas, images)
    by_world = by_normals = by_texels = None
    weights, before = [None] * len(images), [[]] * len(images)
    by_lines, adding = [], []
    if sketch.lit and wanted.moving:
        by_world = launcher.zeros(*batch.points.shape, lasting=True)
        by_normals = launcher.zeros(*sketch.lit[0].surfaces.normals.shape, lasting=True)
    for index, (lit, image) in enumerate(zip(sketch.lit, images, strict=False)):
        if image is not None:
            unlit = unshade(lit, image, launcher, by_world, by_normals, wanted.lines)
            weights[index], before[index] = unlit.by_weight, unlit.chain
            by_lines += [] if unlit.by_lines is None else [unlit.by_lines]
            adding.append(unlit.adding)  # views take turns
    work: list[list[Work]] = []
    if palette is not None:
        by_texels, work = palette.unpaint(
            batch, pulls, sketch.painted, images, depths, weights, any(wanted.world), wanted.texels, filtered, before
        )
    by_camera = [pull.by_camera for pull in pulls]
    by_world, turning = batch.turn_back(by_camera, by_world) if wanted.world[0] else (by_world, [])
    launcher.run(*copying, *outlines, *work, *adding, *turning)
    return Asked(by_world, by_camera, [pull.by_lens for pull in pulls], by_texels, by_lines, by_normals, images)


def undraw(
    launcher: Launcher, done: Done[Sketch], wanted: Wanted, images: Sequence[Tensor | None], alphas: Sequence[Tensor | None],
    depths: Sequence[Tensor | None],
) -> Done[Asked]:
    """What the gradients for ``images``, ``alphas`` and ``depths`` ask."""
    sketch = done.result
    clean, own = cleaned((*images, *alphas, *depths))
    filtered = any(not done.blank(each.read.highest) for each in sketch.painted if each.read is not None)
    count = len(images)

    def ask(sketch: Sketch, gradients: Sequence[Tensor | None]) -> Asked:
        return _asked(sketch, wanted, filtered, gradients[:count], own[:count], gradients[count : 2 * count], gradients[2 * count :])

    if done.recipe is None:
        return Done(ask(sketch, clean))
    rooms = [done.last(each.runs.starts) for each in sketch.painted]
    room = 1 << max(rooms, default=0).bit_length()  # few different ones
    key = wanted, filtered, tuple(own[:count]), room

    def plan(recorder: Recorder) -> Asked:
        return ask(replace(sketch, batch=sketch.batch.with_launcher(recorder)), recorder.given)

    found = follow(launcher, done.recipe.after, key, plan, clean, held=done, rooms=[room] * 2 * count, at_once=True)
    assert found is not None
    return found
