"""The unfinished fit that the panel offers: one whose meshes are in the open file as they were when it began."""

import time
from typing import Any

import bpy

from . import jobs, preferences
from .exchange.identity import find

SECONDS = 2.0  # between two looks at the disk: panels ask at every redraw

_looked = 0.0
_found: list[jobs.LeftJob] = []


def look_again() -> None:
    """The next question looks at the disk: a fit has ended, or another file was opened."""
    global _looked
    _looked = 0.0


def left_job() -> jobs.LeftJob | None:
    """The newest unfinished fit that belongs into the open file; None without one."""
    global _looked, _found
    now = time.monotonic()
    if now - _looked > SECONDS:
        _looked, _found = now, jobs.find_left(preferences.job_root())
    return next((job for job in _found if _belongs_here(job.session)), None)


def _belongs_here(session: dict[str, Any]) -> bool:
    """Whether the fit was of this file, or of one that had no name yet, and its meshes are here with as many vertices."""
    if session["blend"] not in ("", bpy.data.filepath):
        return False
    for binding in session["bindings"]["meshes"].values():
        obj = find(bpy.data.objects, binding["object"])
        if obj is None or obj.type != "MESH" or len(obj.data.vertices) != binding["vertices"]:
            return False
    return True
