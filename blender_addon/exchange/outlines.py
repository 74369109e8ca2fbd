"""Where photos show the object, as boxes around their masks: how far a mesh is from there, and where it would have to stand. No bpy.

Boxes are rough on purpose: they say whether a start is near enough, and lenses are taken as straight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dr_backend.language import told
from dr_backend.scene import Camera, Mesh, Photo

from .problems import SceneProblem

_FAR = 0.25  # overlap of the boxes below which a fit seldom ends well
_ENOUGH = 20_000  # vertices of a mesh that tell where it is
_PARALLEL = 1e-3  # mean squared sine of the angle between rays, below which they do not meet anywhere in particular
_ROUNDS = 4  # of scaling: nearer parts grow faster than those behind them
_SMALL = 0.1  # of the distance to the nearest camera, where scaling starts: no vertex is behind a camera then


@dataclass(frozen=True)
class Box:
    """An upright rectangle in a photo, in pixels, y down."""

    low: np.ndarray  # (2,)
    high: np.ndarray  # (2,)

    @property
    def side(self) -> float:
        """The side of the square that is as large."""
        return float(np.sqrt(np.prod(np.maximum(self.high - self.low, 1e-6))))

    def overlap(self, other: "Box") -> float:
        """Area of what both cover over the area of what either covers, 0…1."""
        common = float(np.prod(np.maximum(np.minimum(self.high, other.high) - np.maximum(self.low, other.low), 0)))
        return common / (self.side**2 + other.side**2 - common)


def mask_box(mask: np.ndarray) -> Box:
    """The box around a mask (H, W) that is not empty."""
    rows, columns = (np.flatnonzero((mask >= 0.5).any(axis)) for axis in (1, 0))
    return Box(np.array([columns[0], rows[0]], float), np.array([columns[-1] + 1, rows[-1] + 1], float))


def seen_box(camera: Camera, points: np.ndarray) -> Box | None:
    """The box around points (N, 3) of the world in the camera's photo; None where one is behind it or all are beside it."""
    x, y, z = (points @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]).T
    if camera.projection == "perspective":
        if -z.max() < camera.near:
            return None
        x, y = x / -z, y / -z
    pixels = camera.centre_px + np.stack([x, -y], 1) * camera.focal_px
    box = Box(np.maximum(pixels.min(0), 0), np.minimum(pixels.max(0), camera.size))
    return box if (box.high > box.low).all() else None


def start_warnings(meshes: Mapping[str, Mesh], cameras: Mapping[str, Camera], photos: Sequence[Photo]) -> list[str]:
    """What to say where the meshes together are far from what the masks of the fitted photos show."""
    sparse = [(mesh.positions[:: len(mesh.positions) // _ENOUGH + 1], mesh.world_from_object) for mesh in meshes.values()]
    points = np.concatenate([positions @ matrix[:3, :3].T + matrix[:3, 3] for positions, matrix in sparse])
    overlaps = []
    for photo in photos:
        if photo.mask is not None and not photo.held_out:
            seen = seen_box(cameras[photo.camera], points)
            overlaps.append(seen.overlap(mask_box(photo.mask)) if seen is not None else 0.0)
    if not overlaps or np.median(overlaps) >= _FAR:
        return []
    return [told("The start is far from what the masks show: press Place Mesh, or move and scale the mesh until it fills them")]


def placement(points: np.ndarray, views: Sequence[tuple[Camera, Box]]) -> tuple[np.ndarray, float]:
    """Where the middle of a mesh should be in the world (3,), and the factor on its size, so that it fills the boxes of the photos.

    Args:
        points: The mesh's vertices (N, 3) in the world.
        views: Cameras with the boxes of the object in their photos.

    Raises:
        SceneProblem: The boxes do not tell.
    """
    rays = [_ray(camera, (box.low + box.high) / 2) for camera, box in views]
    across = [np.eye(3) - np.outer(direction, direction) for _, direction in rays]
    total = sum(across, np.zeros((3, 3)))
    if np.linalg.eigvalsh(total)[0] < _PARALLEL * len(rays):
        raise SceneProblem("All photos are taken from the same side, so they do not tell how far away the object is: add another view")
    middle = np.linalg.solve(total, sum((a @ origin for a, (origin, _) in zip(across, rays, strict=True)), np.zeros(3)))
    depths = [float((middle - origin) @ direction) for origin, direction in rays]
    if np.median(depths) <= 0:
        raise SceneProblem("The cameras look away from one another, not at one object: line them up with their photos first")
    offsets = points - (points.min(0) + points.max(0)) / 2
    extent = float(np.linalg.norm(offsets, axis=1).max())
    if extent < 1e-9:
        raise SceneProblem("The mesh has no size: give it one first")
    scale = _SMALL * float(np.abs(depths).min()) / extent
    for _ in range(_ROUNDS):
        seen = [(box.side, found.side) for camera, box in views if (found := seen_box(camera, middle + scale * offsets)) is not None]
        if not seen:
            raise SceneProblem("The masks do not show one object: check them, and line up the cameras with their photos first")
        scale *= float(np.median([wanted / is_ for wanted, is_ in seen]))
    return middle, scale


def _ray(camera: Camera, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin and direction (3,) in the world of what the camera shows at a pixel."""
    x, y = (pixel - camera.centre_px) / camera.focal_px * (1, -1)
    perspective = camera.projection == "perspective"
    origin, direction = (np.zeros(3), np.array([x, y, -1.0])) if perspective else (np.array([x, y, 0.0]), np.array([0.0, 0.0, -1.0]))
    turn = np.asarray(camera.camera_from_world[:3, :3], float).T
    return turn @ (origin - camera.camera_from_world[:3, 3]), turn @ direction / np.linalg.norm(direction)
