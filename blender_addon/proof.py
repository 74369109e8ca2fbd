"""Blender's own renders of one fit's cameras, before and after, taken one at a time, and the figures that follow from them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Camera, Photo

from . import report
from .comparison import Comparison
from .exchange.identity import describe, find
from .exchange.problems import SceneProblem
from .exchange.resize import reduced
from .selection import Selection

When = Literal["before", "after"]


class Proof:
    """The renders of one fit. Objects are found again by what describes them: they may be renamed meanwhile.

    Args:
        scene: The scene of the fit.
        selection: What takes part in it.
        photos: What the renders are compared with.
        cameras: How each camera projects onto its photo.
        warn: Takes a sentence when there can be no report.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        selection: Selection,
        photos: Sequence[Photo],
        cameras: Mapping[str, Camera],
        warn: Callable[[str], None],
    ) -> None:
        self._photos = [reduced(photo, report.SHOWN_SIDE) for photo in photos]  # all at once: later each would hold Blender up
        self._projections, self._warn = dict(cameras), warn
        self._scene = describe(scene)
        self._meshes, self._lights = ([describe(obj) for obj in selection.objects(scene, n)] for n in (selection.meshes, selection.lights))
        self._cameras = {obj.name: describe(obj) for obj in selection.objects(scene, selection.cameras)}
        self._views: dict[When, dict[str, np.ndarray]] = {"before": {}, "after": {}}
        self._reduced: tuple[tuple[str, tuple[int, ...]], tuple[np.ndarray, np.ndarray | None]] | None = None  # the photo compared last
        self.pending: dict[When, list[str]] = {"before": [], "after": []}  # cameras still to be rendered

    @property
    def scene(self) -> bpy.types.Scene | None:
        """The scene of the fit; None when it is gone."""
        return find(bpy.data.scenes, self._scene)

    def want(self, when: When) -> None:
        """Renders of every camera are wanted."""
        self.pending[when] = [photo.camera for photo in self._photos]

    def drop(self) -> None:
        """No more renders are wanted."""
        self.pending = {"before": [], "after": []}

    def render_next(self, when: When) -> bool:
        """Renders one more view, a second or so; whether there was one. A render that fails costs the report, not the fit."""
        if not self.pending[when]:
            return False
        name = self.pending[when].pop(0)
        scene, camera = self.scene, find(bpy.data.objects, self._cameras[name])
        if scene is None or camera is None:
            self._give_up(told("camera '{name}' is gone", name=name))
            return True
        meshes, lights = ([obj for d in group if (obj := find(bpy.data.objects, d)) is not None] for group in (self._meshes, self._lights))
        try:
            views = report.render_views(scene, [camera], meshes, unlit=not lights, lights=lights)
        except (RuntimeError, SceneProblem) as error:
            self._give_up(str(error))
        else:
            self._views[when][name] = views[camera.name]
        return True

    def _give_up(self, reason: str) -> None:
        self.drop()
        self._views = {"before": {}, "after": {}}
        self._warn(told("There is no report: {reason}", reason=reason))

    def _compared(self) -> list[Photo]:
        return [photo for photo in self._photos if photo.camera in self._views["after"] and photo.camera in self._views["before"]]

    def _straight(self) -> list[Photo]:
        """The photos that can be compared with renders, which know no lens distortion."""
        return [report.straightened(photo, self._projections[photo.camera]) for photo in self._compared()]

    def figures(self) -> dict[str, Any]:
        """The report's numbers per camera, JSON-ready; none where a render is missing."""
        photos = self._straight()
        return report.build_report(photos, self._views["before"], self._views["after"]) if photos else {"cameras": []}

    def comparisons(self) -> Iterator[tuple[str, Comparison]]:
        """Each camera's present name, and its photo beside its render after the fit."""
        for photo in self._straight():
            if (camera := self._present(photo.camera)) is not None:
                render = self._views["after"][photo.camera]
                yield camera.name, Comparison(self._projections[photo.camera], *report.photo_at(photo, *render.shape[:2]), render)

    def compare_now(self, name: str, render: np.ndarray) -> Iterator[tuple[str, Comparison]]:
        """The present name of one camera, if it is still there, and its photo as it was taken beside what the fit sees (H, W, 4)."""
        photo = next((photo for photo in self._photos if photo.camera == name), None)
        if photo is not None and (camera := self._present(name)) is not None:
            key = name, render.shape[:2]
            if self._reduced is None or self._reduced[0] != key:
                self._reduced = key, report.photo_at(photo, *render.shape[:2])
            yield camera.name, Comparison(self._projections[name], *self._reduced[1], render)

    def _present(self, name: str) -> bpy.types.Object | None:
        """The camera that had this name when the fit began; None where it is gone."""
        return find(bpy.data.objects, self._cameras[name])

    def name_of(self, camera: bpy.types.Object) -> str:
        """Name that this camera had when the fit began; empty where it takes no part."""
        return next((name for name, described in self._cameras.items() if find(bpy.data.objects, described) == camera), "")

    def save_sheet(self, path: Path) -> None:
        """Writes photos and renders side by side, if there are any."""
        if photos := self._straight():
            try:
                report.contact_sheet(str(path), photos, self._views["before"], self._views["after"])
            except (OSError, RuntimeError) as error:
                self._warn(told("The report picture {path} could not be written: {reason}", path=path, reason=error))
