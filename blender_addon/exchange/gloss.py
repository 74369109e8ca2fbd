"""The Principled BSDF beside its base colour: metallic, roughness, reflection, emission and normal image, there and back."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Material

from .before import LABEL, own_node
from .images import read_image, write_float_image
from .problems import SceneProblem
from .sources import LUMINANCE, Groups, Shader, Source, as_image, is_encoded, node_words, origin_of, read_source, write_placement

Bake = Callable[[bpy.types.NodeSocket, Groups], np.ndarray | None]  # linear colours (H, W, 3) of what feeds an input, on the mesh's UVs
_VALUES = {"metallic": "Metallic", "roughness": "Roughness", "ior": "IOR", "specular": "Specular IOR Level"}
# Inputs that change the look and have no leaf, with the value at which they do nothing.
_NOT_CARRIED = {
    "Transmission Weight": 0.0,
    "Subsurface Weight": 0.0,
    "Coat Weight": 0.0,
    "Sheen Weight": 0.0,
    "Anisotropic": 0.0,
    "Diffuse Roughness": 0.0,
    "Thin Film Thickness": 0.0,
}
_ONLY_WHERE_LIT = {"Metallic": 0.0, "Emission Strength": 0.0}


def bake_unknown(
    name: str, socket: bpy.types.NodeSocket, around: Groups, source: Source, bake: Bake | None
) -> tuple[np.ndarray | None, list[str]]:
    """An image of what feeds the input, and a sentence that says so, where only a bake can carry it; else None."""
    what = source.unknown or (told("image placed by {misplaced}", misplaced=source.misplaced) if source.misplaced else "")
    image = bake(socket, around) if bake is not None and what else None
    if image is None:
        return None, []
    return image, [
        told(
            "{what} feeding {socket} of material '{name}' is baked to an image first",
            what=what[0].upper() + what[1:],
            socket=socket.name,
            name=name,
        )
    ]


def _is_fed(source: Source) -> bool:
    """Whether more than a value feeds the input."""
    return source.image is not None or source.attribute is not None or source.unknown != ""


def _has_effect(source: Source, neutral: float) -> bool:
    """Whether an input that is fed by this does anything, where it does nothing at the neutral value."""
    return _is_fed(source) or any(abs(value - neutral) > 1e-6 for value in source.value)


def not_carried(name: str, shader: Shader, lit: bool) -> list[str]:
    """A warning that names the inputs of the shader which a fit does not see; an unlit one sees the base colour alone."""
    neutral = _NOT_CARRIED if lit else _NOT_CARRIED | _ONLY_WHERE_LIT
    inputs = shader.node.inputs
    if shader.node.type == "BSDF_DIFFUSE":
        neutral = {"Roughness": 0.0}
    names = [socket.name for socket in inputs if socket.name in neutral and _has_effect(shader.source(socket.name), neutral[socket.name])]
    if lit and "Specular Tint" in inputs and _has_effect(shader.source("Specular Tint"), 1.0):
        names.append("Specular Tint")
    unseen = ("Coat Normal",) if lit and shader.node.type == "BSDF_PRINCIPLED" else ("Normal", "Coat Normal")
    names += [key for key in unseen if key in inputs and origin_of(inputs[key], shader.around) is not None]
    return [told("The fit does not see the {names} of material '{name}'", names=", ".join(names), name=name)] if names else []


def _normal_source(shader: Shader) -> tuple[Source | None, float, str]:
    """What feeds the Normal input by way of a Normal Map node, its strength, and the label of what is in the way instead."""
    origin = origin_of(shader.node.inputs["Normal"], shader.around)
    if origin is None:
        return None, 1.0, ""
    node = origin.node
    strength = read_source(node.inputs["Strength"], origin.around) if "Strength" in node.inputs else Source((1.0,))
    if node.type != "NORMAL_MAP" or node.space != "TANGENT" or _is_fed(strength):
        return None, 1.0, told("{node} node", node=node_words(node))
    return read_source(node.inputs["Color"], origin.around), strength.value[0], ""


def gloss_sources(shader: Shader) -> dict[str, Source]:
    """What feeds each channel that an image may drive: metallic, roughness, emission, normal."""
    if shader.node.type != "BSDF_PRINCIPLED":
        return {}
    found = {
        "metallic": shader.source("Metallic"),
        "roughness": shader.source("Roughness"),
        "emission": shader.source("Emission Color"),
    }
    normal = _normal_source(shader)[0]
    return found if normal is None else found | {"normal": normal}


def channel_image(name: str, source: Source) -> np.ndarray:
    """The image as its channel uses it: colours (H, W, 3), or values (H, W, 1) for metallic, roughness and alpha."""
    rgba = read_image(source.image)[0]
    if source.alpha:
        values = rgba[..., 3:]
    elif source.component is not None:
        values = rgba[..., source.component : source.component + 1]
    elif name in ("emission", "normal"):
        return np.ascontiguousarray(rgba[..., :3])
    else:
        values = (rgba[..., :3] @ np.array(LUMINANCE, np.float32))[..., None]
    return np.ascontiguousarray(np.repeat(values, 3, -1) if name in ("emission", "normal") else values)


def channel_placement(source: Source) -> dict[str, Any]:
    """Extension, interpolation, encoding and matrix of the image, as ``Material.placements`` holds them."""
    placed: dict[str, Any] = {"extension": source.extension, "interpolation": source.interpolation, "encoded": is_encoded(source)}
    return placed if source.uv_matrix is None else placed | {"uv_matrix": [float(v) for v in source.uv_matrix.ravel()]}


def _label(channel: str) -> str:
    return {"emission": "Emission Color", "normal": "Normal"}.get(channel) or _VALUES[channel]


def _own_value(shader: Shader, name: str) -> tuple[float, ...]:
    """The value of the input where nodes feed it that are not carried, else what reaches it."""
    source = shader.source(name)
    if not source.unknown:
        return source.value
    value = shader.node.inputs[name].default_value
    return (float(value),) if isinstance(value, (int, float)) else tuple(float(v) for v in value)[:3]


def read_gloss(
    plain: Material, name: str, shader: Shader, carried: Collection[str], bake: Bake | None = None
) -> tuple[Material, list[str]]:
    """The material with what its Principled BSDF adds, and warnings. ``carried`` names the UV map that the mesh carries for it.

    What only a bake can carry is baked where ``bake`` is given.

    Raises:
        SceneProblem: An image is missing or unreadable.
    """
    if shader.node.type != "BSDF_PRINCIPLED":
        return plain, []
    warnings = []
    values = {field: np.array(_own_value(shader, socket)[0], np.float32) for field, socket in _VALUES.items()}
    strength = _own_value(shader, "Emission Strength")[0]
    emission = np.array(_own_value(shader, "Emission Color")[:3], np.float64) * strength
    images: dict[str, np.ndarray] = {}
    placements: dict[str, dict[str, Any]] = {}
    for channel, source in gloss_sources(shader).items():
        if channel == "emission" and strength == 0:
            continue
        label, source = _label(channel), as_image(source, carried)
        baked, said = (None, []) if channel == "normal" else bake_unknown(name, shader.node.inputs[label], shader.around, source, bake)
        if baked is not None:
            image = baked * np.float32(strength) if channel == "emission" else baked @ np.array(LUMINANCE, np.float32)[:, None]
            images[f"{channel}_image"], placements[channel] = image, {"extension": "extend"}
            warnings += said
        elif source.image is not None and not source.misplaced:
            image = channel_image(channel, source)
            images[f"{channel}_image"] = image * np.float32(strength) if channel == "emission" else image
            placements[channel] = channel_placement(source)
        elif source.image is not None:
            warnings.append(
                told(
                    "The image that feeds the {label} of material '{name}' is placed by {where}; its own value is used",
                    label=label,
                    name=name,
                    where=source.misplaced,
                )
            )
        elif source.unknown:
            warnings.append(
                told(
                    "The {label} of material '{name}' comes from a {what} node; its own value is used",
                    label=label,
                    name=name,
                    what=source.unknown,
                )
            )
    for socket in (*(_VALUES[k] for k in ("ior", "specular")), "Emission Strength"):
        if _is_fed(shader.source(socket)):
            warnings.append(told("The {socket} of material '{name}' comes from nodes; its own value is used", socket=socket, name=name))
    blocked = _normal_source(shader)[2]
    if blocked:
        warnings.append(
            told("The Normal of material '{name}' comes from a {blocked}, which the fit does not see", name=name, blocked=blocked)
        )
    return replace(
        plain,
        shader="principled",
        emission=emission.astype(np.float32),
        normal_strength=_normal_source(shader)[1],
        placements=placements,
        **values,
        **images,
    ), warnings


def write_gloss(found: Shader, material: Material) -> None:
    """Sets the Principled BSDF's inputs to the material's values and images: the inverse of ``read_gloss``.

    An input that something feeds keeps its link where the material has no image for it. Emission keeps its strength unless that is zero;
    images become packed float images that lie on the UVs as ``placements`` say.

    Raises:
        SceneProblem: The shader is no Principled BSDF.
    """
    shader = found.node
    if shader.type != "BSDF_PRINCIPLED":
        raise SceneProblem(
            "'{name}' is no Principled BSDF, so it has no metallic or roughness to write: use a Principled BSDF", name=shader.name
        )
    for field, socket in _VALUES.items():
        if getattr(material, field) is not None:
            shader.inputs[socket].default_value = float(getattr(material, field))
    strength = shader.inputs["Emission Strength"]
    if material.emission is not None:
        wanted = np.asarray(material.emission, np.float64)
        if strength.default_value == 0 and (wanted.any() or material.emission_image is not None):
            strength.default_value = 1.0
        if strength.default_value:
            shader.inputs["Emission Color"].default_value = (*(wanted / strength.default_value).tolist(), 1)
    for channel, placement in material.placements.items():
        if channel == "alpha":
            continue  # has a writer of its own
        image = getattr(material, f"{channel}_image")
        if image is None:
            continue
        values = np.asarray(image) / (strength.default_value if channel == "emission" else 1.0)
        _write_image(found, channel, np.broadcast_to(values, (*values.shape[:2], 3)), placement, material.normal_strength)


def _write_image(found: Shader, channel: str, rgb: np.ndarray, placement: dict[str, Any], strength: float) -> None:
    """Lets a node of our own feed the channel, on the UV map that the image before it was on."""
    shader = found.node
    tree = shader.id_data
    label = f"{LABEL} {channel.title()}"
    source = gloss_sources(found).get(channel)
    node = own_node(tree, "ShaderNodeTexImage", label)
    replaced = node.image
    node.image = write_float_image(label, rgb)
    if replaced is not None and replaced.users == 0:
        bpy.data.images.remove(replaced)
    node.extension = placement.get("extension", "repeat").upper()
    node.interpolation = placement.get("interpolation", "linear").title()
    matrix = np.reshape(placement["uv_matrix"], (2, 3)) if "uv_matrix" in placement else None
    write_placement(node, "" if source is None else source.uv_map, matrix)
    if channel != "normal":
        tree.links.new(node.outputs["Color"], shader.inputs[_label(channel)])
        return
    bend = own_node(tree, "ShaderNodeNormalMap", f"{LABEL} Bend")
    bend.space, bend.inputs["Strength"].default_value = "TANGENT", strength
    origin = origin_of(shader.inputs["Normal"])
    if origin is not None and origin.node.type == "NORMAL_MAP":
        bend.uv_map = origin.node.uv_map
    tree.links.new(node.outputs["Color"], bend.inputs["Color"])
    tree.links.new(bend.outputs["Normal"], shader.inputs["Normal"])
