"""Several views of one scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...geometry.topology import Topology
from ...kernels.launch import Launcher, Steps, Work
from ..project import View, bend, refuse_unless_finite, to_camera
from .bins import Bins, fill_bins, find_bins
from .interpolate import Runs
from .outline import Edges, outline_edges
from .project import add_to_world, project
from .rasterize import rasterize

CAMERA_TENSORS = 5  # of each view


@dataclass(frozen=True)
class Tables:
    """What kernels need to know of a topology."""

    faces32: Int[Tensor, "F 3"]
    edges32: tuple[Int[Tensor, "E 2"], Int[Tensor, "E 2"]]
    face_material32: Int[Tensor, " F"]
    shells32: Int[Tensor, " F"] | None
    shell_count: int  # 1, or more


@dataclass(frozen=True)
class Seen:
    """What a view shows, without gradients."""

    view: View
    camera: Float[Tensor, "V 3"]  # the vertices in camera space
    faults: Float[Tensor, " N"]  # 0, or no number where one of their coordinates is none
    bins: Bins
    outline: Edges
    face_id: Int[Tensor, "H W"]
    depth: Float[Tensor, "H W"]  # of the faces' planes; ``interpolate`` and ``paint`` make it exact


class Batch:
    """Views of one scene, side by side: their kernels run together, and all threads share all tiles.

    A thread for each view would be no faster: between kernels all would wait for Python, which only one of them can run.
    """

    seen: Sequence[Seen] = ()  # empty until somebody looks
    faces: Sequence[Int[Tensor, "_ _"]]  # that each view shows, from whoever draws without looking first; and their depth
    depths: Sequence[Float[Tensor, "_ _"]]
    runs: Sequence[Runs]  # of each view: whoever finds out where on its face each pixel lies counts them

    def __init__(
        self, topology: Topology | Tables, positions: Float[Tensor, "V 3"], culled: Int[Tensor, " F"] | None, views: Sequence[View],
        launcher: Launcher,
    ) -> None:
        self.topology, self.culled, self.launcher, self.views = topology, culled, launcher, views
        self.points = positions
        self.bent = any(view.lens is not None for view in views)  # whether any lens bends the world

    def look(self) -> Sequence[Seen]:
        """What the views show.

        Raises:
            ValueError: A position or a camera holds a number that is not finite.
        """

        def work(index: int) -> Steps[Seen]:
            seen, _, rest = yield from self.see(index)
            yield rest
            return seen

        if not self.seen:
            found = self.launcher.together(map(work, range(len(self.views))))
            refuse_unless_finite(sum(sum(seen.faults.tolist()) for seen in found))
            self.seen = found
        return self.seen

    def with_launcher(self, launcher: Launcher) -> Batch:
        """The same for another launcher."""
        other = copy(self)
        other.launcher = launcher
        return other

    def see(self, index: int) -> Steps[tuple[Seen, Float[Tensor, "H W"], list[Work]]]:
        """What a view shows, a tensor of its own with 1 where it shows a face and 0 elsewhere, and what is still to be run for both."""
        if self.seen:
            return self.seen[index], (self.seen[index].face_id >= 0).float(), []
        fixed = self.views[index].fixed
        camera, total, show = yield from project(self.points, fixed, self.launcher)
        faces = self.topology.faces32
        found, find = find_bins(camera, faces, self.culled, fixed, self.launcher)
        outline, line = outline_edges(camera, *self.topology.edges32, self.culled, found.facing, fixed, self.launcher)
        yield [show, *find, *line]
        bins, fill = fill_bins(found, fixed, self.launcher)
        alpha = self.launcher.empty(fixed.height, fixed.width, lasting=True)
        face_id, depth, draw = rasterize(camera, faces, bins, fixed, self.launcher, alpha=alpha)
        return Seen(fixed, camera, total, bins, outline, face_id, depth), alpha, [fill, draw]

    @property
    def moving(self) -> bool:
        """Whether any camera has a gradient."""
        return any(view.moving for view in self.views)

    def camera_tensors(self) -> list[Tensor | None]:
        """Rotation, translation, focal length, centre and lens of each view, with their gradients: what ``world_gradients`` answers for."""
        return [each for view in self.views for each in view.tensors]

    def turn_back(
        self, by_camera: Sequence[Float[Tensor, "V 3"]], total: Float[Tensor, "V 3"] | None
    ) -> tuple[Float[Tensor, "V 3"] | None, list[list[Work]]]:
        """Gradients for world positions from those for camera space of each view, added to a ``total`` if there is one.

        What adds them up is still to be run. Where a lens bends the world it is left to ``world_gradients``.
        """
        stages = []
        if not self.bent:
            for view, by_points in zip(self.views, by_camera, strict=True):
                total, work = add_to_world(by_points, view, self.launcher, total)
                stages.append([work])
        return total, stages

    def world_gradients(
        self, points: Float[Tensor, "V 3"], by_camera: Iterable[Float[Tensor, "V 3"]], by_lens: Iterable[Sequence[Float[Tensor, "_ 4"]]],
        needed: Sequence[bool], by_world: Float[Tensor, "V 3"] | None,
    ) -> tuple[Tensor | None, ...]:
        """Gradients for world positions and ``camera_tensors`` from those for camera space of each view, and for its centre and focal
        length, which are still to be added up.

        ``needed`` says which are wanted: positions first, then those of each view. ``by_world`` is what ``turn_back`` found.
        """
        results: list[Tensor | None] = [by_world]
        if not any(needed[1:]) and (by_world is not None or not needed[0]):
            return (by_world, *[None] * (len(needed) - 1))
        for index, (camera, by_points, parts) in enumerate(zip(self.views, by_camera, by_lens, strict=True)):
            view, by_intrinsics = camera.fixed, sum(part.double().sum(0).float() for part in parts) if parts else None
            rotation, translation, focal, centre, _ = needed[1 + CAMERA_TENSORS * index : 1 + CAMERA_TENSORS * (index + 1)]
            by_points, by_focal, by_centre, by_distortion = _straightened(points, view, by_points, by_intrinsics)
            if needed[0] and by_world is None:
                results[0], work = add_to_world(by_points, view, self.launcher, results[0])
                self.launcher.run([work])
            results.append(by_points.T @ points if rotation else None)
            results.append(by_points.sum(0) if translation else None)
            results.append(by_focal if focal else None)
            results.append(by_centre if centre else None)
            results.append(by_distortion)
        return tuple(results)


def _straightened(
    points: Float[Tensor, "V 3"], view: View, by_points: Float[Tensor, "V 3"], by_intrinsics: Float[Tensor, " 4"] | None
) -> tuple[Float[Tensor, "V 3"], Tensor | None, Tensor | None, Tensor | None]:
    """Gradients for camera space before the lens bent it, focal length, centre and lens, from those for bent space and intrinsics."""
    by_centre, by_focal = (None, None) if by_intrinsics is None else (by_intrinsics[:2], by_intrinsics[2:])
    if view.lens is None:
        return by_points, by_focal, by_centre, None
    with torch.enable_grad():
        straight = to_camera(points.detach(), view).requires_grad_()
        moved = [t.detach().requires_grad_() for t in (view.focal_px, view.centre_px, view.lens)]
        bent = bend(straight, replace(view, focal_px=moved[0], centre_px=moved[1], lens=moved[2]))
    by_straight, more_focal, more_centre, by_distortion = torch.autograd.grad(bent, [straight, *moved], by_points)
    if by_focal is None or by_centre is None:
        return by_straight, more_focal, more_centre, by_distortion
    return by_straight, by_focal + more_focal, by_centre + more_centre, by_distortion
