"""The live preview of one fit in the viewport."""

import sys
from typing import Any

import bpy
import numpy as np

from dr_backend.job import JobError, JobFolder
from dr_backend.scene import split_path

from .exchange.identity import find
from .exchange.preview import add_preview, has_preview, remove_preview, rest_preview, show_preview


class LivePreview:
    """Shows a fit's positions on its meshes. ``objects`` describes them by name, as ``exchange.identity.describe`` does."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self._objects = objects
        self._shown: dict[str, np.ndarray] = {}

    def _find(self, name: str) -> bpy.types.Object | None:
        obj = find(bpy.data.objects, self._objects[name])
        return obj if obj is not None and obj.type == "MESH" else None

    def begin(self) -> bool:
        """Prepares the meshes and says whether anything can be shown; an undo step should follow then."""
        objects = [obj for name in self._objects if (obj := self._find(name)) is not None]
        return sum(add_preview(obj) for obj in objects) > 0

    def show_latest(self, job: JobFolder) -> None:
        """Shows what the worker wrote last."""
        try:
            values = job.load_preview() or {}
        except JobError as error:  # the worker may be replacing the file: the next one follows soon
            print(f"Fit to Photo: a preview could not be shown: {error}", file=sys.stderr)
            return
        for path, value in values.items():
            group, name, leaf = split_path(path)
            if group == "meshes" and leaf == "positions" and name in self._objects and np.isfinite(value).all():
                self._shown[name] = value
        self.refresh()

    def refresh(self) -> None:
        """Shows the same again, after saving or undo put it to rest."""
        for name, positions in self._shown.items():
            if (obj := self._find(name)) is not None:
                show_preview(obj, positions)

    def end(self) -> None:
        """Takes every trace away; an undo step should follow."""
        self._shown.clear()
        for name in self._objects:
            if (obj := self._find(name)) is not None:
                remove_preview(obj)


def rest_all() -> None:
    """Puts every preview of the file to rest: what is saved, or brought back by undo, looks as without one."""
    for mesh in bpy.data.meshes:
        rest_preview(mesh)


def remove_all() -> None:
    """Takes the previews out of a file just opened: a crash or an automatic save may have left them."""
    left = {mesh.name for mesh in bpy.data.meshes if mesh.library is None and has_preview(mesh)}
    for obj in bpy.data.objects if left else ():
        if obj.type == "MESH" and obj.library is None and obj.data.name in left:
            remove_preview(obj)
