"""Leaf paths: one string names an array of the scene in the job file, the optimizer, the progress line and the write-back.

A path is ``group/name/field`` (``meshes/Head/positions``) or ``world/field``. Names may hold any character; ``%`` and ``/``
are percent-encoded so that a path splits unambiguously.
"""

from dataclasses import fields, replace
from typing import Any
from urllib.parse import unquote

from .types import Array, Camera, Light, Material, Mesh, Scene, World

GROUPS: dict[str, type] = {"cameras": Camera, "meshes": Mesh, "materials": Material, "lights": Light}


def leaf_path(group: str, name: str, field_name: str) -> str:
    """``group/name/field`` with the name made safe."""
    return f"{group}/{name.replace('%', '%25').replace('/', '%2F')}/{field_name}"


def split_path(path: str) -> tuple[str, str, str]:
    """Group, object name and field of a path; the name is empty for ``world``.

    Raises:
        KeyError: The path names no leaf of any scene.
    """
    parts = path.split("/")
    if len(parts) == 2 and parts[0] == "world":
        return "world", "", parts[1]
    if len(parts) != 3 or parts[0] not in GROUPS:
        raise KeyError(f"'{path}' is not a leaf path")
    return parts[0], unquote(parts[1]), parts[2]


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _nodes(scene: Scene) -> dict[tuple[str, str], Any]:
    nodes: dict[tuple[str, str], Any] = {(group, name): node for group in GROUPS for name, node in getattr(scene, group).items()}
    if scene.world is not None:
        nodes["world", ""] = scene.world
    return nodes


def _path(group: str, name: str, field_name: str) -> str:
    return f"world/{field_name}" if group == "world" else leaf_path(group, name, field_name)


def leaves(scene: Scene) -> dict[str, Array]:
    """Every array of the scene by its path."""
    return {
        _path(group, name, f.name): value
        for (group, name), node in _nodes(scene).items()
        for f in fields(node)
        if _is_array(value := getattr(node, f.name))
    }


def with_leaves(scene: Scene, values: dict[str, Array]) -> Scene:
    """The same scene with some leaves replaced; everything else is shared, not copied.

    Raises:
        KeyError: A path names a node that the scene does not have.
    """
    changes: dict[tuple[str, str], dict[str, Array]] = {}
    for path, value in values.items():
        group, name, field_name = split_path(path)
        changes.setdefault((group, name), {})[field_name] = value
    nodes = _nodes(scene)
    missing = [key for key in changes if key not in nodes]
    if missing:
        raise KeyError(f"the scene has no {missing[0][0]} '{missing[0][1]}'")
    groups = {group: dict(getattr(scene, group)) for group in GROUPS}
    world = scene.world
    for (group, name), change in changes.items():
        node = replace(nodes[group, name], **change)
        if group == "world":
            world = node
        else:
            groups[group][name] = node
    return Scene(**groups, world=world)


def structure(scene: Scene) -> dict[str, Any]:
    """What is left when the arrays are taken out: JSON-ready, and enough to rebuild the scene from its leaves."""
    tree: dict[str, Any] = {group: {} for group in GROUPS}
    for (group, name), node in _nodes(scene).items():
        static = {f.name: v for f in fields(node) if (v := getattr(node, f.name)) is not None and not _is_array(v)}
        if group == "world":
            tree["world"] = static
        else:
            tree[group][name] = static
    return tree


def from_structure(tree: dict[str, Any], values: dict[str, Array]) -> Scene:
    """The scene with this structure and these leaves: the inverse of ``structure`` and ``leaves``.

    Raises:
        KeyError: A required leaf is missing.
    """
    by_node: dict[tuple[str, str], dict[str, Array]] = {}
    for path, value in values.items():
        group, name, field_name = split_path(path)
        by_node.setdefault((group, name), {})[field_name] = value

    def build(kind: type, group: str, name: str, static: dict[str, Any]) -> Any:
        known = {f.name for f in fields(kind)}
        arrays = by_node.get((group, name), {})
        settled = {k: tuple(v) if isinstance(v, list) else v for k, v in static.items() if k in known}
        try:
            return kind(**settled, **{k: v for k, v in arrays.items() if k in known})
        except TypeError as error:
            raise KeyError(f"{group} '{name}' is incomplete: {error}") from error

    groups = {
        group: {name: build(kind, group, name, static) for name, static in tree.get(group, {}).items()} for group, kind in GROUPS.items()
    }
    world = build(World, "world", "", tree["world"]) if "world" in tree else None
    return Scene(**groups, world=world)
