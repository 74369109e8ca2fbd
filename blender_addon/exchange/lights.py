"""Lamps: Blender's power, colour, exposure, temperature and size ↔ those of the scene."""

from dataclasses import replace

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Light

from .cameras import rigid_matrix, write_rigid_matrix
from .identity import uses_nodes
from .problems import SceneProblem
from .sources import origin_of

_TEMPERATURE = "use_temperature"  # Blender 4.5 and later, with exposure


def _emission(data: bpy.types.Light) -> np.ndarray | None:
    """What the lamp's nodes multiply its light by, (3,): the colour and strength of an Emission node; None where other nodes act."""
    if not uses_nodes(data) or data.node_tree is None:
        return np.ones(3)
    output = data.node_tree.get_output_node("ALL")
    origin = None if output is None else origin_of(output.inputs["Surface"])
    if origin is None or origin.around or origin.node.type != "EMISSION" or any(socket.is_linked for socket in origin.node.inputs):
        return None
    inputs = origin.node.inputs
    return np.array(inputs["Color"].default_value[:3], np.float64) * inputs["Strength"].default_value


def _tint(data: bpy.types.Light) -> np.ndarray:
    """What temperature and nodes multiply the lamp's colour by, (3,)."""
    warmth = np.array(data.temperature_color[:3], np.float64) if getattr(data, _TEMPERATURE, False) else np.ones(3)
    emission = _emission(data)
    return warmth if emission is None else warmth * emission


def read_light(obj: bpy.types.Object) -> tuple[Light, list[str]]:
    """The lamp with exposure, temperature and its Emission node folded in, and warnings.

    Raises:
        SceneProblem: The object is no light, or is mirrored or sheared.
    """
    if obj.type != "LIGHT":
        raise SceneProblem("'{name}' is not a light: choose a point, sun, spot or area light", name=obj.name)
    data = obj.data
    warnings = []
    if _emission(data) is None:
        warnings.append(told("The nodes of light '{name}' are not carried, only its colour and power", name=obj.name))
    if getattr(data, "normalize", True) is False:
        warnings.append(
            told("Light '{name}' has Normalize off, which the fit does not know; turn it on if the light looks off", name=obj.name)
        )
    light = Light(
        world_from_light=rigid_matrix(obj).astype(np.float32),
        color=(np.array(data.color[:], np.float64) * _tint(data)).astype(np.float32),
        power=np.array(data.energy * 2.0 ** getattr(data, "exposure", 0.0), np.float32),
        kind=data.type.lower(),
        casts_shadow=bool(data.use_shadow),
    )
    if data.type == "SUN":
        return replace(light, angle_rad=np.array(data.angle, np.float32)), warnings
    if data.type == "AREA":
        shape = "ellipse" if data.shape in ("DISK", "ELLIPSE") else "rectangle"
        return replace(light, size=_area_size(obj).astype(np.float32), shape=shape, spread_rad=float(data.spread)), warnings
    light = replace(light, radius=np.array(data.shadow_soft_size, np.float32), soft_falloff=bool(getattr(data, "use_soft_falloff", True)))
    if data.type == "SPOT":
        if np.ptp(_scales(obj)) > 1e-3 * _scales(obj).max():
            warnings.append(told("Spot light '{name}' is scaled unevenly; its cone is treated as round", name=obj.name))
        light = replace(light, spot_angle_rad=float(data.spot_size), spot_blend=float(data.spot_blend))
    return light, warnings


def _scales(obj: bpy.types.Object) -> np.ndarray:
    """The object's scale along its own axes in the world, (3,)."""
    return np.linalg.norm(np.array(obj.matrix_world, np.float64)[:3, :3], axis=0)


def _area_size(obj: bpy.types.Object) -> np.ndarray:
    """Width and height of an area light in world units, (2,)."""
    data = obj.data
    height = data.size if data.shape in ("SQUARE", "DISK") else data.size_y
    return np.array([data.size, height], np.float64) * _scales(obj)[:2]


def write_light(obj: bpy.types.Object, light: Light) -> None:
    """Sets colour, power, size, cone and transform of a lamp of the same kind: the inverse of ``read_light``.

    Exposure, temperature, nodes and scale stay; a square or disk that became oblong turns into a rectangle or ellipse.
    """
    data = obj.data
    tint = _tint(data)
    data.color = np.divide(np.asarray(light.color, np.float64), tint, out=np.zeros(3), where=tint > 0).tolist()
    data.energy = float(light.power) / 2.0 ** getattr(data, "exposure", 0.0)
    data.use_shadow = light.casts_shadow
    if light.kind == "spot":
        data.spot_size, data.spot_blend = light.spot_angle_rad, light.spot_blend
    if light.radius is not None:
        data.shadow_soft_size = float(light.radius)
        if hasattr(data, "use_soft_falloff"):
            data.use_soft_falloff = light.soft_falloff
    if light.angle_rad is not None:
        data.angle = float(light.angle_rad)
    if light.size is not None:
        _write_area(obj, light)
    write_rigid_matrix(obj, np.asarray(light.world_from_light))


def _write_area(obj: bpy.types.Object, light: Light) -> None:
    data = obj.data
    size = np.asarray(light.size, np.float64) / _scales(obj)[:2]
    oblong = abs(size[0] - size[1]) > 1e-6 * size.max()
    even, uneven = ("DISK", "ELLIPSE") if light.shape == "ellipse" else ("SQUARE", "RECTANGLE")
    if oblong or data.shape not in (even, uneven):
        data.shape = uneven if oblong else even
    data.size, data.size_y = size.tolist()
    data.spread = light.spread_rad
