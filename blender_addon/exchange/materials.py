"""Materials: the base colour of a Principled or Diffuse BSDF ↔ a constant or an image. The other channels are in ``gloss.py``."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Material

from .alpha import find_alpha, read_alpha, weigh_texels
from .before import LABEL, restore_inputs, restore_values
from .gloss import Bake, bake_unknown, gloss_sources, not_carried, read_gloss
from .identity import is_foreign, load_kept, save_kept, uses_nodes
from .images import write_float_image, write_image
from .problems import SceneProblem
from .sources import (
    MIX_LABEL,
    Groups,
    Shader,
    Source,
    exposed,
    is_encoded,
    mix_inputs,
    node_words,
    origin_of,
    read_colors,
    read_source,
)

PLAIN_SIZE = 8  # texels along a side of a constant image: the backend chooses the size that it returns
DEFAULT_COLOR = (0.8, 0.8, 0.8)  # Blender's own surface where no material is set
_BASE_COLOR = {"BSDF_PRINCIPLED": "Base Color", "BSDF_DIFFUSE": "Color"}


def find_shader(material: bpy.types.Material) -> Shader | None:
    """The Principled or Diffuse BSDF nearest to the material's output, inside of groups too; None without one."""
    tree = material.node_tree
    output = tree.get_output_node("CYCLES") if tree is not None else None
    queue: list[tuple[bpy.types.NodeSocket, Groups]] = [] if output is None else [(output.inputs["Surface"], ())]
    seen: set[tuple[str, ...]] = set()
    direct = True
    while queue:
        found = [origin for socket, around in queue if (origin := origin_of(socket, around)) is not None]
        for origin in found:
            if origin.node.type in _BASE_COLOR:
                return Shader(origin.node, direct, origin.around)
        direct, queue = False, []
        for origin in found:
            name = (*(group.name for group in origin.around), origin.node.name)
            if name not in seen:
                seen.add(name)
                queue += [(socket, origin.around) for socket in origin.node.inputs]
    return None


def base_color_socket(shader: bpy.types.Node) -> bpy.types.NodeSocket:
    """The input of a Principled or Diffuse BSDF that the fit paints."""
    return shader.inputs[_BASE_COLOR[shader.type]]


def base_color_input(shader: Shader) -> bpy.types.NodeSocket | None:
    """The input in the material's own tree that sets the base colour; None where that is set inside of a group."""
    found = exposed(base_color_socket(shader.node), shader.around)
    return found if found is not None and found.type == "RGBA" else None


def base_color_source(material: bpy.types.Material) -> Source | None:
    """What feeds the base colour; None where the material has no Principled or Diffuse BSDF."""
    found = find_shader(material) if uses_nodes(material) else None
    return None if found is None else read_source(base_color_socket(found.node), found.around)


def _base_color(
    name: str, shader: Shader, uv_maps: Collection[str], painted: bool, bake: Bake | None
) -> tuple[Material, list[str]]:
    """The base colour alone."""
    socket = base_color_socket(shader.node)
    source = read_source(socket, shader.around)
    plain = Material(np.array(source.value[:3], np.float32))
    baked, said = bake_unknown(name, socket, shader.around, source, bake)
    if baked is not None:
        return replace(plain, base_color_image=baked, extension="extend"), said
    if source.attribute is not None:
        if not painted:
            return replace(plain, color_attribute=True), []
        return plain, [told("The base colour of material '{name}' comes from a colour attribute, which the fit starts without", name=name)]
    if source.unknown:
        return plain, [
            told(
                "The base colour of material '{name}' comes from a {node} node, which the fit starts without",
                name=name,
                node=source.unknown,
            )
        ]
    if source.image is None:
        return plain, []
    image = read_colors(source)
    elsewhere = source.uv_matrix is not None or (source.uv_map != "" and not set(uv_maps) <= {source.uv_map})
    if source.misplaced or (painted and elsewhere):
        warning = told(
            "Material '{name}' does not place its image by the UV map that renders; the fit starts from its average colour", name=name
        )
        return replace(plain, base_color=image.mean((0, 1))), [warning]
    warnings = (
        [told("Material '{name}' has image interpolation {kind}; the fit treats it as Linear", name=name, kind=told(source.strange))]
        if source.strange
        else []
    )
    textured = replace(plain, base_color_image=image, extension=source.extension)
    if painted:
        return textured, warnings
    return replace(textured, interpolation=source.interpolation, encoded=is_encoded(source), uv_matrix=source.uv_matrix), warnings


def material_uv_map(material: bpy.types.Material) -> str:
    """The UV map that the mesh has to carry for this material's images: the base colour's, else that of the first other image."""
    found = find_shader(material) if uses_nodes(material) else None
    if found is None:
        return ""
    alpha = find_alpha(material, found)
    base_color = read_source(base_color_socket(found.node), found.around)
    sources = [base_color, *gloss_sources(found).values()] + ([] if alpha is None else [alpha.source])
    return next((source.uv_map for source in sources if source.image is not None and not source.misplaced), "")


def tangent_uv_map(material: bpy.types.Material) -> str | None:
    """The UV map that a normal image of this material turns by (empty: the one that renders); None without one."""
    found = find_shader(material) if uses_nodes(material) else None
    normal = gloss_sources(found).get("normal") if found is not None else None
    return None if normal is None or normal.image is None else normal.uv_map


def read_material(
    material: bpy.types.Material, uv_maps: Collection[str] = (), *, lit: bool = False, painted: bool = True, bake: Bake | None = None
) -> tuple[Material, list[str]]:
    """The material as far as it is carried, and warnings about the rest.

    ``uv_maps`` names the UV maps of the fitted meshes that use it; an image placed otherwise is replaced by its average. Only a ``lit``
    scene sees more than the base colour. With ``painted`` the image is mixed as the one that ``write_material`` makes will be: Linear,
    and in linear colours. ``bake`` turns what feeds an input into an image, where no leaf can hold it otherwise.

    Raises:
        SceneProblem: The image is missing or unreadable.
    """
    name = material.name
    found = find_shader(material) if uses_nodes(material) else None
    if found is None:
        color = np.array(material.diffuse_color[:3], np.float32)
        if not uses_nodes(material):
            return Material(color), []
        return Material(color), [told("Material '{name}' has no Principled or Diffuse BSDF; its viewport colour is used", name=name)]
    shader, socket = found.node, base_color_socket(found.node)
    alpha = find_alpha(material, found)
    carried = {"" if painted else material_uv_map(material)}
    if len(set(uv_maps)) == 1 and carried <= {"", *uv_maps}:  # the map that renders is also known by its name
        carried = {"", *uv_maps}
    try:
        read, warnings = _base_color(name, found, uv_maps, painted, bake)
        if lit:
            read, more = read_gloss(read, name, found, carried, bake)
            warnings += more
        read, more = read_alpha(weigh_texels(read, socket, found.around, painted), name, alpha, carried, bake)
        warnings += more
        if alpha is not None and alpha.mixed and "Alpha" in shader.inputs and found.source("Alpha") != Source((1.0,)):
            warnings.append(
                told(
                    "Material '{name}' is mixed with a Transparent BSDF; the fit does not see the Alpha of '{shader}'",
                    name=name,
                    shader=shader.name,
                )
            )
    except SceneProblem as problem:
        raise SceneProblem("Material '{name}': {problem}", name=name, problem=problem) from problem
    if not found.direct and not (alpha is not None and alpha.mixed):
        warnings.append(told("Material '{name}' mixes shaders; the fit sees only '{shader}'", name=name, shader=shader.name))
    output = material.node_tree.get_output_node("CYCLES")
    if output.inputs["Displacement"].is_linked:
        warnings.append(
            told("The fit does not see the Displacement of material '{name}': apply it to the mesh, or leave it out", name=name)
        )
    if output.inputs["Volume"].is_linked:
        warnings.append(told("The fit does not see the Volume of material '{name}'", name=name))
    return read, warnings + not_carried(name, found, lit)


def check_material(material: bpy.types.Material) -> None:
    """Makes sure that a texture can be written to the material.

    Raises:
        SceneProblem: It belongs to another file, has no Principled or Diffuse BSDF, or one whose base colour is inside of a group.
    """
    if is_foreign(material):
        raise SceneProblem("Material '{name}' is linked from another file: make it local first", name=material.name)
    if material.node_tree is None or not (uses_nodes(material) or material.node_tree.nodes):
        return
    found = find_shader(material)
    if found is None:
        raise SceneProblem("Material '{name}' has no Principled BSDF to paint: connect one to its Material Output", name=material.name)
    if base_color_input(found) is None:
        raise SceneProblem(
            "The base colour of material '{name}' is inside of its {group}: make it an input of the group, or take the group apart with "
            "Ungroup",
            name=material.name,
            group=node_words(found.around[0]),
        )


def check_image(name: str, rgb: np.ndarray) -> None:
    """Makes sure that a fitted image can be written.

    Raises:
        SceneProblem: It is not (H, W, 3), or a colour is not finite.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise SceneProblem("The texture for material '{name}' has no pixels: fit again", name=name)
    if not np.isfinite(rgb).all():
        raise SceneProblem(
            "The texture for material '{name}' holds colours that are not numbers: nothing was changed, fit again", name=name
        )


def write_material(material: bpy.types.Material, rgb_linear: np.ndarray, extension: str = "repeat", uv_map: str | None = None) -> str:
    """Puts a new packed image (H, W, 3) into the material's base colour and says so. The old link is kept for ``revert_material``.

    It has 8 bits a channel, or floats where the image before it had. ``uv_map`` adds a UV Map node, for meshes on which another map is
    active. The artist's own image is never touched.
    """
    show_painted(material, True)
    write_mix(material, 1.0)
    kept = load_kept(material)
    if not uses_nodes(material):
        kept["nodes_were_off"] = True
        material.use_nodes = True
    tree, socket = material.node_tree, ensure_shader(material)
    shader = socket.node
    node = tree.nodes.get(kept.get("image_node", ""))
    origin = socket.links[0].from_socket if socket.links else None
    if node is None or origin is None or origin.node != node:
        kept["shader"], kept["socket"] = shader.name, socket.identifier
        kept["link"] = None if origin is None else [origin.node.name, origin.identifier]
    if node is None:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.label = LABEL
        node.location = (shader.location.x - 320, shader.location.y)
        kept["image_node"] = node.name
    old, before = node.image, read_source(socket).image
    write = write_float_image if before is not None and before.is_float else write_image
    node.image = write(f"{LABEL} {material.name}", rgb_linear)
    if old is not None and old.name == kept.get("image") and old.users == 0:
        bpy.data.images.remove(old)
        node.image.name = kept["image"]
    kept["image"] = node.image.name
    node.extension = extension.upper()
    tree.links.new(node.outputs["Color"], socket)
    _place_by(tree, node, uv_map, kept)
    save_kept(material, kept)
    height, width = rgb_linear.shape[:2]
    return told(
        "Painted the material '{material}' with the image '{image}' ({width} × {height})",
        material=material.name,
        image=node.image.name,
        width=width,
        height=height,
    )


def write_base_color(material: bpy.types.Material, rgb_linear: np.ndarray) -> None:
    """Sets the base colour (3,) of the material's shader, unlinked: the inverse of ``read_material`` where no image drives it.

    Raises:
        SceneProblem: An image or another node feeds the base colour.
    """
    found = find_shader(material) if uses_nodes(material) else None
    if found is None:
        material.diffuse_color = (*np.asarray(rgb_linear, np.float64).tolist(), material.diffuse_color[3])
        return
    socket = base_color_input(found)
    if socket is None or socket.is_linked:
        raise SceneProblem("A node feeds the base colour of material '{name}': disconnect it, then fit again", name=material.name)
    socket.default_value = (*np.asarray(rgb_linear, np.float64).tolist(), socket.default_value[3])


def _place_by(tree: bpy.types.NodeTree, node: bpy.types.Node, uv_map: str | None, kept: dict[str, Any]) -> None:
    uv_node = tree.nodes.get(kept.get("uv_node", ""))
    if uv_map is None:
        if uv_node is not None:
            tree.nodes.remove(uv_node)
        kept.pop("uv_node", None)
        return
    if uv_node is None:
        uv_node = tree.nodes.new("ShaderNodeUVMap")
        uv_node.label = LABEL
        uv_node.location = (node.location.x - 200, node.location.y - 100)
        kept["uv_node"] = uv_node.name
    uv_node.uv_map = uv_map
    tree.links.new(uv_node.outputs["UV"], node.inputs["Vector"])


def ensure_shader(material: bpy.types.Material) -> bpy.types.NodeSocket:
    """The input that a fit paints, once ``check_material`` is content; a material without shader gets a Principled BSDF."""
    found = find_shader(material)
    if found is not None and (painted := base_color_input(found)) is not None:
        return painted
    tree = material.node_tree
    output = tree.get_output_node("CYCLES") or tree.nodes.new("ShaderNodeOutputMaterial")
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    shader.location = (output.location.x - 300, output.location.y)
    shader.inputs["Base Color"].default_value = material.diffuse_color
    tree.links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    return shader.inputs["Base Color"]


def _painted_socket(material: bpy.types.Material) -> bpy.types.NodeSocket | None:
    """The input that a fit painted; None where its node is gone."""
    kept = load_kept(material)
    node = material.node_tree.nodes.get(kept.get("shader", "")) if material.node_tree else None
    return None if node is None else next((s for s in node.inputs if s.identifier == kept.get("socket", "Base Color")), None)


def _mix_node(material: bpy.types.Material) -> bpy.types.Node | None:
    return next((node for node in material.node_tree.nodes if node.label == MIX_LABEL), None) if material.node_tree else None


def read_mix(material: bpy.types.Material) -> float | None:
    """How much of the fitted image the base colour shows, 0 to 1; None where no fit painted the material."""
    if "image_node" not in (kept := load_kept(material)):
        return None
    node = _mix_node(material)
    return float(kept["hidden_mix"]) if "hidden_mix" in kept else 1.0 if node is None else float(mix_inputs(node)[0].default_value)


def write_mix(material: bpy.types.Material, share: float) -> None:
    """Lets the base colour show a share of the fitted image over what was there before. The node for that is there only below 1."""
    kept, tree, node = load_kept(material), material.node_tree, _mix_node(material)
    image, socket = tree.nodes.get(kept.get("image_node", "")) if tree else None, _painted_socket(material)
    if image is None or socket is None:
        return
    if share >= 1:
        if node is not None:
            tree.nodes.remove(node)
            tree.links.new(image.outputs["Color"], socket)
        return
    if node is None:
        node = tree.nodes.new("ShaderNodeMix")
        node.label, node.data_type = MIX_LABEL, "RGBA"
        node.location = (socket.node.location.x - 160, socket.node.location.y)
        _, before, fitted = mix_inputs(node)
        before.default_value = socket.default_value
        if (link := kept.get("link")) is not None and link[0] in tree.nodes:
            tree.links.new(next(s for s in tree.nodes[link[0]].outputs if s.identifier == link[1]), before)
        tree.links.new(image.outputs["Color"], fitted)
        tree.links.new(next(s for s in node.outputs if s.identifier == "Result_Color"), socket)
    mix_inputs(node)[0].default_value = share


def show_painted(material: bpy.types.Material, shown: bool) -> None:
    """Shows the material as fitted, at the share it had, or as it was before."""
    kept, share = load_kept(material), read_mix(material)
    if share is None or shown == ("hidden_mix" not in kept):
        return
    kept.pop("hidden_mix", None)
    save_kept(material, kept if shown else kept | {"hidden_mix": share})
    write_mix(material, share if shown else 0.0)


def revert_material(material: bpy.types.Material) -> list[str]:
    """Takes the fit's image and values out of the material, links what was linked before, and says so."""
    changed = restore_values(material) | (material.node_tree is not None and restore_inputs(material))
    show_painted(material, True)
    write_mix(material, 1.0)
    kept = load_kept(material)
    if "image_node" not in kept:
        return [told("Restored the values of the material '{name}'", name=material.name)] if changed else []
    tree = material.node_tree
    for key in ("image_node", "uv_node"):
        node = tree.nodes.get(kept.get(key, ""))
        if node is not None:
            tree.nodes.remove(node)
    socket, link = _painted_socket(material), kept.get("link")
    if socket is not None and link is not None and link[0] in tree.nodes and not socket.is_linked:
        outputs = tree.nodes[link[0]].outputs
        tree.links.new(next(s for s in outputs if s.identifier == link[1]), socket)
    image = bpy.data.images.get(kept.get("image", ""))
    if image is not None and image.users == 0:
        bpy.data.images.remove(image)
    if kept.get("nodes_were_off"):
        material.use_nodes = False
    save_kept(material, {})
    return [told("Restored the base colour of the material '{name}'", name=material.name)]


def plain_image(material: Material, size: int) -> np.ndarray:
    """An image (H, W, 3) of the material's base colour: where a texture fit starts without an image."""
    side = size or PLAIN_SIZE
    return np.broadcast_to(np.asarray(material.base_color, np.float32), (side, side, 3)).copy()
