"""Worlds: a Background node's colour or environment image and strength ↔ light from all around."""

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.language import told
from dr_backend.scene import World
from dr_backend.scene.sphere import from_harmonics, pixel_solid_angles

from .before import own_node
from .identity import uses_nodes
from .images import read_image, write_float_image
from .problems import SceneProblem
from .sources import mapping_matrix, origin_of

MAX_WIDTH = 1024  # pixels to which an environment image is averaged: it lights, nobody looks at it
HARMONICS_SIZE = (64, 128)  # height and width of the image that shows fitted harmonics
IMAGE_NAME = "Fit to Photo World"


def background_node(world: bpy.types.World) -> bpy.types.Node | None:
    """The Background node that the world's output shows; None without one."""
    output = world.node_tree.get_output_node("ALL") if uses_nodes(world) and world.node_tree is not None else None
    origin = origin_of(output.inputs["Surface"]) if output is not None else None
    return origin.node if origin is not None and origin.node.type == "BACKGROUND" and not origin.around else None


def _reduced(rgb: np.ndarray) -> np.ndarray:
    """The image (H, W, 3), averaged over whole blocks of pixels until it is at most ``MAX_WIDTH`` wide."""
    block = -(-rgb.shape[1] // MAX_WIDTH)
    height, width = (side // block * block for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[:height, :width].reshape(height // block, block, width // block, block, 3).mean((1, 3)), np.float32)


def _rotation(node: bpy.types.Node) -> np.ndarray | None:
    """The rotation (3, 3) between world and image directions; None where something else than a rotation places the image."""
    matrix = np.eye(4)
    origin = origin_of(node.inputs["Vector"])
    while origin is not None and origin.node.type == "MAPPING":
        step = mapping_matrix(origin.node)
        if step is None:
            return None
        matrix = matrix @ step
        origin = origin_of(origin.node.inputs["Vector"], origin.around)
        if origin is None:
            return None  # a Mapping node without input maps a constant
    if origin is not None and (origin.node.type != "TEX_COORD" or origin.socket.name != "Generated"):
        return None
    turn = matrix[:3, :3]
    scale = np.cbrt(np.linalg.det(turn))
    rigid = scale > 1e-6 and np.abs(turn.T @ turn / scale**2 - np.eye(3)).max() < 1e-4 and np.abs(matrix[:3, 3]).max() < 1e-6
    return turn / scale if rigid else None


def _read_image(world: bpy.types.World, node: bpy.types.Node, strength: float) -> tuple[World, list[str]]:
    try:
        image = _reduced(read_image(node.image)[0][..., :3])
    except SceneProblem as problem:
        raise SceneProblem("World '{name}': {problem}", name=world.name, problem=problem) from problem
    weights = pixel_solid_angles(*image.shape[:2])[..., None] / (4 * np.pi)
    mean = (image * weights).sum((0, 1)) * strength
    turn = _rotation(node)
    if turn is None or node.projection != "EQUIRECTANGULAR":
        return World(mean.astype(np.float32)), [
            told(
                "World '{name}' places its image by more than a rotation, or is no equirectangular image; its average colour is used",
                name=world.name,
            )
        ]
    return World(mean.astype(np.float32), image, np.array(strength, np.float32), turn.astype(np.float32)), []


def read_world(world: bpy.types.World | None) -> tuple[World, list[str]]:
    """Background light, black without a world, and warnings.

    Raises:
        SceneProblem: The world's image is missing or unreadable.
    """
    if world is None:
        return World(np.zeros(3, np.float32)), []
    node = background_node(world)
    if node is None:
        warnings = (
            [told("World '{name}' has no Background node; its viewport colour is used", name=world.name)] if uses_nodes(world) else []
        )
        return World(np.array(world.color[:3], np.float32)), warnings
    strength = float(node.inputs["Strength"].default_value)
    warnings = []
    if node.inputs["Strength"].is_linked:
        warnings.append(
            told(
                "The strength of world '{name}' is driven by nodes; its own value {strength:.3g} is used",
                name=world.name,
                strength=strength,
            )
        )
    origin = origin_of(node.inputs["Color"])
    if origin is not None and origin.node.type == "TEX_ENVIRONMENT" and origin.node.image is not None and not origin.around:
        read, more = _read_image(world, origin.node, strength)
        return read, warnings + more
    color = node.inputs["Color"].default_value
    if origin is not None and origin.node.type == "RGB":
        color = origin.socket.default_value
    elif origin is not None:
        warnings.append(
            told(
                "The colour of world '{name}' comes from a {node} node; the Background node's own colour is used",
                name=world.name,
                node=told(origin.node.bl_label),
            )
        )
    return World((np.array(color[:3], np.float64) * strength).astype(np.float32)), warnings


def write_world(world: bpy.types.World, value: World) -> None:
    """Sets colour, or image, rotation and strength of the world's Background node: the inverse of ``read_world``.

    Harmonics become an image of their own, which is how Blender can show them. A colour keeps the node's strength unless that is zero.
    """
    node = background_node(world)
    if node is None:
        world.color = np.asarray(value.radiance, np.float64).tolist()
        return
    if value.harmonics is not None:
        _write_image(world, node, from_harmonics(value.harmonics, *HARMONICS_SIZE), None)
        node.inputs["Strength"].default_value = 1.0
    elif value.image is not None:
        _write_image(world, node, np.asarray(value.image), value.image_from_world)
        node.inputs["Strength"].default_value = 1.0 if value.strength is None else float(value.strength)
    else:
        _write_color(world, node, np.asarray(value.radiance, np.float64))


def _write_color(world: bpy.types.World, node: bpy.types.Node, radiance: np.ndarray) -> None:
    for link in list(node.inputs["Color"].links):
        world.node_tree.links.remove(link)
    strength = node.inputs["Strength"]
    if strength.default_value == 0:
        strength.default_value = 1
    node.inputs["Color"].default_value = (*(radiance / strength.default_value).tolist(), 1)


def _shows(node: bpy.types.Node, rgb: np.ndarray, turn: np.ndarray) -> bool:
    """Whether this environment node shows this very image, turned like this."""
    there = _rotation(node)
    same = node.image is not None and there is not None and np.abs(there - turn).max() < 1e-6 and node.projection == "EQUIRECTANGULAR"
    return same and np.array_equal(_reduced(read_image(node.image)[0][..., :3]), np.asarray(rgb, np.float32))


def _write_image(world: bpy.types.World, node: bpy.types.Node, rgb: np.ndarray, image_from_world: np.ndarray | None) -> None:
    """Gives the Background node an environment image by nodes of our own; one that shows the very same already stays."""
    tree, turn = world.node_tree, np.eye(3) if image_from_world is None else np.asarray(image_from_world, np.float64)
    origin = origin_of(node.inputs["Color"])
    if origin is not None and origin.node.type == "TEX_ENVIRONMENT" and _shows(origin.node, rgb, turn):
        return
    texture = own_node(tree, "ShaderNodeTexEnvironment", IMAGE_NAME)
    replaced = texture.image
    texture.image = write_float_image(IMAGE_NAME, rgb)
    if replaced is not None and replaced.users == 0:
        bpy.data.images.remove(replaced)
    mapping = own_node(tree, "ShaderNodeMapping", IMAGE_NAME)
    mapping.vector_type = "POINT"
    mapping.inputs["Rotation"].default_value = Matrix(turn.tolist()).to_euler("XYZ")
    tree.links.new(own_node(tree, "ShaderNodeTexCoord", IMAGE_NAME).outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], node.inputs["Color"])
