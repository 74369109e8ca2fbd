"""What feeds an input of a shader: a value, an image with its placement, a colour attribute, or nodes that have no counterpart here.

Groups are looked through. A node inside of one is told by the node and the groups around it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.language import told
from dr_backend.scene.types import Extension, Interpolation

from .before import LABEL, own_node
from .images import read_image

LUMINANCE = (0.2126, 0.7152, 0.0722)  # how Blender turns a colour into a value
MIX_LABEL = "Fit to Photo Mix"  # of the node that mixes the fitted image with what was there before

Groups = tuple[bpy.types.Node, ...]  # the group nodes that a node is inside of, the outermost first


class Origin(NamedTuple):
    """An output that feeds an input."""

    socket: bpy.types.NodeSocket
    around: Groups = ()

    @property
    def node(self) -> bpy.types.Node:
        """The node that it belongs to."""
        return self.socket.node


@dataclass(frozen=True)
class Source:
    """An input's own value and what replaces it: at most one of ``image``, ``attribute`` and ``unknown``."""

    value: tuple[float, ...]
    image: bpy.types.Image | None = None
    alpha: bool = False  # the image's alpha instead of its colour
    component: int | None = None  # one of the image's colours, where a Separate Color node takes it
    extension: Extension = "repeat"
    interpolation: Interpolation = "linear"
    uv_map: str = ""  # empty: the one that renders
    uv_matrix: np.ndarray | None = None  # (2, 3), None where the image lies as the UVs say
    attribute: str | None = None  # a colour attribute; empty: the one that renders
    unknown: str = ""  # label of the node that cannot be carried
    misplaced: str = ""  # label of what places the image, where that is not a UV map
    strange: str = ""  # a setting of the image node that is treated as another


def _followed(socket: bpy.types.NodeSocket) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket | None]:
    """The input at which what feeds this one begins, and the output that feeds it there; None where its own value counts.

    Both are in the same tree. Reroutes and muted nodes are passed, and so is the fitted image where it is mixed with what was there before.
    """
    while links := [link for link in socket.links if not link.is_muted]:
        origin = links[0].from_socket
        node = origin.node
        if node.mute:
            inside = next((link.from_socket for link in node.internal_links if link.to_socket == origin), None)
            if inside is None:
                return socket, None
            socket = inside
        elif node.label == MIX_LABEL:
            socket = mix_inputs(node)[2]
        elif node.type == "REROUTE":
            socket = node.inputs[0]
        else:
            return socket, origin
    return socket, None


def _across(output: bpy.types.NodeSocket, around: Groups) -> tuple[bpy.types.NodeSocket, Groups] | None:
    """The input on the other side of a group's border, whose value such an output hands on; None where it is no border."""
    node = output.node
    if node.type == "GROUP_INPUT" and around:
        inputs, beyond = around[-1].inputs, around[:-1]
    elif node.type == "GROUP" and node.node_tree is not None:
        ends = [end for end in node.node_tree.nodes if end.type == "GROUP_OUTPUT" and end.is_active_output]
        inputs, beyond = (ends[0].inputs if ends else ()), (*around, node)
    else:
        return None
    found = next((socket for socket in inputs if socket.identifier == output.identifier), None)
    return None if found is None else (found, beyond)


def origin_of(socket: bpy.types.NodeSocket, around: Groups = ()) -> Origin | None:
    """The output that feeds an input, wherever it comes from; None where nothing does."""
    while (output := _followed(socket)[1]) is not None:
        beyond = _across(output, around)
        if beyond is None:
            return Origin(output, around)
        socket, around = beyond
    return None


def exposed(socket: bpy.types.NodeSocket, around: Groups) -> bpy.types.NodeSocket | None:
    """The input in the material's own tree that sets this one; None where it is set inside of a group."""
    while around:
        output = _followed(socket)[1]
        if output is None or output.node.type != "GROUP_INPUT" or (beyond := _across(output, around)) is None:
            return None
        socket, around = beyond
    return socket


def node_words(node: bpy.types.Node) -> str:
    """What to call a node in a sentence: a group by its name."""
    if node.type == "GROUP" and node.node_tree is not None:
        return told("group '{name}'", name=node.node_tree.name)
    return told(node.bl_label)


def as_image(source: Source, carried: Collection[str]) -> Source:
    """The same source to an input that only an image can drive: unknown where it is a colour attribute, misplaced where its image lies on
    another UV map than the one that the mesh carries, which is known by these names."""
    if source.attribute is not None:
        return replace(source, attribute=None, unknown=told("Color Attribute"))
    if source.image is None or source.misplaced or source.uv_map in carried:
        return source
    return replace(source, misplaced=told("the UV map '{name}'", name=source.uv_map) if source.uv_map else told("the UV map that renders"))


class Shader(NamedTuple):
    """The BSDF that a fit sees of a material."""

    node: bpy.types.Node
    direct: bool  # whether it is linked to the Material Output without another shader between them
    around: Groups = ()

    def source(self, name: str) -> Source:
        """What feeds the input of that name."""
        return read_source(self.node.inputs[name], self.around)


def mix_inputs(node: bpy.types.Node) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Factor, and the two colours, of a Mix node for colours; it has sockets of the same names for other kinds of values."""
    found = {socket.identifier: socket for socket in node.inputs}
    return found["Factor_Float"], found["A_Color"], found["B_Color"]


def _value(socket: bpy.types.NodeSocket) -> tuple[float, ...]:
    value = getattr(socket, "default_value", 0.0)
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(v) for v in value)[:3]


def _converted(value: tuple[float, ...], width: int) -> tuple[float, ...]:
    """A colour as a value, or a value as a colour, where an input of that many numbers asks for the other."""
    if len(value) == width:
        return value
    return tuple(float(value[0]) for _ in range(width)) if width > 1 else (float(np.dot(value, LUMINANCE)),)


def mapping_matrix(node: bpy.types.Node) -> np.ndarray | None:
    """A Mapping node as (4, 4); None where its values come from nodes or it works on normals."""
    vectors = {s.name: s for s in node.inputs if s.name != "Vector"}
    if node.vector_type == "NORMAL" or any(s.is_linked for s in vectors.values()):
        return None
    scale = Matrix.Diagonal((*vectors["Scale"].default_value, 1))
    turn = vectors["Rotation"].default_value.to_matrix().to_4x4()
    move = Matrix.Identity(4) if node.vector_type == "VECTOR" else Matrix.Translation(vectors["Location"].default_value)
    if node.vector_type == "TEXTURE":
        if abs(scale.determinant()) < 1e-20:
            return None
        return np.array((move @ turn @ scale).inverted(), np.float64)
    return np.array(move @ turn @ scale, np.float64)


def _placement(socket: bpy.types.NodeSocket, around: Groups) -> tuple[str, np.ndarray | None] | str:
    """UV map and matrix (2, 3) that an image node's Vector asks for, or the label of a node that is not carried."""
    matrix = np.eye(4)
    origin = origin_of(socket, around)
    while origin is not None and origin.node.type == "MAPPING":
        step = mapping_matrix(origin.node)
        if step is None:
            return told(origin.node.bl_label)
        matrix = matrix @ step
        origin = origin_of(origin.node.inputs["Vector"], origin.around)
    placed = None if np.allclose(matrix, np.eye(4), atol=1e-7) else matrix[:2, [0, 1, 3]].astype(np.float32)
    if origin is None:
        output = _followed(socket)[1]  # a Mapping node or a group without input hands on a constant
        return ("", None) if output is None else told(output.node.bl_label)
    if origin.node.type == "UVMAP" and not origin.node.from_instancer:
        return origin.node.uv_map, placed
    if origin.node.type == "TEX_COORD" and origin.socket.name == "UV" and not origin.node.from_instancer:
        return "", placed
    return f"{told(origin.node.bl_label)} ({told(origin.socket.name)})"


def write_placement(node: bpy.types.Node, uv_map: str, matrix: np.ndarray | None) -> None:
    """Lets an image node's picture lie on this UV map (empty: the one that renders), moved as a (2, 3) map of the UVs says, by nodes of
    our own: the inverse of ``read_source``'s ``uv_map`` and ``uv_matrix``.

    One Mapping node scales before it turns and so cannot shear: two in a row, by the singular value decomposition of the map, can do all.
    """
    tree, vector = node.id_data, node.inputs["Vector"]
    if not uv_map and matrix is None:
        for link in list(vector.links):
            tree.links.remove(link)
        return
    start = own_node(tree, "ShaderNodeUVMap", f"{LABEL} UVs of {node.name}")
    start.uv_map = uv_map
    origin = start.outputs["UV"]
    if matrix is not None:
        after, size, before = np.linalg.svd(np.asarray(matrix, np.float64)[:, :2])
        flips = np.sign([np.linalg.det(before), np.linalg.det(after)])  # a turn cannot mirror, a scale can
        before[1] *= flips[0]
        after[:, 1] *= flips[1]
        size[1] *= flips.prod()
        for step, turn, scale, move in (("Turn", before, (1, 1), (0, 0)), ("Place", after, size, np.asarray(matrix)[:, 2])):
            mapping = own_node(tree, "ShaderNodeMapping", f"{LABEL} {step} of {node.name}")
            mapping.vector_type = "POINT"
            mapping.inputs["Rotation"].default_value = (0, 0, np.arctan2(turn[1, 0], turn[0, 0]))
            mapping.inputs["Scale"].default_value = (*scale, 1)
            mapping.inputs["Location"].default_value = (*move, 0)
            tree.links.new(origin, mapping.inputs["Vector"])
            origin = mapping.outputs["Vector"]
    tree.links.new(origin, vector)


def read_source(socket: bpy.types.NodeSocket, around: Groups = ()) -> Source:
    """What feeds the input."""
    begin, origin = _followed(socket)
    value = _value(socket)
    if begin != socket and origin is None and bpy.app.version < (5, 0, 0):
        return Source(tuple(0.0 for _ in value))  # there Cycles took nothing from a loose reroute or from behind a muted node
    if origin is None:
        return Source(value)
    if (beyond := _across(origin, around)) is not None:
        border = origin.node if origin.node.type == "GROUP" else around[-1]
        return _handed_on(read_source(*beyond), _value(beyond[0]), value, node_words(border))
    return _read_origin(origin, around, value)


def _handed_on(found: Source, handed: tuple[float, ...], value: tuple[float, ...], group: str) -> Source:
    """What reaches an input of that own value through a group's border, whose type of value is that of ``handed``."""
    if len(handed) != len(value) and (found.image is not None or found.attribute is not None):
        return Source(value, unknown=group)  # a colour went through a socket for values, or the other way round
    return replace(found, value=_converted(found.value, len(value)))


def _read_origin(origin: bpy.types.NodeSocket, around: Groups, value: tuple[float, ...]) -> Source:
    """What an output makes of an input of this own value."""
    node = origin.node
    if node.type == "VERTEX_COLOR" and origin.name == "Color":
        return Source(value, attribute=node.layer_name)
    if node.type == "ATTRIBUTE" and origin.name == "Color" and node.attribute_type == "GEOMETRY":
        return Source(value, attribute=node.attribute_name)
    if node.type in ("RGB", "VALUE"):
        return Source(_converted(_value(origin), len(value)))
    if node.type == "SEPARATE_COLOR" and node.mode == "RGB":
        whole = read_source(node.inputs["Color"], around)
        if whole.image is not None and not whole.alpha and whole.component is None:
            return replace(whole, value=value, component=("Red", "Green", "Blue").index(origin.name))
    if node.type != "TEX_IMAGE" or node.image is None:
        words = node_words(node)
        return Source(value, unknown=told("{node} without image", node=words) if node.type == "TEX_IMAGE" else words)
    if node.image.source in ("SEQUENCE", "MOVIE"):
        is_movie = node.image.source == "MOVIE"
        return Source(value, unknown=told("{node} of a movie" if is_movie else "{node} of a sequence", node=node_words(node)))
    if node.projection != "FLAT":
        return Source(value, image=node.image, misplaced=told("{kind} projection", kind=told(node.projection.title())))
    placement = _placement(node.inputs["Vector"], around)
    if isinstance(placement, str):
        return Source(value, image=node.image, misplaced=placement)
    return Source(
        value,
        image=node.image,
        alpha=origin.name == "Alpha",
        extension=node.extension.lower(),
        interpolation="closest" if node.interpolation == "Closest" else "linear",
        uv_map=placement[0],
        uv_matrix=placement[1],
        strange="" if node.interpolation in ("Linear", "Closest") else node.interpolation,
    )


def read_colors(source: Source) -> np.ndarray:
    """Linear colours (H, W, 3) that the image gives to a colour input; grey where one channel of it is taken.

    Raises:
        SceneProblem: The image is missing or unreadable.
    """
    rgba = read_image(source.image)[0]
    if not source.alpha and source.component is None:
        return np.ascontiguousarray(rgba[..., :3])
    channel = 3 if source.alpha else source.component
    return np.repeat(rgba[..., channel : channel + 1], 3, axis=-1)


def is_encoded(source: Source) -> bool:
    """Whether Cycles mixes the image's texels as they are stored, in sRGB."""
    return not source.alpha and not source.image.is_float and bool(source.image.colorspace_settings.name == "sRGB")
