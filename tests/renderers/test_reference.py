"""The reference renderer as a whole: what it shows, and what light does."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Camera, Light, Material, Mesh, Scene, World
from tests.shapes import camera, corner_uvs, flat, icosphere

SQUARE = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]])
ALBEDO = np.array([0.8, 0.5, 0.2])


def render(scene, view: Camera, **options):
    return ReferenceRenderer().render(scene, [view], **options)[0]


def surface_points(view: Camera, out) -> np.ndarray:
    """World positions on the plane z = 0 seen by each pixel of a camera on the z axis, (H, W, 3)."""
    y, x = np.mgrid[: view.size[1], : view.size[0]] + 0.5
    depth = np.nan_to_num(out.depth.detach().numpy(), posinf=0.0)
    x, y = (x - view.centre_px[0]) / view.focal_px[0], (view.centre_px[1] - y) / view.focal_px[1]
    return np.stack([x * depth, y * depth, 0 * depth], -1)


def test_unlit_scene_shows_the_base_colour_over_black():
    out = render(flat(*icosphere(3)), camera())
    rgb, alpha = out.rgb.numpy(), out.alpha.numpy()
    assert np.allclose(rgb, alpha[..., None] * ALBEDO, atol=1e-5)
    assert alpha.max() == 1
    assert 0 < alpha[(alpha > 0) & (alpha < 1)].mean() < 1


def test_without_colour_alpha_is_the_same_and_rgb_black():
    scene = flat(*icosphere(3))
    with_color, without = render(scene, camera()), render(scene, camera(), color=False)
    assert torch.allclose(with_color.alpha, without.alpha, atol=1e-6)
    assert torch.equal(with_color.face_id, without.face_id)
    assert torch.allclose(with_color.depth, without.depth)
    assert float(without.rgb.abs().max()) == 0


def test_texture_lands_where_its_coordinates_say():
    positions, faces = SQUARE, SQUARE_FACES
    image = np.zeros((2, 2, 3))
    image[0, 0], image[1, 1] = [1, 0, 0], [0, 1, 0]  # top left red, bottom right green
    uvs = ((positions[:, :2] + 1) / 2)[faces]
    view = Camera(camera().camera_from_world, np.full(2, 60.0), np.full(2, 32.0), (64, 64))
    rgb = render(flat(positions, faces, uvs=uvs, image=image), view).rgb.numpy()
    # The square covers pixels 12 to 52: the centres of pixels 22 and 42 lie 0.025 texels off the centres of texels.
    assert np.allclose(rgb[22, 22], [0.975**2, 0.025**2, 0], atol=1e-4)
    assert np.allclose(rgb[42, 42], [0.025**2, 0.975**2, 0], atol=1e-4)
    assert np.allclose(rgb[22, 42], [0.025 * 0.975, 0.025 * 0.975, 0], atol=1e-4)


def test_materials_of_one_mesh_show_on_their_faces():
    mesh = Mesh(SQUARE, SQUARE_FACES, np.eye(4), materials=("red", "blue"), face_material=np.array([0, 1]))
    scene = flatten(Scene(meshes={"m": mesh}, materials={"red": Material(np.array([1.0, 0, 0])), "blue": Material(np.array([0, 0, 1.0]))}))
    out = render(scene, camera())
    inner = out.alpha == 1
    assert out.rgb[(out.face_id == 0) & inner][:, 0].min() == 1
    assert out.rgb[(out.face_id == 1) & inner][:, 2].min() == 1


@pytest.mark.parametrize("kind", ["point", "spot", "area", "sun"])
def test_lamps_follow_their_formula_on_a_plane(kind):
    matrix = np.eye(4)
    matrix[:3, 3] = [0.4, -0.3, 1.5]
    lamp = Light(matrix, np.array([1.0, 0.9, 0.7]), np.array(40.0), kind=kind, spot_angle_rad=1.2, spot_blend=0.4)
    view = camera(48, 48)
    out = render(flat(SQUARE, SQUARE_FACES, lights={"l": lamp}), view)
    inside = (out.alpha == 1).numpy()
    offset = matrix[:3, 3] - surface_points(view, out)[inside]
    squared = (offset**2).sum(-1)
    cosine = offset[:, 2] / np.sqrt(squared)
    step = np.clip((cosine - math.cos(0.6)) / ((1 - math.cos(0.6)) * 0.4), 0, 1)
    expected = {
        "point": 40 / (4 * np.pi) * cosine / squared,
        "spot": 40 / (4 * np.pi) * cosine / squared * step**2 * (3 - 2 * step),
        "area": 40 / np.pi * cosine**2 / squared,
        "sun": np.full_like(cosine, 40.0),
    }[kind]
    assert np.allclose(out.rgb.numpy()[inside], expected[:, None] * lamp.color * ALBEDO / np.pi, rtol=1e-4, atol=1e-5)


def test_world_light_multiplies_the_albedo_and_both_sides_are_lit():
    world, sun = World(np.array([0.5, 1.0, 2.0])), Light(np.eye(4), np.ones(3), np.array(math.pi), kind="sun")
    for faces in (SQUARE_FACES, SQUARE_FACES[:, ::-1].copy()):
        out = render(flat(SQUARE, faces, world=world, lights={"sun": sun}), camera())
        assert np.allclose(out.rgb[32, 32], ALBEDO * (np.array([0.5, 1.0, 2.0]) + 1), atol=1e-5)


def test_nearer_mesh_hides_the_farther_whatever_the_order():
    near = SQUARE * 0.5 + [0, 0, 0.5]
    colors = {"near": Material(np.array([1.0, 0, 0])), "far": Material(np.array([0, 0, 1.0]))}
    meshes = {
        name: Mesh(positions, SQUARE_FACES, np.eye(4), materials=(name,)) for name, positions in (("far", SQUARE), ("near", near))
    }
    orders = (("far", "near"), ("near", "far"))
    images = [render(flatten(Scene(meshes={k: meshes[k] for k in order}, materials=colors)), camera()).rgb for order in orders]
    assert torch.allclose(*images, atol=1e-6)
    assert images[0][32, 32].tolist() == [1, 0, 0]
    edge = (images[0][..., 0] > 0.01) & (images[0][..., 2] > 0.01)
    assert torch.allclose(images[0][edge].sum(-1), torch.ones(()), atol=1e-5)  # one outline, blended between both colours


def test_empty_scene_renders_empty():
    out = render(flatten(Scene()), camera(20, 10))
    assert out.rgb.shape == (10, 20, 3)
    assert float(out.alpha.sum()) == 0
    assert bool(torch.isinf(out.depth).all())


def test_views_of_several_sizes_and_a_plan_that_grows_with_them():
    positions, faces = icosphere(2)
    scene = flat(positions, faces, uvs=corner_uvs(positions, faces), image=np.random.default_rng(0).random((8, 8, 3)))
    renderer, views = ReferenceRenderer(), [camera(32, 24), camera(17, 40), replace(camera(), projection="orthographic")]
    assert [out.rgb.shape for out in renderer.render(scene, views)] == [(24, 32, 3), (40, 17, 3), (64, 64, 3)]
    assert renderer.plan(scene, views) > renderer.plan(scene, views[:1])


def test_runs_give_the_same_bits():
    positions, faces = icosphere(3)
    scene = flat(positions, faces, uvs=corner_uvs(positions, faces), image=np.random.default_rng(0).random((16, 16, 3)))
    results = []
    for _ in range(2):
        points = scene.positions.detach().requires_grad_()
        out = render(replace(scene, positions=points), camera())
        (gradient,) = torch.autograd.grad(out.rgb.square().sum() + out.alpha.sum(), points)
        results.append((out.rgb.detach(), gradient))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
