"""Each raster operation against a formula or a plain loop."""

import numpy as np
import pytest
import torch

from dr_backend.raster.interpolate import interpolate
from dr_backend.raster.project import project, view_of
from dr_backend.raster.rasterize import rasterize
from dr_backend.raster.texture import sample_texture
from dr_backend.scene import Camera
from tests.shapes import camera


@pytest.mark.parametrize("orthographic", [False, True])
def test_projection_follows_the_scene_formula(orthographic):
    view = camera(80, 60, orthographic=orthographic)
    points = np.random.default_rng(0).normal(size=(20, 3)) * 0.5
    found = project(torch.tensor(points), view_of(view, torch.zeros(1, dtype=torch.float64)))
    local = points @ view.camera_from_world[:3, :3].T + view.camera_from_world[:3, 3]
    divisor = 1.0 if orthographic else -local[:, 2]
    x = view.centre_px[0] + view.focal_px[0] * local[:, 0] / divisor
    y = view.centre_px[1] - view.focal_px[1] * local[:, 1] / divisor
    assert np.allclose(found.xy, np.stack([x, y], 1))
    assert np.allclose(found.depth, -local[:, 2])


def brute_force(xy: np.ndarray, depth: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest face and distance to the nearest edge of any face, for each pixel centre (float64)."""
    face_id, nearest = np.full((height, width), -1), np.full((height, width), np.inf)
    margin = np.full((height, width), np.inf)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for index, (p, z) in enumerate(zip(xy, depth, strict=True)):
        area = np.linalg.det(np.stack([p[1] - p[0], p[2] - p[0]]))
        weights = []
        for j in range(3):
            a, b = p[(j + 1) % 3], p[(j + 2) % 3]
            cross = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
            weights.append(cross / area)
            margin = np.minimum(margin, np.abs(cross) / np.linalg.norm(b - a))
        inverse_depth = sum(w / d for w, d in zip(weights, z, strict=True))
        inside = np.min(weights, axis=0) > 0
        seen = inside & (1 / np.where(inside, inverse_depth, 1) < nearest)
        nearest[seen], face_id[seen] = 1 / inverse_depth[seen], index
    return face_id, margin


@pytest.mark.parametrize("seed", range(4))
def test_faces_and_depths_equal_a_plain_loop(seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(36, 3)) * [0.8, 0.8, 0.4]
    faces = torch.tensor(generator.permutation(36).reshape(12, 3))
    positions = torch.tensor(points)
    view = view_of(camera(48, 32), positions)
    projected = project(positions, view)
    found, depth = rasterize(projected, faces, view)
    expected, margin = brute_force(projected.xy[faces].numpy(), projected.depth[faces].numpy(), 48, 32)
    safe = margin > 1e-6
    assert np.array_equal(found.numpy()[safe], expected[safe])
    assert (found >= 0).sum() > 100
    fragments = interpolate(projected, faces, found, view)
    hit = (fragments.barycentric[..., None] * projected.camera[faces[fragments.face]]).sum(1)
    again = project(hit @ view.rotation - view.translation @ view.rotation, view)
    assert torch.allclose(again.xy[:, 0], (fragments.pixel % 48).double() + 0.5, atol=1e-6)
    assert torch.allclose(again.depth, fragments.depth)
    assert torch.allclose(depth[found >= 0], fragments.depth)
    assert bool(torch.isinf(depth[found < 0]).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shared_edges_leave_no_hole_and_count_no_pixel_twice(dtype):
    # A fan around a vertex that lies exactly on a pixel centre, with spokes through other centres.
    width = height = 32
    angle = torch.arange(24, dtype=torch.float64) * (2 * torch.pi / 24)
    rim = torch.stack([torch.cos(angle), torch.sin(angle), torch.zeros(24, dtype=torch.float64)], 1)
    positions = torch.cat([torch.zeros(1, 3, dtype=torch.float64), rim]).to(dtype)
    faces = torch.stack([torch.zeros(24, dtype=torch.int64), torch.arange(24) + 1, (torch.arange(24) + 1) % 24 + 1], 1)
    matrix = np.eye(4)
    matrix[2, 3] = -2
    view = view_of(Camera(matrix, np.array([24.0, 24.0]), np.array([16.5, 16.5]), (width, height)), positions)
    projected = project(positions, view)
    together = rasterize(projected, faces, view)[0] >= 0
    each = sum((rasterize(projected, faces[i : i + 1], view)[0] >= 0).int() for i in range(24))
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(x - 16.5, y - 16.5) < 12 * np.cos(np.pi / 24) - 1e-3
    assert bool(together[torch.tensor(inside)].all())
    assert int(each.max()) == 1
    assert torch.equal(each.bool(), together)


def test_equal_depths_go_to_the_lower_face():
    positions = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    view = view_of(camera(), positions)
    face_id, _ = rasterize(project(positions, view), torch.tensor([[0, 1, 2], [0, 1, 2], [0, 1, 2]]), view)
    assert set(face_id.unique().tolist()) == {-1, 0}


def test_floor_that_passes_under_the_camera_is_cut_not_lost():
    # Camera 1 above an endless floor, looking along -z: the lower half of the image is floor, and depth follows from the row.
    size = 1e3
    positions = torch.tensor([[-size, -1, -size], [size, -1, -size], [size, -1, size], [-size, -1, size]], requires_grad=True)
    faces = torch.tensor([[0, 2, 1], [0, 3, 2]])
    view = view_of(Camera(np.eye(4), np.array([40.0, 40.0]), np.array([32.0, 24.0]), (64, 48)), positions)
    projected = project(positions, view)
    face_id, _ = rasterize(projected, faces, view)
    assert bool((face_id[25:] >= 0).all())
    assert bool((face_id[:24] < 0).all())
    fragments = interpolate(projected, faces, face_id, view)
    row = torch.div(fragments.pixel, 64, rounding_mode="floor") + 0.5
    near = row > 26
    assert torch.allclose(fragments.depth[near], (40.0 / (row - 24.0))[near], rtol=2e-2)
    fragments.depth[near].sum().backward()
    assert bool(torch.isfinite(positions.grad).all())
    assert float(positions.grad[:, 1].sum()) < 0  # a floor that rises comes nearer


def test_texture_texel_edges_lie_at_zero_and_one():
    image = torch.rand(5, 7, 3, dtype=torch.float64)
    row, column = torch.meshgrid(torch.arange(5).double(), torch.arange(7).double(), indexing="ij")
    centres = torch.stack([(column + 0.5) / 7, 1 - (row + 0.5) / 5], -1).reshape(-1, 2)
    for extension in ("repeat", "extend"):
        assert torch.allclose(sample_texture(image, centres, extension).view(5, 7, 3), image)
    between = torch.tensor([[2 / 7, 1 - 1.5 / 5]], dtype=torch.float64)
    assert torch.allclose(sample_texture(image, between)[0], (image[1, 1] + image[1, 2]) / 2)


def test_texture_repeats_or_extends_beyond_its_border():
    image = torch.rand(4, 4, 3, dtype=torch.float64)
    uv = torch.rand(200, 2, dtype=torch.float64)
    far = uv + torch.tensor([3.0, -2.0])
    assert torch.allclose(sample_texture(image, far, "repeat"), sample_texture(image, uv, "repeat"))
    seam = torch.tensor([[0.0, 0.5 / 4]], dtype=torch.float64)
    assert torch.allclose(sample_texture(image, seam, "repeat")[0], (image[3, 0] + image[3, 3]) / 2)
    assert torch.allclose(sample_texture(image, seam, "extend")[0], image[3, 0])
    corner = torch.tensor([[-5.0, 7.0]], dtype=torch.float64)
    assert torch.allclose(sample_texture(image, corner, "extend")[0], image[0, 0])
