"""What every rasterizer is given: a bumpy sphere with a texture, cameras around it, and weights that make a loss of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dr_backend.scene import Camera

Task = Literal["silhouette", "textured"]
CAMERA_DISTANCE = 3.0
FRAMING = 1.4  # focal length in image widths: the sphere fills nearly the whole height


@dataclass(frozen=True)
class Case:
    """One line of the table: a forward and backward pass of ``views`` square images, ``size`` pixels wide."""

    task: Task
    faces: int
    size: int
    views: int = 1

    def __str__(self) -> str:
        plural = "" if self.views == 1 else "s"
        return f"{self.task} {self.size}², {self.faces:,} faces, {self.views} view{plural}"


@dataclass(frozen=True)
class Problem:
    """A case as arrays. ``weights`` is the gradient that a loss hands to the image: alpha of silhouettes, rgb of textured images."""

    case: Case
    positions: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    uvs: np.ndarray  # (F, 3, 2) per corner, inside 0..1
    image: np.ndarray  # (S, S, 3) smooth, as wide as a view
    cameras: list[Camera]
    weights: np.ndarray  # (S, S, 3), the same for every view


def geodesic_sphere(frequency: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (10 n² + 2, 3) and faces (20 n², 3), outward: an icosahedron whose edges are divided into ``frequency`` parts.

    Vertices come row by row, so that neighbours lie close together in memory, as programs write meshes.
    """
    golden = (1 + 5**0.5) / 2
    points = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    corners = np.array([np.roll(p, k) for k in range(3) for p in points], dtype=float)
    a, b, c = np.mgrid[:12, :12, :12].reshape(3, -1)
    side = [np.linalg.norm(corners[i] - corners[j], axis=1) for i, j in ((a, b), (b, c), (c, a))]
    outward = np.linalg.det(np.stack([corners[a], corners[b], corners[c]], 1)) > 0
    chosen = np.all(np.isclose(side, 2.0), axis=0) & outward & (a < b) & (a < c)
    triangles = corners[np.stack([a, b, c], 1)[chosen]]

    n = frequency
    row, column = (index.ravel() for index in np.mgrid[: n + 1, : n + 1])
    inside = row + column <= n
    row, column = row[inside], column[inside]
    place = np.full((n + 2, n + 2), -1)
    place[row, column] = np.arange(len(row))
    up = np.stack([place[row, column], place[row + 1, column], place[row, column + 1]], 1)[row + column < n]
    r, q = row[row + column < n - 1], column[row + column < n - 1]
    down = np.stack([place[r + 1, q], place[r + 1, q + 1], place[r, q + 1]], 1)
    local = np.concatenate([up, down])

    weights = np.stack([n - row - column, row, column], 1) / n
    lattice = np.einsum("pk,tkd->tpd", weights, triangles)
    faces = (local[None] + (np.arange(20) * len(row))[:, None, None]).reshape(-1, 3)
    points = lattice.reshape(-1, 3)
    _, first, merged = np.unique(np.round(points * n * 64).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    positions = points[first[order]]
    return positions / np.linalg.norm(positions, axis=1, keepdims=True), np.argsort(order)[merged.reshape(-1)][faces]


def bumpy(directions: np.ndarray) -> np.ndarray:
    """The sphere with bumps that hide parts of each other, inside the unit ball."""
    x, y, z = directions.T
    radius = 0.82 + 0.1 * np.sin(5 * x + 1) * np.cos(6 * y) + 0.06 * np.sin(9 * z)
    return directions * radius[:, None]


def corner_uvs(directions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Longitude and latitude per corner. Faces across the seam keep their corners together; the margin of 5 % makes room for them."""
    x, y, z = directions.T
    turn = (np.arctan2(y, x) / (2 * math.pi) + 0.5)[faces]
    turn = np.where((turn.max(1) - turn.min(1) > 0.5)[:, None] & (turn < 0.5), turn + 1, turn)
    return np.stack([np.minimum(0.05 + 0.9 * turn, 1.0), (0.5 + np.arcsin(np.clip(z, -1, 1)) / math.pi)[faces]], -1)


def look_at_origin(direction: np.ndarray, size: int, distance: float = CAMERA_DISTANCE, framing: float = FRAMING) -> Camera:
    """A square view of the origin from ``direction``, which is not straight up or down."""
    back = direction / np.linalg.norm(direction)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back])
    matrix[2, 3] = -distance
    return Camera(matrix, np.full(2, size * framing), np.full(2, size / 2), (size, size))


def cameras(count: int, size: int) -> list[Camera]:
    """Cameras on a circle around the origin, a little above it."""
    angles = 2 * math.pi * np.arange(count) / count + 0.3
    return [look_at_origin(np.array([math.cos(angle), math.sin(angle), 0.35]), size) for angle in angles]


def waves(size: int) -> np.ndarray:
    """A smooth image (size, size, 3) between 0.1 and 0.9."""
    y, x = np.mgrid[:size, :size] / size * 2 * math.pi
    return 0.5 + 0.4 * np.stack([np.sin(3 * x + y), np.sin(2 * y - x + 1), np.cos(4 * x) * np.sin(3 * y)], -1)


def make(case: Case) -> Problem:
    """Arrays for ``case``; the sphere has the nearest possible number of faces."""
    directions, faces = geodesic_sphere(round((case.faces / 20) ** 0.5))
    return Problem(
        case=case,
        positions=bumpy(directions),
        faces=faces,
        uvs=corner_uvs(directions, faces),
        image=waves(case.size),
        cameras=cameras(case.views, case.size),
        weights=waves(case.size)[::-1].copy(),
    )
