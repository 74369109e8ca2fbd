"""The loop: no files, no prints, no clock of its own. Whoever iterates it decides when it stops."""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .geometry.flatten import FlatScene, cut
from .job import JobError
from .language import told
from .losses import normal_consistency, photometric, silhouette
from .optim import Adam, AdamUniform
from .parameterizations import LargeSteps, Parameterization
from .photos import Target, exposed, reduced
from .problem import Problem, moved
from .raster.refine import refine, refined
from .raster.texture import smaller_levels
from .renderers.base import Renderer, RenderOutput
from .scene import leaves
from .shading.baking import light_shares
from .shading.opacity import see_through_faces
from .stages import Stage

SPIKE = 3.0  # a loss this many times the best of its stage, and NOISE more, means that the fit has run away
NOISE = 0.05
KEEP_EVERY = 5  # steps between copies of the best leaves
RETRIES = 3  # times a stage may go back to its best and halve its steps
LEVELS = 4  # of textures, each half the size: photos of a sixteenth of the full size read the smallest
RELIGHT = 25  # steps between looks at what casts a shadow where
FLATTEN = 0.05  # weight of the normal consistency, beside data losses of weight 1


@dataclass(frozen=True)
class Progress:
    """Where a fit stands after a step."""

    stage: Stage
    stage_index: int
    step: int  # of all stages together
    steps: int
    loss: float
    work_done: float  # 0…1, by pixels rendered
    renderer: str
    why: str


@dataclass
class _Leaf:
    path: str
    parameterization: Parameterization
    latents: list[Tensor]
    kept: list[Tensor] = field(default_factory=list)  # the latents when they were best

    def value(self) -> Tensor:
        return self.parameterization.to_value(self.latents)


def _normalized(error: Tensor, weight: Tensor) -> Tensor:
    """An error summed over pixels, per pixel that the object covers, so that small and large objects weigh the same."""
    return error / weight.sum().clamp_min(16.0)


def view_loss(out: RenderOutput, target: Target, stage: Stage) -> Tensor:
    """The data loss of one view: outline and colours, weighted as the stage says."""
    if target.mask is None:
        seen = out.alpha.detach()
        return stage.photometric * _normalized(photometric(exposed(out.rgb, target.camera), target.rgb * seen[..., None]), seen)
    loss = stage.silhouette * _normalized(silhouette(out.alpha, target.mask), target.mask)
    if stage.photometric:
        loss = loss + stage.photometric * _normalized(photometric(exposed(out.rgb, target.camera), target.rgb), target.mask)
    return loss


class _Given(torch.autograd.Function):
    """Zero with given derivatives, where a backward pass begins: ``torch.autograd.grad`` loads an algebra system to take them itself."""

    @staticmethod
    def forward(ctx: Any, gradients: Sequence[Tensor], *values: Tensor) -> Tensor:
        ctx.gradients = gradients
        return values[0].new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, one: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.gradients


class Fit:
    """A fit in progress. Iterate ``run()``; ``best()`` is valid at any time, also before the first step and after the last."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.step = 0
        self.history: list[float] = []
        self._best: dict[str, Tensor] = {}
        self._first_stage = 0
        self._run: _StageRun | None = None  # the stage that runs now
        self._order = torch.Generator().manual_seed(problem.settings.seed)
        self._pool = ThreadPoolExecutor(os.cpu_count() if problem.device == "cpu" else 1)
        self._work = [s.steps * s.views * s.max_side**2 for s in problem.stages]

    def best(self) -> dict[str, Tensor]:
        """The best leaves so far by path, detached."""
        return self._best | (self._run.kept() if self._run else {})

    @torch.no_grad()
    def look(self, camera: str) -> Tensor:
        """The best result so far as one camera's photo would show it at the size of the stage, (H, W, 4): linear, premultiplied."""
        if self._run is None:
            raise RuntimeError("there is nothing to see before the first step")
        run = self._run
        problem = moved(self.problem, self.best())
        seen = reduced(problem.scene.cameras[camera], run.stage.max_side)
        out = run.renderer.render(run.lit(run.fine(problem.flat())), [seen])[0]
        return torch.cat([exposed(out.rgb, seen), out.alpha[..., None]], -1)

    def resume(self, values: dict[str, Tensor], stage: int) -> None:
        """Starts from the best leaves of an earlier run, at the beginning of the stage that it was in."""
        self.problem = moved(self.problem, values)
        self._best = dict(values)
        self._first_stage = stage
        self.step = sum(s.steps for s in self.problem.stages[:stage])

    def run(self) -> Iterator[Progress]:
        """One ``Progress`` a step.

        Raises:
            JobError: ``diverged`` when no smaller step helps, ``out_of_memory``.
        """
        # On a processor views run side by side, one thread each. Threads inside every operation as well would wait for each other by
        # spinning (several times slower as soon as Blender renders beside the fit), and can lock up where bpy brings an OpenMP of its own.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with self._pool:
                for index, stage in list(enumerate(self.problem.stages))[self._first_stage :]:
                    yield from self._run_stage(index, stage)
        finally:
            torch.set_num_threads(threads)

    def _run_stage(self, index: int, stage: Stage) -> Iterator[Progress]:
        problem = self.problem
        renderer, why = problem.choose_renderer(stage)
        targets = list(self._pool.map(partial(problem.target, stage), problem.photos))
        views = problem.views_per_step(stage, renderer, targets)
        steps, rate, retries = stage.steps, stage.rate, 0
        run = _StageRun(problem, stage, renderer, targets, self._order, self._pool)
        run.bind(rate)
        self._run = run
        for local in range(steps):
            loss = run.advance(views, 0.1 + 0.45 * (1 + math.cos(math.pi * local / steps)))
            self.step += 1
            if not math.isfinite(loss) or loss > SPIKE * run.best_loss + NOISE:
                retries += 1
                if retries > RETRIES:
                    raise JobError(
                        "diverged",
                        told("The fit ran away in stage '{stage}'", stage=told(stage.name)),
                        told("Raise Stiffness, or check that the cameras line up with the photos"),
                    )
                rate *= 0.5
                run.restart(rate)
                continue
            self.history.append(loss)
            if run.improved and (local % KEEP_EVERY == KEEP_EVERY - 1 or local == steps - 1):
                run.keep()
            done = (sum(self._work[:index]) + self._work[index] * (local + 1) / steps) / sum(self._work)
            yield Progress(stage, index, self.step, sum(s.steps for s in problem.stages), loss, done, renderer.capabilities.name, why)
        self._best.update(run.kept())
        self.problem = moved(problem, self._best)


class _StageRun:
    """The optimizers of one stage and the running loss over its views."""

    def __init__(
        self, problem: Problem, stage: Stage, renderer: Renderer, targets: list[Target], order: torch.Generator, pool: Executor
    ) -> None:
        self.problem, self.stage, self.renderer, self.targets, self._order = problem, stage, renderer, targets, order
        self.best_loss = math.inf
        self.improved = False
        self._steps = 0
        self._shares: Tensor | None = None
        self._before: FlatScene | None = None  # the step before, where nothing moves but colours
        self._queue: list[int] = []
        self._pool = pool
        self._view_losses: dict[int, float] = {}
        self._kept: dict[str, Tensor] | None = None
        cameras = [reduced(camera, stage.max_side) for camera in problem.scene.cameras.values()]
        self._refinement = refine(problem.flat(), cameras) if any(c.distortion is not None for c in cameras) else None

    def bind(self, rate: float) -> None:
        """Makes latents and optimizers for what moves, starting from the problem's scene."""
        values = leaves(self.problem.scene)
        self._leaves: list[_Leaf] = []
        self._optimizers: list[tuple[Adam | AdamUniform, float]] = []
        for path, parameter in self.problem.moving(self.stage):
            parameterization = self.problem.parameterization(path, parameter, values[path], self.stage)
            latents = [latent.requires_grad_() for latent in parameterization.to_latents(values[path])]
            lr = rate * self.problem.rate(parameter, values[path])
            optimizer = (AdamUniform if isinstance(parameterization, LargeSteps) else Adam)(latents, lr)
            self._leaves.append(_Leaf(path, parameterization, latents))
            self._optimizers.append((optimizer, lr))
        self.keep()

    def restart(self, rate: float) -> None:
        """Goes back to the best leaves with another rate."""
        self.problem = moved(self.problem, self.kept())
        self._view_losses.clear()
        self.bind(rate)

    def keep(self) -> None:
        """Notes that nothing was better than what the leaves are now."""
        self._kept = None
        for leaf in self._leaves:
            leaf.kept = [latent.detach().clone() for latent in leaf.latents]

    def kept(self) -> dict[str, Tensor]:
        """The best leaves of this stage, detached."""
        if self._kept is None:
            self._kept = {leaf.path: leaf.parameterization.to_leaf(leaf.kept) for leaf in self._leaves}
        return self._kept

    def _next_views(self, count: int) -> list[int]:
        if len(self._queue) < count:
            self._queue += torch.randperm(len(self.targets), generator=self._order).tolist()
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    def advance(self, views: int, schedule: float) -> float:
        """One step over the next views; the running mean of the data loss over all of them."""
        for optimizer, lr in self._optimizers:
            optimizer.rate = lr * schedule
        latents = [latent for leaf in self._leaves for latent in leaf.latents]
        for latent in latents:
            latent.grad = None
        picked = self._next_views(views)
        problem = moved(self.problem, {leaf.path: leaf.value() for leaf in self._leaves})
        coarse = problem.flat(color=self.stage.photometric > 0, before=self._before)
        self._before = None if self.stage.geometry else replace(coarse, materials=())  # their images may be large
        if not bool(torch.isfinite(coarse.positions).all()):
            return math.inf  # renderers would refuse them
        flat = self.fine(coarse)
        if self.stage.photometric and self._steps % RELIGHT == 0 and (self.stage.geometry or self._steps == 0):
            self._shares = light_shares(replace(flat, lights=self.problem.lamps))
        self._steps += 1
        found = self._gradients(self._for_views(flat), picked)
        if self.stage.geometry:
            found.append(FLATTEN * normal_consistency(coarse.positions, coarse.topology).mean())
        if found:
            gradients = torch.autograd.grad(found, latents, allow_unused=True)
            for latent, gradient in zip(latents, gradients, strict=True):
                # ``backward`` would copy those of large images; torch's fused Adam reads them as if they lay in memory as the latents do
                latent.grad = None if gradient is None else gradient.contiguous()
        running = sum(self._view_losses[view] for view in sorted(self._view_losses)) / len(self._view_losses)
        self._judge(running)
        if math.isfinite(running):
            for optimizer, _ in self._optimizers:
                optimizer.step()
        return running

    def fine(self, flat: FlatScene) -> FlatScene:
        """With its long edges split where lenses bend them, as they were at the beginning of the stage."""
        return refined(flat, self._refinement)

    def lit(self, flat: FlatScene) -> FlatScene:
        """With its shadows as they were seen last: they follow geometry slowly, and the rays take time."""
        shares = self._shares
        if shares is None:
            shares = torch.ones_like(flat.positions[:, :1]).expand(-1, len(flat.lights) + 1)
        return replace(flat, shares=shares)

    def _for_views(self, flat: FlatScene) -> FlatScene:
        """With everything that all views of a step share: shadows, and the smaller levels of textures."""
        if not self.stage.photometric:
            return flat
        if not flat.unlit:
            flat = self.lit(flat)
        if self._together(flat):
            return flat
        materials = tuple(m if m.image is None else replace(m, smaller=tuple(smaller_levels(m.image, LEVELS)[1:])) for m in flat.materials)
        return replace(flat, materials=materials)

    def _together(self, flat: FlatScene) -> bool:
        """Whether the renderer takes all views of a step in one call: on a GPU, or with threads and kernels of its own."""
        return self.problem.device != "cpu" or (self.renderer.capabilities.batches and see_through_faces(flat) is None)

    def _gradients(self, flat: FlatScene, picked: list[int]) -> list[Tensor]:
        """Zeros with the derivatives of the mean data loss of some views for what moves of the scene; notes each view's loss.

        Views that do not go together have a thread each. Sums are taken in the order of the views, so that the result does not depend on
        how many threads there are.
        """
        groups = [picked] if self._together(flat) else [[index] for index in picked]
        # Each thread has leaves of its own: two that use one leaf at once may wait for each other for ever, in torch 2.11.
        pieces = [cut(flat) for _ in groups]

        def judge(index: int, out: RenderOutput) -> list[tuple[Tensor, Tensor]]:
            """What was rendered, with the gradient for it."""
            rgb, alpha = (image.detach().requires_grad_() for image in (out.rgb, out.alpha))
            loss = view_loss(replace(out, rgb=rgb, alpha=alpha), self.targets[index], self.stage)
            self._view_losses[index] = float(loss.detach())
            gradients = torch.autograd.grad(loss / len(picked), [rgb, alpha], allow_unused=True)
            pairs = zip((out.rgb, out.alpha), gradients, strict=True)
            return [(image, gradient) for image, gradient in pairs if gradient is not None and image.requires_grad]

        def differentiate(group: list[int], piece: tuple[FlatScene, list[Tensor], list[Tensor]]) -> tuple[Tensor | None, ...]:
            loose, _, copies = piece
            outputs = self.renderer.render(loose, [self.targets[i].camera for i in group], color=self.stage.photometric > 0)
            reached = [pair for pairs in map(judge, group, outputs) for pair in pairs]
            if not reached:
                return (None,) * len(copies)
            images, gradients = zip(*reached, strict=True)
            return torch.autograd.grad(_Given.apply(gradients, *images), copies, allow_unused=True)

        parts = (self._pool.map if len(groups) > 1 else map)(differentiate, groups, pieces)
        summed = [[g for g in column if g is not None] for column in zip(*parts, strict=True)]
        return [_Given.apply([sum(g[1:], g[0])], source) for source, g in zip(pieces[0][1], summed, strict=True) if g]

    def _judge(self, running: float) -> None:
        """Whether the step just measured is the best of the stage, once every view was seen.

        The running loss belongs to the leaves before the step that follows, a difference of one step.
        """
        self.improved = len(self._view_losses) == len(self.targets) and running < self.best_loss
        if self.improved:
            self.best_loss = running
