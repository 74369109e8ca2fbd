"""How much of what lies behind it a material hides ↔ a constant or an image, whole or nothing where a Math node decides.

The input is Alpha of the Principled BSDF, or Factor of a Mix Shader between a Transparent BSDF and the material's own. What Cycles renders
counts: blend mode and clip threshold of the material are the viewport's alone.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Material

from .before import LABEL, own_node
from .gloss import LUMINANCE, Bake, bake_unknown, channel_image, channel_placement
from .images import read_image, to_linear, to_srgb, write_float_image
from .problems import SceneProblem
from .sources import Groups, Origin, Shader, Source, as_image, origin_of, read_source, write_placement

_OPAQUE = (8, 24, 96)  # bits per pixel of images without alpha
_CLEAR = 1 - 1e-6  # of a Transparent BSDF's colour: a darker one tints what is behind it


@dataclass(frozen=True)
class AlphaInput:
    """Where a material's alpha comes from. It is x, or 1 - x where ``inverted``; with a threshold 1 where that is greater, else 0."""

    whole: bpy.types.NodeSocket  # all nodes included
    socket: bpy.types.NodeSocket  # of x
    around_whole: Groups = ()
    around: Groups = ()  # the socket of x
    inverted: bool = False
    threshold: float | None = None
    mixed: bool = False  # by a Mix Shader: alpha is 1 - whole where ``mixed_backward``
    mixed_backward: bool = False

    @property
    def source(self) -> Source:
        """What feeds x."""
        return read_source(self.socket, self.around)


def find_alpha(material: bpy.types.Material, shader: Shader) -> AlphaInput | None:
    """The alpha of a material whose BSDF is ``shader``; None where it has no such input."""
    origin = origin_of(material.node_tree.get_output_node("CYCLES").inputs["Surface"])
    if origin is not None and origin.node.type == "MIX_SHADER":
        factor, first, second = origin.node.inputs[:3]
        mixed = [origin_of(socket, origin.around) for socket in (first, second)]
        is_shader = [o is not None and o.node == shader.node and o.around == shader.around for o in mixed]
        if any(is_shader) and (backward := _is_clear(mixed[1])) != _is_clear(mixed[0]):
            around = origin.around
            return _through_math(AlphaInput(factor, factor, around, around, inverted=backward, mixed=True, mixed_backward=backward))
    socket = shader.node.inputs.get("Alpha")
    return None if socket is None else _through_math(AlphaInput(socket, socket, shader.around, shader.around))


def _is_clear(origin: Origin | None) -> bool:
    if origin is None or origin.node.type != "BSDF_TRANSPARENT":
        return False
    color = read_source(origin.node.inputs["Color"], origin.around)
    return color == Source(color.value) and min(color.value) >= _CLEAR


def _through_math(found: AlphaInput) -> AlphaInput:
    """The input behind Math nodes that compare x with a number or take it from 1."""
    origin = origin_of(found.socket, found.around)
    while origin is not None and origin.node.type == "MATH":
        first, second = origin.node.inputs[:2]
        operation, number = origin.node.operation, (second if first.is_linked else first)
        if operation == "ROUND" and first.is_linked:
            operation, level = "GREATER_THAN", 0.5
        elif number.is_linked or not (first.is_linked or second.is_linked):
            return found
        else:
            level = float(number.default_value)
        behind = first if first.is_linked else second
        if operation == "SUBTRACT" and behind == second and abs(level - 1) < 1e-6:
            found = replace(found, socket=behind, around=origin.around, inverted=not found.inverted)
        elif operation in ("GREATER_THAN", "LESS_THAN") and found.threshold is None:
            falls = (operation == "LESS_THAN") == (behind == first)
            inverted = found.inverted != falls
            found = replace(found, socket=behind, around=origin.around, inverted=inverted, threshold=1 - level if inverted else level)
        else:
            return found
        origin = origin_of(found.socket, found.around)
    return found


def read_alpha(
    read: Material, name: str, found: AlphaInput | None, carried: Collection[str], bake: Bake | None
) -> tuple[Material, list[str]]:
    """``read`` with its alpha, and warnings; ``carried`` names the UV map that the mesh carries.

    Raises:
        SceneProblem: The image is missing or unreadable.
    """
    if found is None:
        return read, []
    source = as_image(found.source, carried)
    lost = source.extension == "clip" and found.inverted  # beyond its border the image is 0, and alpha 1
    if lost:
        source = replace(source, misplaced="extension Clip and turned over")
    baked, said = bake_unknown(name, found.whole, found.around_whole, source, bake)
    if baked is not None:
        values = (baked @ np.array(LUMINANCE, np.float32)[:, None]).clip(0, 1)
        image = 1 - values if found.mixed_backward else values
        return replace(read, alpha_image=image, placements=read.placements | {"alpha": {"extension": "extend"}}), said
    if source.image is not None and not source.misplaced:
        image = channel_image("alpha", source)
        if source.alpha and source.image.alpha_mode == "NONE":
            image = np.ones_like(image)
        placement = channel_placement(source) | ({"encoded": False} if found.inverted else {})
        return replace(
            read,
            alpha_image=1 - image if found.inverted else image,
            alpha_threshold=found.threshold,
            placements=read.placements | {"alpha": placement},
        ), []
    warnings = []
    if source.image is not None:
        warnings.append(
            told(
                "The image that feeds the Alpha of material '{name}' is placed by {where}; the fit sees nothing through it",
                name=name,
                where=source.misplaced,
            )
        )
    elif source.unknown:
        warnings.append(
            told("The Alpha of material '{name}' comes from a {what} node; the fit sees nothing through it", name=name, what=source.unknown)
        )
    if warnings:
        return read, warnings
    alpha = float(np.clip(1 - source.value[0] if found.inverted else source.value[0], 0, 1))
    if found.threshold is not None:
        alpha = float(alpha > found.threshold)
    return (read if alpha > 1 - 1e-6 else replace(read, alpha=np.array(alpha, np.float32))), []


def weigh_texels(read: Material, socket: bpy.types.NodeSocket, around: Groups, painted: bool) -> Material:
    """``read`` with the colours that Cycles takes from an image with alpha, which feeds ``socket``.

    It multiplies them by alpha, and divides their mean by that of alpha where somebody uses the alpha of the same node: then texels count
    by their alpha. Where they are ``painted`` anew the image that comes has none.
    """
    source = read_source(socket, around)
    if read.base_color_image is None or source.image is None or source.misplaced or source.alpha or source.component is not None:
        return read
    image = source.image
    if image.depth in _OPAQUE or image.alpha_mode not in ("STRAIGHT", "PREMUL") or image.colorspace_settings.name == "Non-Color":
        return read
    rgba, has_alpha = read_image(image)
    if not has_alpha:
        return read
    if _alpha_is_used(origin_of(socket, around).node):
        return read if painted else replace(read, base_color_weights=rgba[..., 3:].copy())
    stored = not image.is_float and image.colorspace_settings.name == "sRGB"
    shown = to_linear(to_srgb(rgba[..., :3]) * rgba[..., 3:]) if stored else rgba[..., :3] * rgba[..., 3:]
    return replace(read, base_color_image=np.ascontiguousarray(shown))


def _alpha_is_used(node: bpy.types.Node) -> bool:
    """Whether the Alpha of this Image Texture node, or of another that is just like it, feeds anything: Cycles makes one of them."""

    def look(one: bpy.types.Node) -> tuple[Any, ...]:
        return one.image, one.extension, one.interpolation, one.projection, origin_of(one.inputs["Vector"])

    nodes = [one for one in node.id_data.nodes if one.type == "TEX_IMAGE" and one.outputs["Alpha"].is_linked]
    return any(look(one) == look(node) for one in nodes)


def write_alpha(material: bpy.types.Material, found: AlphaInput, read: Material, changed: str) -> None:
    """Sets the alpha that ``find_alpha`` found to the constant or image of ``read``, whichever is ``changed``: the inverse of
    ``read_alpha``.

    An image becomes a packed float image on the UVs that it lay on; what a Math node compares stays compared.

    Raises:
        SceneProblem: A constant is to be written where a node feeds it.
    """
    if changed == "alpha":
        if found.socket.is_linked:
            raise SceneProblem("A node feeds the alpha of material '{name}': disconnect it, then fit again", name=material.name)
        found.socket.default_value = float(1 - read.alpha if found.inverted else read.alpha)
        return
    tree, label, source = material.node_tree, f"{LABEL} Alpha", found.source
    node = own_node(tree, "ShaderNodeTexImage", label)
    replaced = node.image
    values = 1 - np.asarray(read.alpha_image) if found.inverted else np.asarray(read.alpha_image)
    node.image = write_float_image(label, np.broadcast_to(values, (*values.shape[:2], 3)))
    if replaced is not None and replaced.users == 0:
        bpy.data.images.remove(replaced)
    placement: dict[str, Any] = read.placements.get("alpha", {})
    node.extension = placement.get("extension", "repeat").upper()
    node.interpolation = placement.get("interpolation", "linear").title()
    matrix = np.reshape(placement["uv_matrix"], (2, 3)) if "uv_matrix" in placement else None
    write_placement(node, source.uv_map, matrix)
    tree.links.new(node.outputs["Color"], found.socket)
