"""What single values of a data-block were before a fit changed them: noted on the block, so that Revert finds them in a reopened file.

Node trees follow one rule: a write changes values and links of the artist's nodes' inputs, which are noted, and adds nodes of its own,
which Revert takes away. Nothing else of a tree is touched.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import bpy

from .identity import load_kept, save_kept

LABEL = "Fit to Photo"  # the labels of our own nodes begin so
TRANSFORM = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale")


def _plain(value: Any) -> Any:
    """A property's value in JSON's own types; vectors become lists."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else [float(v) for v in value]


def own_node(tree: bpy.types.NodeTree, kind: str, label: str) -> bpy.types.Node:
    """The node of ours of this type and label, made where it is missing."""
    node = next((n for n in tree.nodes if n.bl_idname == kind and n.label == label), None) or tree.nodes.new(kind)
    node.label = label
    return node


def _owner(block: bpy.types.ID, name: str) -> tuple[Any, str]:
    """What has the property of that name, which may lead through others (``tracking.camera.k1``), and the property's own name."""
    *way, last = name.split(".")
    return reduce(getattr, way, block), last


@contextmanager
def noting_values(block: bpy.types.ID, names: Iterable[str], custom: Iterable[str] = ()) -> Iterator[None]:
    """Notes which of these properties, and custom properties, change inside the context and what they were; the first note stays."""
    present = [name for name in names if hasattr(*_owner(block, name))]

    def values() -> dict[str, Any]:
        own = {name: _plain(getattr(*_owner(block, name))) for name in present}
        return own | {f'["{key}"]': _plain(block.get(key)) for key in custom}

    before = values()
    yield
    after = values()
    kept = load_kept(block)
    changed = {name: value for name, value in before.items() if after[name] != value}
    if changed:
        save_kept(block, kept | {"values": changed | kept.get("values", {})})


def restore_values(block: bpy.types.ID) -> bool:
    """Sets every noted property again and forgets the note; whether there was one."""
    kept = load_kept(block)
    values = kept.pop("values", {})
    for name, value in values.items():
        if not name.startswith("["):
            setattr(*_owner(block, name), value)
        elif value is None:
            block.pop(name[2:-2], None)
        else:
            block[name[2:-2]] = value
    save_kept(block, kept)
    return bool(values)


def _inputs(node: bpy.types.Node) -> dict[str, list[Any]]:
    """Value and link of every input by its identifier."""
    return {
        socket.identifier: [
            _plain(getattr(socket, "default_value", None)),
            [socket.links[0].from_node.name, socket.links[0].from_socket.identifier] if socket.links else None,
        ]
        for socket in node.inputs
    }


@contextmanager
def noting_inputs(block: bpy.types.Material | bpy.types.World, nodes: Iterable[bpy.types.Node]) -> Iterator[None]:
    """Notes which inputs of these nodes change inside the context, what they were, and which nodes come along; the first note stays."""
    watched = [node.name for node in nodes]
    tree = block.node_tree
    there = {node.name for node in tree.nodes}
    before = {name: _inputs(tree.nodes[name]) for name in watched}
    yield
    kept = load_kept(block)
    noted, added = kept.get("inputs", {}), kept.get("added", [])
    for name in watched:
        after = _inputs(tree.nodes[name])
        changed = {key: value for key, value in before[name].items() if after[key] != value}
        if changed:
            noted[name] = changed | noted.get(name, {})
    added += [node.name for node in tree.nodes if node.name not in there]
    if noted or added:
        save_kept(block, kept | {"inputs": noted, "added": added})


def restore_inputs(block: bpy.types.Material | bpy.types.World) -> bool:
    """Gives every noted input its value and link again, takes our own nodes and their images away, forgets the note; whether there was
    one."""
    kept = load_kept(block)
    noted, added = kept.pop("inputs", {}), kept.pop("added", [])
    tree = block.node_tree
    ours = [tree.nodes[name] for name in added if name in tree.nodes]
    images = {node.image for node in ours if getattr(node, "image", None) is not None}
    for node in ours:
        tree.nodes.remove(node)
    for name, inputs in noted.items():
        for socket in tree.nodes[name].inputs if name in tree.nodes else ():
            if socket.identifier in inputs:
                _restore_input(tree, socket, *inputs[socket.identifier])
    bpy.data.batch_remove([image for image in images if image.users == 0])
    save_kept(block, kept)
    return bool(noted or added)


def _restore_input(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket, value: Any, link: list[str] | None) -> None:
    if value is not None:
        socket.default_value = value
    for old in list(socket.links):
        tree.links.remove(old)
    if link is not None and link[0] in tree.nodes:
        tree.links.new(next(s for s in tree.nodes[link[0]].outputs if s.identifier == link[1]), socket)
