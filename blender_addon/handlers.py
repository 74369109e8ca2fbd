"""What Blender tells us: a file is saved or was opened, a step was undone."""

from collections.abc import Callable
from typing import Any

import bpy

from . import left, overlay, preview, session, thumbnails

persistent: Callable[[Callable[..., None]], Callable[..., None]] = bpy.app.handlers.persistent


def _show_again() -> bool:
    """Lets the viewport follow the running fit again; False without one."""
    fit = session.current()
    if fit is None or fit.preview is None or fit.finished:
        return False
    fit.preview.refresh()
    return True


@persistent
def _before_saving(*_: Any) -> None:
    preview.rest_all()


@persistent
def _after_saving(*_: Any) -> None:
    _show_again()
    fit = session.current()
    if fit is not None:
        fit.save_session()


@persistent
def _after_undo(*_: Any) -> None:
    preview.rest_all()
    if not _show_again() and all(obj.mode == "OBJECT" for obj in bpy.data.objects):  # no mode can be left in the middle of undo
        preview.remove_all()  # the moment that came back was one in a fit, which has ended since


@persistent
def _after_loading(*_: Any) -> None:
    overlay.forget_all()
    thumbnails.forget_all()
    left.look_again()
    preview.remove_all()


_HANDLERS = {
    "save_pre": _before_saving,
    "save_post": _after_saving,
    "save_post_fail": _after_saving,
    "undo_post": _after_undo,
    "redo_post": _after_undo,
    "load_post": _after_loading,
}


def register() -> None:
    """Begins to listen."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Stops listening."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
