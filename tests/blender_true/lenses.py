"""Lens distortion: Cycles renders a larger and finer picture, which is bent here as libmv, Blender's tracker, bends it."""

import tempfile
from pathlib import Path

import bpy
import numpy as np

from .fixture import OUTLINE, TEXTURE, fixture
from .studio import Studio

FINE = 4  # pixels of Cycles' picture along a pixel of the photo
BEYOND = 1.75  # how much wider Cycles' picture is than the photo: a barrel lens sees more than a straight one
_FOCAL_PX, _CENTRE_PX = 130.0, (60.0, 52.0)  # of the tracking camera, which is not Blender's camera; y up


def _bend(x: np.ndarray, y: np.ndarray, lens: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """libmv's polynomial and Brown models: from places without distortion to those with it, y up."""
    k1, k2, k3 = (lens.get(f"k{i}", lens.get(f"brown_k{i}", 0.0)) for i in (1, 2, 3))
    p1, p2 = lens.get("brown_p1", 0.0), lens.get("brown_p2", 0.0)
    r2 = x * x + y * y
    radial = 1 + ((k3 * r2 + k2) * r2 + k1) * r2
    return x * radial + p1 * (r2 + 2 * x * x) + 2 * p2 * x * y, y * radial + p2 * (r2 + 2 * y * y) + 2 * p1 * x * y


def _bent(large: np.ndarray, size: tuple[int, int], lens: dict[str, float]) -> np.ndarray:
    """The photo (H, W, 4) that such a lens takes of what the large picture shows: the mean of many places in each pixel."""
    width, height = size
    seen_x = ((np.arange(width * FINE) + 0.5) / FINE - _CENTRE_PX[0]) / _FOCAL_PX
    seen_y = (height - (np.arange(height * FINE) + 0.5) / FINE - _CENTRE_PX[1]) / _FOCAL_PX
    seen_x, seen_y = np.meshgrid(seen_x, seen_y)
    x, y = seen_x, seen_y
    for _ in range(100):  # backwards by repeated correction
        found_x, found_y = _bend(x, y, lens)
        x, y = x + seen_x - found_x, y + seen_y - found_y
    across = (x * _FOCAL_PX + _CENTRE_PX[0] - width / 2) * FINE + large.shape[1] / 2 - 0.5
    down = (height / 2 - y * _FOCAL_PX - _CENTRE_PX[1]) * FINE + large.shape[0] / 2 - 0.5
    column, row = np.floor(across).astype(int), np.floor(down).astype(int)
    assert min(column.min(), row.min()) >= 0, "the larger picture is not large enough"
    assert column.max() < large.shape[1] - 1
    assert row.max() < large.shape[0] - 1
    u, v = (across - column)[..., None], (down - row)[..., None]
    upper = large[row, column] * (1 - u) + large[row, column + 1] * u
    lower = large[row + 1, column] * (1 - u) + large[row + 1, column + 1] * u
    return (upper * (1 - v) + lower * v).reshape(height, FINE, width, FINE, 4).mean((1, 3)).astype(np.float32)


def _see_through(studio: Studio, model: str, **lens: float) -> None:
    """Makes the photo a movie clip with such a lens."""
    render, data = studio.scene.render, studio.camera.data
    size = render.resolution_x, render.resolution_y
    folder = tempfile.TemporaryDirectory()

    def show_clip() -> None:
        background = data.background_images[0]
        image = background.image
        image.filepath_raw, image.file_format = str(Path(folder.name) / "photo.png"), "PNG"
        image.save()
        clip = bpy.data.movieclips.load(image.filepath)
        camera = clip.tracking.camera
        camera.distortion_model, camera.pixel_aspect, camera.focal_length_pixels = model, 1.0, _FOCAL_PX
        camera.principal_point_pixels = _CENTRE_PX
        for name, value in lens.items():
            setattr(camera, name, value)
        background.clip, background.source = clip, "MOVIE_CLIP"

    def enlarge() -> None:
        render.resolution_x, render.resolution_y = (round(side * BEYOND) * FINE for side in size)
        data.sensor_width, data.sensor_height = data.sensor_width * BEYOND, data.sensor_height * BEYOND
        folder.cleanup()

    studio.with_photo, studio.before_cycles = show_clip, enlarge
    studio.after_cycles = lambda large: _bent(large, size, lens)


_BARREL = {"k1": -0.35, "k2": 0.12, "k3": -0.02}
_PINCUSHION = {"k1": 0.3, "k2": 0.1}
_BROWN = {"brown_k1": -0.3, "brown_k2": 0.08, "brown_k3": 0.01, "brown_p1": 0.03, "brown_p2": -0.04}
_LENSES = {"barrel": ("POLYNOMIAL", _BARREL), "pincushion": ("POLYNOMIAL", _PINCUSHION), "Brown with tangential": ("BROWN", _BROWN)}


@fixture("cameras", OUTLINE, variants=list(_LENSES), lit=False, samples=6)
def lens_distortion_of_a_cube(studio: Studio, variant: str) -> None:
    studio.box()
    studio.aim((2.6, -3.6, 2.6))
    _see_through(studio, _LENSES[variant][0], **_LENSES[variant][1])


@fixture("cameras", OUTLINE, variants=list(_LENSES), lit=False, samples=6)
def lens_distortion_of_a_ball(studio: Studio, variant: str) -> None:
    studio.ball(smooth=False).location = (0.5, 0, 0.7)
    studio.aim((0, -3.6, 1))
    _see_through(studio, _LENSES[variant][0], **_LENSES[variant][1])


@fixture("textures", TEXTURE, variants=["barrel", "Brown with tangential"], lit=False, samples=6, supersample=4)
def two_triangles_through_a_lens(studio: Studio, variant: str) -> None:
    material = studio.diffuse()
    studio.image_node(material, studio.picture())
    studio.plane(material, half=3)
    studio.aim((0.5, -3, 2.5))
    _see_through(studio, _LENSES[variant][0], **_LENSES[variant][1])
