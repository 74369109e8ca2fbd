"""Photos made smaller, with the cameras that took them. No bpy."""

from dataclasses import replace

import numpy as np

from dr_backend.scene import Camera, Photo

_MEASURES = ("focal_px", "centre_px", "distortion_focal_px", "distortion_centre_px")


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image (H, W, K) averaged over the pixels of another size: exact box filter, float32."""
    for axis, size in ((0, height), (1, width)):
        count = image.shape[axis]
        if count == size:
            continue
        moved = np.moveaxis(image, axis, 0)
        edges = np.linspace(0, count, size + 1)
        first = edges.astype(np.int64)  # pixels in which the edges lie; the last edge lies behind them all
        before = np.take(moved, first, 0, mode="clip") * (edges - first).astype(np.float32)[:, None, None]  # their parts before the edges
        total = np.add.reduceat(moved, first[:-1], 0, dtype=np.float32)
        total[np.diff(first) == 0] = 0  # between two edges in one pixel reduceat does not sum up nothing
        image = np.moveaxis((total + np.diff(before, axis=0)) * np.float32(size / count), 0, axis)
    return image


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
    factor = np.array(size) / np.array(camera.size)
    return replace(camera, size=size, **{n: (v * factor).astype(v.dtype) for n in _MEASURES if (v := getattr(camera, n)) is not None})
