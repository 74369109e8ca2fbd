"""Small known scenes for tests: built from formulas, in NumPy, as Blender would export them."""

import numpy as np

from dr_backend.scene import Camera, Material, Mesh, Scene


def uv_sphere(
    segments: int = 32, rings: int = 16, radii: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (V, 3), faces (F, 3) and UVs per corner (F, 3, 2) of a closed ellipsoid with a seam."""
    v, u = np.meshgrid(np.arange(rings + 1), np.arange(segments + 1), indexing="ij")
    theta, phi = np.pi * v / rings, 2 * np.pi * u / segments
    grid = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1) * radii
    a, b, c, d = (np.stack([v[s], u[s]], -1).reshape(-1, 2) for s in _QUAD)
    corners = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    uvs = np.stack([corners[..., 1] / segments, 1 - corners[..., 0] / rings], -1)
    # weld: the seam's last column is its first, each pole is one vertex
    row, column = corners[..., 0], corners[..., 1] % segments
    index = np.where(row == 0, 0, np.where(row == rings, 1, 2 + (row - 1) * segments + column))
    positions = np.concatenate([grid[:1, 0], grid[-1:, 0], grid[1:-1, :-1].reshape(-1, 3)])
    keep = (index[:, 0] != index[:, 1]) & (index[:, 1] != index[:, 2]) & (index[:, 2] != index[:, 0])
    return positions.astype(np.float32), index[keep].astype(np.int32), uvs[keep].astype(np.float32)


_QUAD = (np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[1:, 1:], np.s_[:-1, 1:])


def look_at(eye: np.ndarray, size: tuple[int, int] = (128, 128), focal_px: float = 160.0) -> Camera:
    """A perspective camera at ``eye`` that looks at the origin, up along z."""
    backward = eye / np.linalg.norm(eye)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.stack([right, np.cross(backward, right), backward], 1)
    world_from_camera[:3, 3] = eye
    return Camera(np.linalg.inv(world_from_camera), np.full(2, focal_px), np.array(size) / 2.0, size)


def ring(count: int, size: tuple[int, int] = (128, 128), distance: float = 4.0) -> dict[str, Camera]:
    """Cameras around the origin, alternately above and below it."""
    cameras = {}
    for i in range(count):
        angle, height = 2 * np.pi * i / count, 0.5 if i % 2 else -0.35
        eye = distance * np.array([np.cos(angle) * np.cos(height), np.sin(angle) * np.cos(height), np.sin(height)])
        cameras[f"Camera {i}"] = look_at(eye, size, focal_px=1.25 * size[0])
    return cameras


def painted(height: int = 64, width: int = 64) -> np.ndarray:
    """A smooth colourful image (H, W, 3), periodic in x."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    red, green = 0.5 + 0.35 * np.sin(2 * np.pi * (3 * x + y)), 0.5 + 0.35 * np.cos(2 * np.pi * 2 * x)
    return np.stack([red, green, 0.3 + 0.4 * y], -1).astype(np.float32)


def sphere_scene(
    cameras: dict[str, Camera],
    radii: tuple[float, float, float] = (1.0, 1.0, 1.0),
    image: np.ndarray | None = None,
    segments: int = 32,
    rings: int = 16,
) -> Scene:
    """An unlit scene with one ellipsoid named ``Ball``, painted with ``image`` or grey."""
    positions, faces, uvs = uv_sphere(segments, rings, radii)
    mesh = Mesh(positions, faces, np.eye(4), uvs, np.ones(len(faces), bool), np.zeros(len(faces), np.int32), ("Paint",))
    if image is None:
        image = np.full((8, 8, 3), 0.5, np.float32)
    return Scene(cameras=cameras, meshes={"Ball": mesh}, materials={"Paint": Material(np.full(3, 0.5), image)})
