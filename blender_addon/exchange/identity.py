"""Finding data-blocks again, and what a fit keeps on them so that it can be reverted after saving and reopening."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from dr_backend.language import told

from .problems import SceneProblem

KEPT = "fit_to_photo_before"  # custom property: JSON of what was there before the fit
PROCESS = uuid.uuid4().hex  # session_uid counts up within one Blender process and means nothing in another


def describe(block: bpy.types.ID) -> dict[str, Any]:
    """Name and session uid of a data-block, JSON-ready; survives undo, renaming and reloading."""
    return {"name": block.name, "uid": getattr(block, "session_uid", 0), "process": PROCESS}


def find(collection: Any, described: dict[str, Any]) -> Any:
    """The described data-block in a collection of ``bpy.data``, or None when it is gone.

    The uid wins within the same Blender process (the block may have been renamed), else the local block of that name.
    """
    named: bpy.types.ID | None = collection.get((described["name"], None))
    if not described.get("uid") or described.get("process") != PROCESS or getattr(named, "session_uid", 0) == described["uid"]:
        return named
    return next((block for block in collection if getattr(block, "session_uid", 0) == described["uid"]), named)


def load_kept(block: bpy.types.ID) -> dict[str, Any]:
    """What the fit noted on this data-block; empty if no fit touched it."""
    text = block.get(KEPT)
    return json.loads(text) if isinstance(text, str) else {}


def save_kept(block: bpy.types.ID, kept: dict[str, Any]) -> None:
    """Notes on the data-block what was there before; an empty note is removed."""
    if kept:
        block[KEPT] = json.dumps(kept)
    elif KEPT in block:
        del block[KEPT]


def is_foreign(block: bpy.types.ID) -> bool:
    """Whether the data-block belongs to another file or is a library override."""
    return block.library is not None or block.override_library is not None


def uses_nodes(block: bpy.types.Material | bpy.types.World | bpy.types.Light) -> bool:
    """Whether the nodes of a material, world or light act. Always, since Blender 5."""
    return bpy.app.version >= (5, 0, 0) or bool(block.use_nodes)


def check_modes(objects: list[bpy.types.Object]) -> None:
    """Makes sure that ``object_mode`` will work.

    Raises:
        SceneProblem: An object is in another mode and Blender cannot leave it from here.
    """
    for obj in objects:
        if obj.mode == "OBJECT":
            continue
        with bpy.context.temp_override(active_object=obj, object=obj):
            if not bpy.ops.object.mode_set.poll():
                raise SceneProblem(
                    "'{object}' is in {mode} Mode: switch it to Object Mode and try again",
                    object=obj.name,
                    mode=told(obj.mode.replace("_", " ").title()),
                )


@contextmanager
def object_mode(obj: bpy.types.Object) -> Iterator[None]:
    """Leaves the object's mode for a while: Edit Mode would overwrite what is written to its mesh."""
    mode = obj.mode
    if mode == "OBJECT":
        yield
        return
    with bpy.context.temp_override(active_object=obj, object=obj):
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        with bpy.context.temp_override(active_object=obj, object=obj):
            bpy.ops.object.mode_set(mode=mode)
