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
from .sources import mapping_matrix, node_words, origin_of
from .world_picture import picture_world

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


def _with_image(image: np.ndarray, strength: float, turn: np.ndarray) -> World:
    """The world that an environment image (H, W, 3) makes."""
    weights = pixel_solid_angles(*image.shape[:2])[..., None] / (4 * np.pi)
    mean = (image * weights).sum((0, 1)) * strength
    return World(mean.astype(np.float32), image, np.array(strength, np.float32), turn.astype(np.float32))


def _read_plain(node: bpy.types.Node, name: str) -> World | str:
    """The world of a Background node: a colour, or an image that is only turned. Else what is in the way, as words."""
    if node.inputs["Strength"].is_linked:
        return told("nodes that feed its strength")
    strength, origin = float(node.inputs["Strength"].default_value), origin_of(node.inputs["Color"])
    if origin is None or origin.node.type == "RGB":
        color = (node.inputs["Color"] if origin is None else origin.socket).default_value
        return World((np.array(color[:3], np.float64) * strength).astype(np.float32))
    if origin.node.type != "TEX_ENVIRONMENT" or origin.node.image is None or origin.around:
        return told("a {node} node", node=node_words(origin.node))
    turn = _rotation(origin.node)
    if turn is None or origin.node.projection != "EQUIRECTANGULAR":
        return told("an image that is placed by more than a rotation, or is no equirectangular one")
    try:
        return _with_image(_reduced(read_image(origin.node.image)[0][..., :3]), strength, turn)
    except SceneProblem as problem:
        raise SceneProblem("World '{name}': {problem}", name=name, problem=problem) from problem


def read_world(world: bpy.types.World | None) -> tuple[World, list[str]]:
    """Background light, black without a world, and warnings. Nodes that have no counterpart are rendered to an image.

    Raises:
        SceneProblem: The world's image is missing or unreadable.
    """
    if world is None:
        return World(np.zeros(3, np.float32)), []
    if not uses_nodes(world):
        return World(np.array(world.color[:3], np.float32)), []
    node = background_node(world)
    read = told("other nodes than a Background") if node is None else _read_plain(node, world.name)
    if isinstance(read, World):
        return read, []
    picture = picture_world(world)
    if picture is not None:
        said = told("World '{name}' has {what}: it is rendered to an image first", name=world.name, what=read)
        return _with_image(picture, 1.0, np.eye(3)), [said]
    if node is None:
        said = told("World '{name}' has {what}, which the fit does not see; its viewport colour is used", name=world.name, what=read)
        return World(np.array(world.color[:3], np.float32)), [said]
    color, strength = (np.array(node.inputs[name].default_value, np.float64) for name in ("Color", "Strength"))
    said = told("World '{name}' has {what}, which the fit does not see; its Background's own values are used", name=world.name, what=read)
    return World((color[:3] * strength).astype(np.float32)), [said]


def write_world(world: bpy.types.World, value: World) -> None:
    """Sets colour, or image, rotation and strength of the world's Background node: the inverse of ``read_world``.

    Harmonics become an image of their own, which is how Blender can show them. A colour keeps the node's strength unless that is zero.
    """
    node = background_node(world)
    if node is None:
        world.color = np.asarray(value.radiance, np.float64).tolist()
        return
    for link in list(node.inputs["Strength"].links):
        world.node_tree.links.remove(link)
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
