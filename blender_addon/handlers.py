"""What Blender tells us: a file is saved or was opened, a step was undone."""

from collections.abc import Callable
from typing import Any

import bpy

from . import left, overlay, preview, session

persistent: Callable[[Callable[..., None]], Callable[..., None]] = bpy.app.handlers.persistent


def _show_again() -> None:
    fit = session.current()
    if fit is not None and fit.preview is not None and not fit.finished:
        fit.preview.refresh()


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
    _show_again()


@persistent
def _after_loading(*_: Any) -> None:
    overlay.forget_all()
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
