"""Meshes and cameras from formulas for tests of geometry and renderers."""

from dataclasses import replace

import numpy as np
import torch

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.scene import Camera, Light, Material, Mesh, Scene, World


def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (V, 3) and 20·4^level faces (F, 3), outward."""
    golden = (1 + 5**0.5) / 2
    points = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    positions = np.array([np.roll(p, k) for k in range(3) for p in points], dtype=float)
    a, b, c = np.mgrid[:12, :12, :12].reshape(3, -1)
    side = [np.linalg.norm(positions[i] - positions[j], axis=1) for i, j in ((a, b), (b, c), (c, a))]
    outward = np.linalg.det(np.stack([positions[a], positions[b], positions[c]], 1)) > 0
    near = np.all(np.isclose(side, 2.0), axis=0) & outward & (a < b) & (a < c)
    positions, faces = positions / np.linalg.norm(positions[0]), np.stack([a, b, c], 1)[near]
    for _ in range(level):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        unique, index = np.unique(edges, axis=0, return_inverse=True)
        middle = positions[unique].mean(1)
        ab, bc, ca = (index.reshape(-1, 3) + len(positions)).T
        positions = np.concatenate([positions, middle / np.linalg.norm(middle, axis=1, keepdims=True)])
        a, b, c = faces.T
        faces = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return positions, faces


def camera(width: int = 64, height: int = 64, distance: float = 3.0, focal: float = 1.2, orthographic: bool = False) -> Camera:
    """A camera on the z axis that looks down at the origin, its centre a little off the middle."""
    matrix = np.eye(4)
    matrix[2, 3] = -distance
    size = width * focal / (distance if orthographic else 1.0)
    centre = np.array([width / 2 + 0.3, height / 2 - 0.7])
    view = Camera(matrix, np.array([size, size * 0.95]), centre, (width, height))
    return replace(view, projection="orthographic") if orthographic else view


def flat(
    positions: np.ndarray,
    faces: np.ndarray,
    *,
    uvs: np.ndarray | None = None,
    image: np.ndarray | None = None,
    smooth: bool = False,
    lights: dict[str, Light] | None = None,
    world: World | None = None,
    dtype: torch.dtype = torch.float32,
) -> FlatScene:
    """A flat scene of one mesh with a material of colour (0.8, 0.5, 0.2) or ``image``."""
    mesh = Mesh(positions, faces, np.eye(4), uvs=uvs, materials=("paint",), face_smooth=np.full(len(faces), smooth))
    material = Material(np.array([0.8, 0.5, 0.2]), image)
    scene = Scene(meshes={"mesh": mesh}, materials={"paint": material}, lights=lights or {}, world=world)
    return flatten(to_tensors(scene, dtype=dtype), dtype=dtype)


def corner_uvs(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """UVs from x and y, inside 0.1..0.9 for points of the unit ball."""
    return (positions[:, :2] * 0.4 + 0.5)[faces]


def motions(points: torch.Tensor) -> dict[str, torch.Tensor]:
    """Directions for every vertex: along the axes, away from the origin, a bend, and turns about the axes."""
    x, y, z = points.unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    columns = {
        "x": (one, zero, zero), "y": (zero, one, zero), "z": (zero, zero, one), "scale": (x, y, z), "bend": (y * y, zero, zero),
        "turn about x": (zero, -z, y), "turn about y": (z, zero, -x), "turn about z": (-y, x, zero),
    }  # fmt: skip
    return {name: torch.stack(column, 1) for name, column in columns.items()}
