"""``transforms.json`` of NeRF, Instant NGP and Nerfstudio: cameras in Blender's own axes. No bpy."""

import json
import math
from typing import Any

import numpy as np

from .distortion import Distortion
from .poses import PosedPhoto
from .problems import SceneProblem

_COEFFICIENTS = ("k1", "k2", "k3", "p1", "p2")


def load_transforms(path: str) -> list[PosedPhoto]:
    """The photos that the file lists; lens values of a frame win over those of the whole file.

    Raises:
        SceneProblem: The file cannot be read or is not of this kind, or a lens has no counterpart in Blender.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return [_photo({**data, **frame}) for frame in data["frames"]]
    except OSError as error:
        raise SceneProblem("{path} cannot be read: {reason}", path=path, reason=error.strerror or error) from error
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, np.linalg.LinAlgError, RecursionError) as error:
        raise SceneProblem(
            "{path} is damaged or no transforms.json: it needs frames with file_path and transform_matrix", path=path
        ) from error


def _photo(given: dict[str, Any]) -> PosedPhoto:
    name = str(given["file_path"]).removeprefix("./")
    if "FISHEYE" in str(given.get("camera_model", "")) or given.get("is_fisheye") or given.get("k4"):
        raise SceneProblem(
            "The camera of '{name}' is a fisheye, which has no counterpart in Blender: undistort the photos first", name=name
        )
    size = (int(given["w"]), int(given["h"])) if "w" in given and "h" in given else None
    focal, in_widths = _focal(given, size)
    centre = np.array([given["cx"], given["cy"]], np.float64) if "cx" in given and "cy" in given else None
    world_from_camera = np.array(given["transform_matrix"], np.float64)
    if world_from_camera.shape == (3, 4):
        world_from_camera = np.vstack([world_from_camera, (0, 0, 0, 1)])
    if world_from_camera.shape != (4, 4):
        raise ValueError("not a matrix")
    scale = abs(np.linalg.det(world_from_camera[:3, :3])) ** (1 / 3)
    world_from_camera[:3, :3] /= scale  # Blender's own exports keep the camera object's scale
    distortion = Distortion(**{key: float(given[key]) for key in _COEFFICIENTS if key in given})
    return PosedPhoto(name, size, focal, centre, np.linalg.inv(world_from_camera), distortion, in_widths)


def _focal(given: dict[str, Any], size: tuple[int, int] | None) -> tuple[np.ndarray, bool]:
    """Focal lengths (2,), and whether they are in widths of the picture instead of pixels."""
    if "fl_x" in given:
        return np.array([given["fl_x"], given.get("fl_y", given["fl_x"])], np.float64), False
    across = 0.5 / math.tan(float(given["camera_angle_x"]) / 2)
    if size is None:
        return np.array([across, across]), True
    upwards = size[1] / 2 / math.tan(float(given["camera_angle_y"]) / 2) if "camera_angle_y" in given else across * size[0]
    return np.array([across * size[0], upwards]), False
