"""Photos made smaller, with the cameras that took them. No bpy."""

from dataclasses import replace

import numpy as np

from dr_backend.scene import Camera, Photo
from dr_backend.scene.resize import resized


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image (H, W, K) averaged over the pixels of another size: exact box filter, float32."""
    if image.shape[0] != height:
        image = _resize_rows(image, height)
    if image.shape[1] != width:
        image = _resize_rows(np.ascontiguousarray(image.swapaxes(0, 1)), width).swapaxes(0, 1)
    return image


def _resize_rows(image: np.ndarray, size: int) -> np.ndarray:
    count = len(image)
    edges = np.linspace(0, count, size + 1)
    low, high = edges[:-1], edges[1:]
    first = low.astype(np.int64)
    total = np.zeros((size, *image.shape[1:]), np.float32)
    for step in range(int((np.ceil(high) - first).max())):  # whole rows at a time: several times as fast as sums along an axis
        row = first + step
        share = np.maximum(np.minimum(high, row + 1) - np.maximum(low, row), 0) * (size / count)
        part = np.take(image, row, 0, mode="clip").astype(np.float32, copy=False)
        part *= share.astype(np.float32)[:, None, None]
        total += part
    return total


def reduced_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A picture's size with at most ``side`` pixels along the longer side."""
    shrink = min(1.0, side / max(size))
    return max(round(size[0] * shrink), 1), max(round(size[1] * shrink), 1)


def reduced(photo: Photo, side: int) -> Photo:
    """The photo and its mask with at most ``side`` pixels along the longer side. What is outside the mask does not bleed into it."""
    rgb = np.asarray(photo.rgb, np.float32)
    size = reduced_size((rgb.shape[0], rgb.shape[1]), side)
    if size == rgb.shape[:2]:
        return photo
    small = resize(rgb, *size)
    if photo.mask is None:
        return replace(photo, rgb=small)
    mask = np.asarray(photo.mask, np.float32)[..., None]
    small_mask = resize(mask, *size)
    np.divide(resize(rgb * mask, *size), small_mask, out=small, where=small_mask > 1e-3)
    return replace(photo, rgb=small, mask=small_mask[..., 0])


def resized_camera(camera: Camera, size: tuple[int, int]) -> Camera:
    """The camera of a photo that was made another ``size``: width and height in pixels."""
    if size == tuple(camera.size):
        return camera
    return resized(camera, size, (np.array(size) / np.array(camera.size)).astype(camera.focal_px.dtype))
