"""Directions: spread evenly, those of an equirectangular image's pixels, and the spherical harmonics over them. NumPy, float64."""

from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=8)
def even_directions(count: int) -> np.ndarray:
    """Unit vectors (count, 3) spread evenly over the sphere: Fibonacci's spiral."""
    index = np.arange(count)
    z, angle = 1 - (2 * index + 1) / count, index * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def pixel_directions(height: int, width: int) -> np.ndarray:
    """Unit vectors (height, width, 3) of an equirectangular image's pixel centres as Blender lays it out: +z on top, +x in the middle, +y
    left of it."""
    theta = np.pi * (np.arange(height) + 0.5) / height
    phi = 2 * np.pi * (0.5 - (np.arange(width) + 0.5) / width)
    flat = np.sin(theta)[:, None]
    return np.stack([flat * np.cos(phi), flat * np.sin(phi), np.broadcast_to(np.cos(theta)[:, None], (height, width))], axis=-1)


def pixel_solid_angles(height: int, width: int) -> np.ndarray:
    """Solid angle (height, 1) of a pixel in each row; all pixels together make 4π."""
    edges = np.cos(np.pi * np.arange(height + 1) / height)
    angles: np.ndarray = 2 * np.pi / width * (edges[:-1] - edges[1:])
    return angles[:, None]


def harmonic_terms(x: Any, y: Any, z: Any) -> list[Any]:
    """The nine real spherical harmonics up to order 2 at unit vectors, arrays or tensors: 1, y, z, x, xy, yz, 3z² − 1, xz, x² − y².

    Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps", eq. 3.
    """
    first = [0.28209479 + 0 * x, 0.48860251 * y, 0.48860251 * z, 0.48860251 * x]
    return first + [1.09254843 * x * y, 1.09254843 * y * z, 0.31539157 * (3 * z * z - 1), 1.09254843 * x * z, 0.54627422 * (x * x - y * y)]


def harmonics(directions: np.ndarray) -> np.ndarray:
    """``harmonic_terms`` at unit vectors (…, 3): (…, 9)."""
    return np.stack(harmonic_terms(*np.moveaxis(directions, -1, 0)), axis=-1)


def to_harmonics(image: np.ndarray) -> np.ndarray:
    """Coefficients (9, 3) of the harmonics nearest to an equirectangular image (H, W, 3)."""
    height, width = image.shape[:2]
    weighted = harmonics(pixel_directions(height, width)) * pixel_solid_angles(height, width)[..., None]
    coefficients: np.ndarray = np.einsum("hwi,hwk->ik", weighted, image)
    return coefficients


def from_harmonics(coefficients: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image (height, width, 3) of these coefficients (9, 3); black where they are negative."""
    return np.maximum(harmonics(pixel_directions(height, width)) @ np.asarray(coefficients, np.float64), 0)
