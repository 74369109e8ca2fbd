"""Cameras: Blender's lens, sensor fit, shift and pixel aspect ↔ focal length and centre in pixels of the photo."""

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.scene import Camera

from .problems import SceneProblem


def rigid_matrix(obj: bpy.types.Object) -> np.ndarray:
    """``world_from_object`` with scale removed, (4, 4) float64: what Blender uses for cameras and lights.

    Raises:
        SceneProblem: The object is mirrored, sheared, or scaled to nothing.
    """
    matrix = np.array(obj.matrix_world, np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or lengths.min() < 1e-12:
        raise SceneProblem(f"'{obj.name}' is scaled to nothing: give it a scale of 1")
    matrix[:3, :3] /= lengths
    if np.linalg.det(matrix[:3, :3]) < 0:
        raise SceneProblem(f"'{obj.name}' is mirrored by a negative scale: apply its scale")
    if np.abs(matrix[:3, :3].T @ matrix[:3, :3] - np.eye(3)).max() > 1e-3:
        raise SceneProblem(f"'{obj.name}' is sheared by its parent's scale: apply the parent's scale")
    return matrix


def write_rigid_matrix(obj: bpy.types.Object, matrix: np.ndarray) -> None:
    """Moves the object to a rigid ``world_from_object`` (4, 4); its scale stays, and so do its parents."""
    lengths = np.linalg.norm(np.array(obj.matrix_world, np.float64)[:3, :3], axis=0)
    scaled = np.array(matrix, np.float64)
    scaled[:3, :3] *= lengths
    obj.matrix_world = Matrix(scaled.tolist())


def _fit_pixels(data: bpy.types.Camera, width: int, height: int, pixel_ratio: float) -> tuple[float, float]:
    """The side that the sensor spans, in pixel widths, and the sensor's size along it in millimetres.

    ``pixel_ratio`` is a pixel's height divided by its width.
    """
    fit = data.sensor_fit
    sensor_mm = data.sensor_height if fit == "VERTICAL" else data.sensor_width
    if fit == "AUTO":
        fit = "HORIZONTAL" if width >= height * pixel_ratio else "VERTICAL"
    return (float(width) if fit == "HORIZONTAL" else height * pixel_ratio), sensor_mm


def read_camera(obj: bpy.types.Object, photo_size: tuple[int, int], pixel_aspect: tuple[float, float] = (1.0, 1.0)) -> Camera:
    """The camera as it projects onto a photo of ``photo_size`` (width, height) pixels.

    ``pixel_aspect`` is the scene's (x, y). The photo's aspect decides what sensor fit Auto means, not the scene's resolution.

    Raises:
        SceneProblem: The camera is panoramic, mirrored or sheared.
    """
    data = obj.data
    if data.type not in ("PERSP", "ORTHO"):
        raise SceneProblem(f"Camera '{obj.name}' is {data.type.lower()}: set its lens type to Perspective or Orthographic")
    width, height = photo_size
    ratio = pixel_aspect[1] / pixel_aspect[0]
    side, sensor_mm = _fit_pixels(data, width, height, ratio)
    focal = side / data.ortho_scale if data.type == "ORTHO" else data.lens * side / sensor_mm
    return Camera(
        camera_from_world=np.linalg.inv(rigid_matrix(obj)).astype(np.float32),
        focal_px=np.array([focal, focal / ratio], np.float32),
        centre_px=np.array([width / 2 - data.shift_x * side, height / 2 + data.shift_y * side / ratio], np.float32),
        size=(int(width), int(height)),
        projection="orthographic" if data.type == "ORTHO" else "perspective",
        near=float(data.clip_start),
    )


def write_focal_px(data: bpy.types.Camera, focal_px: float, photo_size: tuple[int, int]) -> None:
    """Sets the lens so that a photo of ``photo_size`` with square pixels, filling the camera's frame, has this focal length."""
    side, sensor_mm = _fit_pixels(data, *photo_size, 1.0)
    data.lens = focal_px * sensor_mm / side


def write_camera(obj: bpy.types.Object, camera: Camera) -> None:
    """Sets lens (or orthographic scale), shift, clip start and transform: the inverse of ``read_camera``.

    The pixel aspect is that of ``focal_px``; sensor size and sensor fit stay as the artist chose them.
    """
    data = obj.data
    width, height = camera.size
    focal = np.asarray(camera.focal_px, np.float64)
    centre = np.asarray(camera.centre_px, np.float64)
    ratio = focal[0] / focal[1]
    side, sensor_mm = _fit_pixels(data, width, height, ratio)
    if camera.projection == "orthographic":
        data.type = "ORTHO"
        data.ortho_scale = side / focal[0]
    else:
        data.type = "PERSP"
        data.lens = focal[0] * sensor_mm / side
    data.shift_x = (width / 2 - centre[0]) / side
    data.shift_y = (centre[1] - height / 2) * ratio / side
    data.clip_start = camera.near
    write_rigid_matrix(obj, np.linalg.inv(np.asarray(camera.camera_from_world, np.float64)))
