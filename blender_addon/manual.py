"""The pages that come with the add-on: opened by the Help buttons, and by Online Manual in right-click menus. Nothing needs a network."""

from pathlib import Path

import bpy

FOLDER = Path(__file__).resolve().parent / "help"
_CHECKOUT = FOLDER.parent.parent  # where there is no built help, but what it is built from
PAGES = (
    ("index", "Fit to Photo", "What the add-on does"),
    ("install", "Install", "How it and its backend are installed"),
    ("first_fit", "Your First Fit", "From photos to a fitted model"),
    ("photos", "Photos and Cameras", "Cameras, masks, framing, lens distortion"),
    ("fitting", "Fitting", "While a fit runs, what it leaves, and resuming after a crash"),
    ("settings", "Settings", "What each setting does"),
    ("scripts", "Scripts", "Fitting without a window"),
    ("troubleshooting", "Troubleshooting", "What to do when something is wrong"),
)
# What was clicked on, as fnmatch patterns of Blender's lower-case names → its page. The first that matches counts.
_MANUAL = (
    ("bpy.ops.fit_to_photo.run*", "first_fit"),
    ("bpy.ops.fit_to_photo.add_photos*", "photos"),
    ("bpy.ops.fit_to_photo.add_mask*", "photos"),
    ("bpy.ops.fit_to_photo.match_photo*", "photos"),
    ("bpy.ops.fit_to_photo.import_cameras*", "photos"),
    ("bpy.ops.fit_to_photo.place_mesh*", "photos"),
    ("bpy.ops.fit_to_photo.*preset*", "settings"),
    ("bpy.ops.fit_to_photo.*setup*", "install"),
    ("bpy.ops.fit_to_photo.copy_command*", "install"),
    ("bpy.ops.fit_to_photo.open_help*", "index"),
    ("bpy.ops.fit_to_photo.*", "fitting"),
    ("bpy.types.fittophoto_pg_object.*", "photos"),
    ("bpy.types.fittophoto_pg_scene.photo_index*", "photos"),
    ("bpy.types.fittophoto_pg_scene.strength*", "fitting"),
    ("bpy.types.fittophoto_pg_scene.texture_mix*", "fitting"),
    ("bpy.types.fittophoto_pg_scene.show_before*", "fitting"),
    ("bpy.types.fittophoto_pg_scene.*", "settings"),
    ("bpy.types.fittophoto_pg_window.*", "fitting"),
)


def page_path(page: str) -> Path:
    """The file of a page: built HTML, or in a checkout the Markdown that it is built from."""
    candidates = FOLDER / f"{page}.html", _CHECKOUT / "docs" / f"{page}.md", _CHECKOUT / "README.md"
    return next((path for path in candidates if path.is_file()), candidates[0])


def _manual_map() -> tuple[str, tuple[tuple[str, str], ...]]:
    return "", tuple((pattern, page_path(page).as_uri()) for pattern, page in _MANUAL)


def register() -> None:
    """Lets Online Manual find the pages."""
    bpy.utils.register_manual_map(_manual_map)


def unregister() -> None:
    """Takes that back."""
    bpy.utils.unregister_manual_map(_manual_map)
