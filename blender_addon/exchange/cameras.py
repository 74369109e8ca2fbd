"""Cameras: Blender's lens, sensor fit, shift and pixel aspect ↔ focal length and centre in pixels of the photo; and its exposure."""

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.language import told
from dr_backend.scene import Camera

from .framing import FILLING, Framing
from .problems import SceneProblem

EXPOSURE, WHITE_BALANCE = "fit_to_photo_exposure", "fit_to_photo_white_balance"  # custom properties: Blender has none per camera


def rigid_matrix(obj: bpy.types.Object) -> np.ndarray:
    """``world_from_object`` with scale removed, (4, 4) float64: what Blender uses for cameras and lights.

    Raises:
        SceneProblem: The object is mirrored, sheared, or scaled to nothing.
    """
    matrix = np.array(obj.matrix_world, np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all():
        raise SceneProblem("'{name}' is at a place that is not a number: check its location, constraints and drivers", name=obj.name)
    if lengths.min() < 1e-12:
        raise SceneProblem("'{name}' is scaled to nothing: give it a scale of 1", name=obj.name)
    matrix[:3, :3] /= lengths
    if np.linalg.det(matrix[:3, :3]) < 0:
        raise SceneProblem("'{name}' is mirrored by a negative scale: apply its scale", name=obj.name)
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() > 1e-3:
        raise SceneProblem("'{name}' is sheared by its parent's scale: apply the parent's scale", name=obj.name)
    return matrix


def write_rigid_matrix(obj: bpy.types.Object, matrix: np.ndarray) -> None:
    """Moves the object to a rigid ``world_from_object`` (4, 4); its scale stays, and so do its parents."""
    lengths = np.linalg.norm(np.array(obj.matrix_world, np.float64)[:3, :3], axis=0)
    scaled = np.array(matrix, np.float64)
    scaled[:3, :3] *= lengths
    obj.matrix_world = Matrix(scaled.tolist())


def _sensor_mm(data: bpy.types.Camera) -> float:
    """Size of the sensor along the side of the frame that it spans; Auto means the width, whichever side that is."""
    return data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width


def read_camera(
    obj: bpy.types.Object, photo_size: tuple[int, int], pixel_aspect: tuple[float, float] = (1.0, 1.0), framing: Framing = FILLING
) -> Camera:
    """The camera as it projects onto a photo of ``photo_size`` (width, height) pixels that lies in its frame as ``framing`` says.

    ``pixel_aspect`` is the scene's (x, y). A photo that is scaled or moved in the frame is seen by a camera of another focal length and
    centre, a turned one by a rolled camera: nothing is resampled.

    Raises:
        SceneProblem: The camera is panoramic, mirrored or sheared.
    """
    data = obj.data
    if data.type not in ("PERSP", "ORTHO"):
        kind = told("panoramic") if data.type == "PANO" else data.type.lower()
        raise SceneProblem("Camera '{name}' is {kind}: set its lens type to Perspective or Orthographic", name=obj.name, kind=kind)
    placement = framing.place(photo_size, pixel_aspect[1] / pixel_aspect[0], data.sensor_fit)
    focal = 1 / data.ortho_scale if data.type == "ORTHO" else data.lens / _sensor_mm(data)
    centre = placement.to_pixel(np.array([-data.shift_x, -data.shift_y]), photo_size)
    return Camera(
        camera_from_world=(placement.roll @ np.linalg.inv(rigid_matrix(obj))).astype(np.float32),
        focal_px=(focal / placement.step).astype(np.float32),
        centre_px=centre.astype(np.float32),
        size=(int(photo_size[0]), int(photo_size[1])),
        projection="orthographic" if data.type == "ORTHO" else "perspective",
        near=float(data.clip_start),
        exposure=_read_property(obj, EXPOSURE),
        white_balance=_read_property(obj, WHITE_BALANCE),
    )


def _read_property(obj: bpy.types.Object, key: str) -> np.ndarray | None:
    value = obj.get(key)
    return None if value is None else np.array(value, np.float32)


def _write_property(obj: bpy.types.Object, key: str, value: Any | None) -> None:
    if value is not None:
        obj[key] = np.asarray(value, np.float64).tolist()
    elif key in obj:
        del obj[key]


def write_camera(obj: bpy.types.Object, camera: Camera, framing: Framing = FILLING) -> None:
    """Sets lens (or orthographic scale), shift, clip start and transform: the inverse of ``read_camera``.

    Sensor size and sensor fit stay as the artist chose them. Where the photo fills the frame, the pixel aspect is that of ``focal_px``.
    """
    data = obj.data
    focal = np.asarray(camera.focal_px, np.float64)
    placement = framing.place(camera.size, focal[0] / focal[1], data.sensor_fit)
    if camera.projection == "orthographic":
        data.type = "ORTHO"
        data.ortho_scale = 1 / (focal[0] * placement.step[0])
    else:
        data.type = "PERSP"
        data.lens = focal[0] * placement.step[0] * _sensor_mm(data)
    data.shift_x, data.shift_y = -placement.from_pixel(np.asarray(camera.centre_px, np.float64), camera.size)
    data.clip_start = camera.near
    _write_property(obj, EXPOSURE, camera.exposure)
    _write_property(obj, WHITE_BALANCE, camera.white_balance)
    write_rigid_matrix(obj, np.linalg.inv(placement.roll.T @ np.asarray(camera.camera_from_world, np.float64)))


def write_focal_px(data: bpy.types.Camera, focal_px: float, photo_size: tuple[int, int]) -> None:
    """Sets the lens so that a photo of ``photo_size`` with square pixels, filling the camera's frame, has this focal length."""
    data.lens = focal_px * FILLING.place(photo_size, 1.0, data.sensor_fit).step[0] * _sensor_mm(data)
