"""COLMAP's sparse models, text and binary, as its manual's page on the output format describes them. No bpy."""

import os
import struct
from typing import Any

import numpy as np

from dr_backend.language import told

from .distortion import Distortion
from .poses import PosedPhoto
from .problems import SceneProblem

# Number in binary files → name and parameters; models that are missing here bend light in ways that Blender's Brown model cannot.
_MODELS = {
    0: ("SIMPLE_PINHOLE", "f cx cy"),
    1: ("PINHOLE", "fx fy cx cy"),
    2: ("SIMPLE_RADIAL", "f cx cy k1"),
    3: ("RADIAL", "f cx cy k1 k2"),
    4: ("OPENCV", "fx fy cx cy k1 k2 p1 p2"),
    6: ("FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
}
_PARAMETERS = dict(_MODELS.values())
_OTHER_MODELS = {5: "OPENCV_FISHEYE", 7: "FOV", 8: "SIMPLE_RADIAL_FISHEYE", 9: "RADIAL_FISHEYE", 10: "THIN_PRISM_FISHEYE"}
_CAMERA_FROM_COLMAP = np.diag([1.0, -1.0, -1.0, 1.0])  # COLMAP's cameras look along +z, y down


def is_colmap(path: str) -> bool:
    """Whether the path is a file of a COLMAP model, or the folder of one."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    return (path == folder or os.path.basename(path).startswith(("cameras.", "images."))) and _ending(folder) is not None


def _ending(folder: str) -> str | None:
    endings = (".bin", ".txt")
    return next((end for end in endings if all(os.path.isfile(os.path.join(folder, name + end)) for name in ("cameras", "images"))), None)


def load_colmap(folder: str) -> list[PosedPhoto]:
    """The photos of the model in this folder, binary files first.

    Raises:
        SceneProblem: A file is missing or broken, or a camera model has no counterpart in Blender.
    """
    ending = _ending(folder)
    if ending is None:
        raise SceneProblem(
            "{folder} has no COLMAP model: choose the folder with cameras.bin and images.bin, or the .txt files", folder=folder
        )
    binary = ending == ".bin"
    path = os.path.join(folder, "cameras" + ending)
    try:
        cameras = (_load_binary_cameras if binary else _load_text_cameras)(path)
        path = os.path.join(folder, "images" + ending)
        return (_load_binary_images if binary else _load_text_images)(path, cameras)
    except OSError as error:
        raise SceneProblem("{path} cannot be read: {reason}", path=path, reason=error.strerror or error) from error
    except (struct.error, ValueError, IndexError, KeyError) as error:  # of the two parsers, which stop at the first oddity
        raise SceneProblem("{path} is damaged or not COLMAP's: export the model again", path=path) from error


def _camera(name: str, width: int, height: int, values: Any) -> dict[str, Any]:
    """What ``PosedPhoto`` needs of a camera."""
    if name not in _PARAMETERS:
        raise SceneProblem("COLMAP's camera model {name} has no counterpart in Blender: undistort the photos with COLMAP first", name=name)
    given = dict(zip(_PARAMETERS[name].split(), values, strict=True))
    if any(given.get(key, 0) for key in ("k4", "k5", "k6")):
        raise SceneProblem("COLMAP's FULL_OPENCV with k4, k5 or k6 has no counterpart in Blender: undistort the photos with COLMAP first")
    return {
        "size": (width, height),
        "focal_px": np.array([given.get("fx", given.get("f")), given.get("fy", given.get("f"))], np.float64),
        "centre_px": np.array([given["cx"], given["cy"]], np.float64),
        "distortion": Distortion(**{key: given[key] for key in ("k1", "k2", "k3", "p1", "p2") if key in given}),
    }


def _photo(name: str, quaternion: Any, translation: Any, camera: dict[str, Any]) -> PosedPhoto:
    length = np.linalg.norm(quaternion)
    if not 0.5 < length < 2:
        raise ValueError("not a rotation")
    w, x, y, z = np.asarray(quaternion, np.float64) / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return PosedPhoto(name, camera_from_world=_CAMERA_FROM_COLMAP @ matrix, **camera)


def _text_lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\r\n") for line in file if not line.startswith("#")]


def _load_text_cameras(path: str) -> dict[int, dict[str, Any]]:
    cameras = {}
    for line in _text_lines(path):
        if line.strip():
            number, name, width, height, *values = line.split()
            cameras[int(number)] = _camera(name, int(width), int(height), [float(value) for value in values])
    return cameras


def _load_text_images(path: str, cameras: dict[int, dict[str, Any]]) -> list[PosedPhoto]:
    lines = _text_lines(path)
    while lines and not lines[0].strip():
        del lines[0]
    photos = []
    for line in lines[::2]:  # every other line lists points, and may be empty
        if line.strip():
            parts = line.split(maxsplit=9)
            numbers = [float(part) for part in parts[1:8]]
            photos.append(_photo(parts[9], numbers[:4], numbers[4:], cameras[int(parts[8])]))
    return photos


class _Reader:
    """Numbers from bytes, little-endian, one after the other; reading past the end raises struct.error."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._data = file.read()
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def take_text(self) -> str:
        end = self._data.index(b"\0", self._at)  # ValueError where there is none
        text = self._data[self._at : end].decode("utf-8")
        self._at = end + 1
        return text

    def skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise struct.error("past the end")


def _load_binary_cameras(path: str) -> dict[int, dict[str, Any]]:
    reader = _Reader(path)
    cameras = {}
    for _ in range(*reader.take("Q")):
        number, model, width, height = reader.take("IiQQ")
        if model not in _MODELS:
            name = _OTHER_MODELS.get(model, told("number {model}", model=model))
            raise SceneProblem(
                "COLMAP's camera model {name} has no counterpart in Blender: undistort the photos with COLMAP first", name=name
            )
        name, parameters = _MODELS[model]
        cameras[number] = _camera(name, width, height, reader.take(f"{len(parameters.split())}d"))
    return cameras


def _load_binary_images(path: str, cameras: dict[int, dict[str, Any]]) -> list[PosedPhoto]:
    reader = _Reader(path)
    photos = []
    for _ in range(*reader.take("Q")):
        _, *pose, camera = reader.take("I7dI")
        name = reader.take_text()
        reader.skip(24 * reader.take("Q")[0])  # the points seen in it: x, y, number
        photos.append(_photo(name, pose[:4], pose[4:], cameras[camera]))
    return photos
