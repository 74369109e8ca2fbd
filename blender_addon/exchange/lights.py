"""Lights and world: Blender's power, colour, exposure and temperature ↔ power and colour of the scene."""

import bpy
import numpy as np

from dr_backend.scene import Light, World

from .cameras import rigid_matrix, write_rigid_matrix
from .identity import uses_nodes
from .images import read_image
from .problems import SceneProblem

_TEMPERATURE = "use_temperature"  # Blender 4.5 and later, with exposure


def _temperature_color(data: bpy.types.Light) -> np.ndarray:
    if getattr(data, _TEMPERATURE, False):
        return np.array(data.temperature_color[:3], np.float64)
    return np.ones(3)


def read_light(obj: bpy.types.Object) -> tuple[Light, list[str]]:
    """The lamp with exposure and temperature folded in, and warnings.

    Raises:
        SceneProblem: The object is no light, or is mirrored or sheared.
    """
    if obj.type != "LIGHT":
        raise SceneProblem(f"'{obj.name}' is not a light: choose a point, sun, spot or area light")
    data = obj.data
    warnings = []
    if data.use_nodes and data.node_tree is not None and any(n.type not in ("EMISSION", "OUTPUT_LIGHT") for n in data.node_tree.nodes):
        warnings.append(f"The nodes of light '{obj.name}' are not carried, only its colour and power")
    if getattr(data, "normalize", True) is False:
        warnings.append(f"Light '{obj.name}' has Normalize off, which the fit does not know; turn it on if the light looks off")
    light = Light(
        world_from_light=rigid_matrix(obj).astype(np.float32),
        color=(np.array(data.color[:], np.float64) * _temperature_color(data)).astype(np.float32),
        power=np.array(data.energy * 2.0 ** getattr(data, "exposure", 0.0), np.float32),
        kind=data.type.lower(),
        spot_angle_rad=float(data.spot_size) if data.type == "SPOT" else 0.785398,
        spot_blend=float(data.spot_blend) if data.type == "SPOT" else 0.15,
    )
    return light, warnings


def write_light(obj: bpy.types.Object, light: Light) -> None:
    """Sets colour, power, cone and transform of a lamp of the same kind: the inverse of ``read_light``. Exposure and temperature stay."""
    data = obj.data
    temperature = _temperature_color(data)
    data.color = np.divide(np.asarray(light.color, np.float64), temperature, out=np.zeros(3), where=temperature > 0).tolist()
    data.energy = float(light.power) / 2.0 ** getattr(data, "exposure", 0.0)
    if light.kind == "spot":
        data.spot_size, data.spot_blend = light.spot_angle_rad, light.spot_blend
    write_rigid_matrix(obj, np.asarray(light.world_from_light))


def _background(world: bpy.types.World) -> bpy.types.Node | None:
    output = world.node_tree.get_output_node("ALL") if uses_nodes(world) and world.node_tree is not None else None
    links = output.inputs["Surface"].links if output is not None else ()
    node = links[0].from_node if links else None
    return node if node is not None and node.type == "BACKGROUND" else None


def _average(image: bpy.types.Image) -> np.ndarray:
    """Mean over the sphere of an equirectangular image (H, W): rows near the poles count for less."""
    rgb = read_image(image)[0][..., :3].astype(np.float64)
    weights = np.sin(np.pi * (np.arange(len(rgb)) + 0.5) / len(rgb))
    return (rgb.mean(1) * weights[:, None]).sum(0) / weights.sum()


def read_world(world: bpy.types.World | None) -> tuple[World, list[str]]:
    """Uniform background light, black without a world, and warnings. An image is averaged over the sphere.

    Raises:
        SceneProblem: The world's image is missing or unreadable.
    """
    if world is None:
        return World(np.zeros(3, np.float32)), []
    node = _background(world)
    if node is None:
        warnings = [f"World '{world.name}' has no Background node; its viewport colour is used"] if uses_nodes(world) else []
        return World(np.array(world.color[:3], np.float32)), warnings
    socket, strength = node.inputs["Color"], node.inputs["Strength"].default_value
    warnings = []
    color = np.array(socket.default_value[:3], np.float64)
    if node.inputs["Strength"].is_linked:
        warnings.append(f"The strength of world '{world.name}' is driven by nodes; its own value {strength:.3g} is used")
    if socket.is_linked:
        source = socket.links[0].from_node
        if source.type == "TEX_ENVIRONMENT" and source.image is not None:
            try:
                color = _average(source.image)
            except SceneProblem as problem:
                raise SceneProblem(f"World '{world.name}': {problem}") from problem
            warnings.append(f"World '{world.name}' is lit by an image; its average colour is used")
        else:
            warnings.append(f"The colour of world '{world.name}' comes from nodes; the Background node's own colour is used")
    return World((color * strength).astype(np.float32)), warnings


def write_world(world: bpy.types.World, value: World) -> None:
    """Sets the colour of an unlinked Background node (or of a world without nodes): the inverse of ``read_world``. Strength stays."""
    radiance = np.asarray(value.radiance, np.float64)
    node = _background(world)
    if node is None:
        world.color = radiance.tolist()
        return
    strength = node.inputs["Strength"]
    if strength.default_value == 0:
        strength.default_value = 1
    node.inputs["Color"].default_value = (*(radiance / strength.default_value).tolist(), 1)
