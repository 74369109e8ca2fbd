"""Several views of one scene, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...geometry.topology import Topology
from ..project import Projected, View, project
from .bins import Bins, bin_faces
from .launch import Launcher
from .rasterize import rasterize

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What a view shows, without gradients."""

    view: View
    projected: Projected
    bins: Bins
    face_id: Int[Tensor, "H W"]
    depth: Float[Tensor, "H W"]  # of the faces' planes; ``interpolate`` and ``address`` make it exact


class Batch:
    """Views of one scene. Where there are enough of them each has a thread of its own, otherwise the threads share each view's tiles."""

    def __init__(
        self, topology: Topology, positions: Float[Tensor, "V 3"], culled: Int[Tensor, " F"] | None, views: Sequence[View],
        launcher: Launcher,
    ) -> None:
        self.topology, self.culled, self.launcher, self.views = topology, culled, launcher, views
        self._apart = launcher.threads > 1 and len(views) >= launcher.threads
        self.inner = Launcher(launcher.device, 1) if self._apart else launcher  # for work within a view
        points = positions.detach()
        self.seen = self.map(lambda view: self._see(points, view), views)

    def map(self, work: Callable[..., T], *items: Sequence[Any]) -> list[T]:
        """Results of ``work`` for every view, in order."""
        if self._apart:
            return self.launcher.map(work, *items)
        return [work(*each) for each in zip(*items, strict=True)]

    def _see(self, points: Float[Tensor, "V 3"], view: View) -> Seen:
        with torch.no_grad():
            fixed = replace(view, **{f.name: v.detach() for f in fields(view) if isinstance(v := getattr(view, f.name), Tensor)})
            found = project(points, fixed)
            projected = Projected(*(getattr(found, f.name).contiguous() for f in fields(found)))
            faces = self.topology.faces32
            bins = bin_faces(projected, faces, self.culled, fixed, self.inner)
            return Seen(fixed, projected, bins, *rasterize(projected, faces, bins, fixed, self.inner))

    def camera_tensors(self) -> list[Tensor]:
        """Rotation, translation, focal length and centre of each view, with their gradients: what ``world_gradients`` answers for."""
        return [t for view in self.views for t in (view.rotation, view.translation, view.focal_px, view.centre_px)]

    def world_gradients(
        self, points: Float[Tensor, "V 3"], by_camera: Sequence[Float[Tensor, "V 3"]], by_lens: Sequence[Float[Tensor, " 4"] | None],
        needed: Sequence[bool],
    ) -> tuple[Tensor | None, ...]:
        """Gradients for world positions and ``camera_tensors`` from those for camera space and intrinsics of each view.

        ``needed`` says which are wanted: positions first, then four per view.
        """
        results: list[Tensor | None] = [None]
        for index, (seen, by_points, lens) in enumerate(zip(self.seen, by_camera, by_lens, strict=True)):
            rotation, translation, focal, centre = needed[1 + 4 * index : 5 + 4 * index]
            if needed[0]:
                by_world = by_points @ seen.view.rotation
                results[0] = by_world if results[0] is None else results[0].add_(by_world)
            results.append(by_points.T @ points if rotation else None)
            results.append(by_points.sum(0) if translation else None)
            results.append(lens[2:] if focal and lens is not None else None)
            results.append(lens[:2] if centre and lens is not None else None)
        return tuple(results)
