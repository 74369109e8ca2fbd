"""Gradients within surfaces against finite differences in float64, and situations that must stay finite."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry.normals import corner_normals
from dr_backend.raster.interpolate import interpolate
from dr_backend.raster.project import project, view_of
from dr_backend.raster.rasterize import rasterize
from dr_backend.renderers.table import available, make
from dr_backend.scene import Light, World
from dr_backend.shading.surface import radiance_at
from tests.shapes import camera, corner_uvs, flat, icosphere

GENERATOR = np.random.default_rng(3)
MADE = [make(name, "cpu") for name in ("reference", "native") if available()[name] is None]
RENDERERS = pytest.mark.parametrize("renderer", MADE, ids=lambda renderer: renderer.capabilities.name)


def smooth_image(size: int = 32) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.stack([0.5 + 0.3 * np.sin(5 * x + y), 0.5 + 0.3 * np.cos(4 * y), 0.4 + 0.2 * x * y], -1)


def lamps() -> dict[str, Light]:
    matrix = np.eye(4)
    matrix[:3, 3] = [1.0, 1.5, 2.5]
    return {"lamp": Light(matrix, np.array([1.0, 0.8, 0.6]), np.array(120.0))}


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("lit", [False, True])
def test_colour_gradients_equal_finite_differences(orthographic, lit):
    positions, faces = icosphere(1)
    lights = lamps() if lit else {}
    scene = flat(positions, faces, uvs=corner_uvs(positions, faces), image=smooth_image(), smooth=True, lights=lights, dtype=torch.float64)
    view = view_of(camera(40, 40, orthographic=orthographic), scene.positions)
    face_id, _ = rasterize(project(scene.positions, view), scene.faces, view)
    weight = torch.tensor(GENERATOR.normal(size=(int((face_id >= 0).sum()), 3)))

    def loss(points: torch.Tensor) -> torch.Tensor:
        """Colour with the faces that pixels see held fixed, as they are between two silhouettes."""
        fragments = interpolate(project(points, view), scene.faces, face_id, view)
        normals = corner_normals(scene.positions, scene.faces, scene.topology.face_smooth) if lit else None
        moved = replace(scene, positions=points, corner_normals=normals)
        facing = torch.ones_like(fragments.face)
        return (radiance_at(moved, fragments.face, fragments.barycentric, facing) * weight).sum()

    points = scene.positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(points), points)
    motion = torch.tensor(GENERATOR.normal(size=positions.shape))
    step = 1e-6
    with torch.no_grad():
        truth = float(loss(points + step * motion) - loss(points - step * motion)) / (2 * step)
    assert float((gradient * motion).sum()) == pytest.approx(truth, rel=1e-3)


@RENDERERS
def test_image_and_light_gradients_equal_finite_differences(renderer):
    dtype, exact = (torch.float32, 1e-4) if renderer.capabilities.name == "native" else (torch.float64, 1e-9)
    positions, faces = icosphere(1)
    image = smooth_image(8)
    scene = flat(positions, faces, uvs=corner_uvs(positions, faces), image=image, lights=lamps(), dtype=dtype)
    material, lamp = scene.materials[0], scene.lights[0]
    weight = torch.tensor(GENERATOR.normal(size=(40, 40, 3)))

    def loss(pixels: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
        changed = replace(scene, materials=(replace(material, image=pixels),), lights=(replace(lamp, power=power),))
        return (renderer.render(changed, [camera(40, 40)])[0].rgb.double() * weight).sum()

    pixels, power = torch.tensor(image, dtype=dtype, requires_grad=True), lamp.power.clone().requires_grad_()
    by_pixel, by_power = torch.autograd.grad(loss(pixels, power), [pixels, power])
    motion = torch.tensor(GENERATOR.normal(size=image.shape), dtype=dtype)
    with torch.no_grad():
        truth = float(loss(pixels + motion, power) - loss(pixels - motion, power)) / 2
        assert float((by_pixel * motion).sum()) == pytest.approx(truth, rel=exact)
        assert float(by_power) == pytest.approx(float(loss(pixels, power)) / float(power), rel=exact)


def test_smooth_normals_turn_with_the_surface():
    positions, faces = icosphere(1)
    points = torch.tensor(positions, requires_grad=True)
    smooth, turned = torch.ones(len(faces), dtype=torch.bool), torch.tensor(faces)
    weight = torch.tensor(GENERATOR.normal(size=(len(faces), 3, 3)))
    (gradient,) = torch.autograd.grad((corner_normals(points, turned, smooth) * weight).sum(), points)
    spin = torch.linalg.cross(torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64).expand_as(points), points.detach())
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (corner_normals(points + s * spin, turned, smooth) for s in (step, -step))
        truth = float(((ahead - behind) * weight).sum()) / (2 * step)
    assert float((gradient * spin).sum()) == pytest.approx(truth, rel=1e-6)  # turning keeps the angles, which are held constant


def test_normals_of_tiny_and_hair_thin_faces_pass_finite_gradients():
    positions = torch.tensor([[0.0, 0, 0], [1e-8, 0, 0], [0, 1e-8, 0], [5e-9, -1e-9, 0], [0, 0, 0]], requires_grad=True)
    normals = corner_normals(positions, torch.tensor([[0, 1, 2], [0, 3, 1], [0, 4, 1]]), torch.ones(3, dtype=torch.bool))
    assert float(normals[:2].norm(dim=2).detach().min()) > 0.999
    (gradient,) = torch.autograd.grad((normals * torch.tensor(GENERATOR.normal(size=(3, 3, 3)))).sum(), positions)
    assert bool(torch.isfinite(gradient).all())


@RENDERERS
@pytest.mark.parametrize("color", [False, True])
def test_mesh_out_of_view_is_empty_with_zero_gradients(renderer, color):
    positions, faces = icosphere(2)
    for offset in ([50.0, 0, 0], [0, 0, 20.0]):  # beside the image; behind the camera
        scene = flat(positions + offset, faces, lights=lamps())
        points = scene.positions.requires_grad_()
        out = renderer.render(scene, [camera()], color=color)[0]
        assert float(out.alpha.detach().max()) == 0
        assert int(out.face_id.max()) == -1
        (out.alpha.sum() + out.rgb.sum()).backward()
        assert float(points.grad.abs().max()) == 0


@RENDERERS
def test_degenerate_faces_and_awkward_cameras_give_finite_gradients(renderer):
    positions, faces = icosphere(2)
    extra = np.array([[0.5, 0.5, 1.2], [0.5, 0.5, 1.2], [-0.5, 0.5, 1.2], [0.0, 0.5, 1.2], [0, 0, 3.0], [0, 0, 2.99]])
    n = len(positions)
    broken = np.array([[n, n, n], [n, n + 1, n + 2], [n, n + 3, n + 2], [n, n + 2, n + 4], [n + 4, n + 5, n]])
    positions, faces = np.concatenate([positions, extra]), np.concatenate([faces, broken])
    uvs = corner_uvs(positions, faces)
    scene = flat(positions, faces, uvs=uvs, image=smooth_image(), smooth=True, lights=lamps(), world=World(np.full(3, 0.2)))
    for distance in (3.0, 1.0, 0.3, 0.0):
        points = scene.positions.detach().requires_grad_()
        normals = corner_normals(points, scene.faces, scene.topology.face_smooth)
        out = renderer.render(replace(scene, positions=points, corner_normals=normals), [camera(distance=distance)])[0]
        assert bool(torch.isfinite(out.rgb).all())
        (out.rgb.square().sum() + out.alpha.square().sum() + out.depth[out.face_id >= 0].sum()).backward()
        assert bool(torch.isfinite(points.grad).all())
