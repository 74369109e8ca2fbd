"""Preferences of the add-on, and their defaults where it runs from a checkout and has none."""

import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from .environment import find_backend

PACKAGE = str(__package__)  # the add-on's name in Blender's preferences


class FITTOPHOTO_AP_preferences(bpy.types.AddonPreferences):
    """Where the backend and the job folders are."""

    bl_idname = PACKAGE

    backend_python: bpy.props.StringProperty(
        name="Backend Python",
        description="Python that has torch installed; empty: the one that Set Up Backend makes",
        subtype="FILE_PATH",
    )
    job_folder: bpy.props.StringProperty(
        name="Job Folder",
        description="Where running fits keep their files; empty: the add-on's own folder",
        subtype="DIR_PATH",
    )
    keep_jobs: bpy.props.BoolProperty(
        name="Keep Job Folders",
        description="Keep inputs, result, log and report picture of every fit; failed fits always keep theirs",
        default=False,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the three settings and the two set-up buttons."""
        column = self.layout.column()
        column.prop(self, "backend_python")
        column.prop(self, "job_folder")
        column.prop(self, "keep_jobs")
        row = column.row()
        row.operator("fit_to_photo.setup_backend")
        row.operator("fit_to_photo.check_setup")


@dataclass(frozen=True)
class Preferences:
    """The preferences as plain values."""

    backend_python: str = ""
    job_folder: str = ""
    keep_jobs: bool = False


def stored_preferences() -> FITTOPHOTO_AP_preferences | None:
    """The add-on's preferences for a panel; None where it is not installed as one."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    stored = addon.preferences if addon else None
    return stored if isinstance(stored, FITTOPHOTO_AP_preferences) else None


def read_preferences() -> Preferences:
    """What the user set; defaults where the add-on is not installed as one."""
    stored = stored_preferences()
    if stored is None:
        return Preferences()
    return Preferences(bpy.path.abspath(stored.backend_python), bpy.path.abspath(stored.job_folder), stored.keep_jobs)


def _extension_folder() -> Path | None:
    """The extension's own folder; None where the add-on runs from a checkout."""
    try:
        return Path(bpy.utils.extension_path_user(__package__))
    except ValueError:  # not installed as an extension
        return None


def user_folder() -> Path:
    """The add-on's own folder, which updates of the add-on leave alone. It may not exist yet."""
    return _extension_folder() or Path(bpy.utils.user_resource("DATAFILES", path="fit_to_photo"))


def job_root() -> Path:
    """Where job folders are made."""
    if chosen := read_preferences().job_folder:
        return Path(chosen)
    return (_extension_folder() or Path(bpy.app.tempdir) / "fit_to_photo") / "jobs"


def backend_python() -> str:
    """Path of the backend's Python.

    Raises:
        BackendProblem: There is none, in words that say what to do.
    """
    as_module = not bpy.app.binary_path  # pip's bpy: the Python around us is the user's own, not Blender's
    return find_backend(read_preferences().backend_python, user_folder(), sys.executable if as_module else "")
