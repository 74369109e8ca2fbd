"""The PyTorch3D renderer against PyTorch3D's own interface, and against the reference renderer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten
from dr_backend.raster.project import view_of
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Light, Material, Mesh, Scene
from tests.shapes import camera, corner_uvs, flat, icosphere

pytest.importorskip("pytorch3d", reason="PyTorch3D is not installed")

from pytorch3d.renderer import (
    BlendParams,
    MeshRasterizer,
    PerspectiveCameras,
    RasterizationSettings,
    SoftSilhouetteShader,
    TexturesVertex,
)
from pytorch3d.renderer.blending import softmax_rgb_blend
from pytorch3d.structures import Meshes

from dr_backend.renderers.pytorch3d import PyTorch3DRenderer

SIGMA, GAMMA, PER_PIXEL = 1e-4, 1e-4, 20
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU that PyTorch can use here")),
]


def plain(positions: np.ndarray, faces: np.ndarray, size: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Colour and silhouette as a user of PyTorch3D alone would render the scene of ``camera(size, size)``."""
    view = camera(size, size)
    vertices = torch.tensor(positions, dtype=torch.float32)
    paint = TexturesVertex(vertices.new_tensor([0.8, 0.5, 0.2]).expand_as(vertices)[None])
    mesh = Meshes([vertices], [torch.tensor(faces)], paint).to(device)
    cameras = PerspectiveCameras(
        focal_length=torch.tensor(view.focal_px[None], dtype=torch.float32),
        principal_point=torch.tensor(view.centre_px[None], dtype=torch.float32),
        R=torch.diag(torch.tensor([-1.0, 1.0, -1.0]))[None],
        T=torch.tensor([[0.0, 0.0, 3.0]]),
        in_ndc=False,
        image_size=((size, size),),
        device=device,
    )
    settings = RasterizationSettings(image_size=size, blur_radius=np.log(1 / 1e-4 - 1.0) * SIGMA, faces_per_pixel=PER_PIXEL)
    fragments = MeshRasterizer(cameras, settings)(mesh)
    blend = BlendParams(SIGMA, GAMMA, (0.0, 0.0, 0.0))
    depth = 3.0 - positions[:, 2]
    near, far = (torch.tensor([d], dtype=torch.float32, device=device) for d in (depth.min(), depth.max()))
    color = softmax_rgb_blend(mesh.sample_textures(fragments), fragments, blend, znear=near, zfar=far)
    return color, SoftSilhouetteShader(blend_params=blend)(fragments, mesh)


def soft(device: str) -> PyTorch3DRenderer:
    return PyTorch3DRenderer(device, sigma=SIGMA, gamma=GAMMA, faces_per_pixel=PER_PIXEL)


@pytest.mark.parametrize("device", DEVICES)
def test_images_equal_those_of_plain_pytorch3d(device):
    positions, faces = icosphere(2)
    color, silhouette = plain(positions, faces, 64, device)
    mesh = Mesh(positions, faces, np.eye(4), materials=("paint",))
    scene = flatten(Scene(meshes={"m": mesh}, materials={"paint": Material(np.array([0.8, 0.5, 0.2]))}), device)
    lit = soft(device).render(scene, [camera(64, 64)])[0]
    outline = soft(device).render(scene, [camera(64, 64)], color=False)[0]
    assert torch.allclose(lit.rgb, color[0, ..., :3], atol=1e-5)
    assert torch.allclose(lit.alpha, color[0, ..., 3], atol=1e-5)
    assert torch.allclose(outline.alpha, silhouette[0, ..., 3], atol=1e-5)
    assert float(lit.alpha.max()) > 0.99


@pytest.mark.parametrize("orthographic", [False, True])
def test_sees_the_same_faces_depths_and_colours_as_the_reference(orthographic):
    positions, faces = icosphere(2)
    matrix = np.eye(4)
    matrix[:3, 3] = [1, 2, 3]
    lights = {"lamp": Light(matrix, np.ones(3), np.array(200.0))}
    image = np.random.default_rng(1).random((8, 8, 3))
    scene = flat(positions, faces, uvs=corner_uvs(positions, faces), image=image, smooth=True, lights=lights)
    views = [camera(64, 48, orthographic=orthographic), camera(64, 48, distance=3.5, orthographic=orthographic), camera(48, 48)]
    hard = PyTorch3DRenderer("cpu", sigma=1e-8, gamma=1e-6, faces_per_pixel=4)
    for ours, theirs in zip(ReferenceRenderer().render(scene, views), hard.render(scene, views), strict=True):
        same = ours.face_id == theirs.face_id
        assert float(same.float().mean()) > 0.995
        covered = same & (ours.face_id >= 0)
        assert torch.allclose(ours.depth[covered], theirs.depth[covered], atol=1e-4)
        inner = covered & (ours.alpha == 1) & (theirs.alpha > 0.999)
        assert float((ours.rgb - theirs.rgb)[inner].abs().mean()) < 1e-3


def test_mesh_out_of_view_and_empty_scene_are_empty_with_zero_gradients():
    positions, faces = icosphere(1)
    scene = flat(positions + [50.0, 0, 0], faces)
    points = scene.positions.requires_grad_()
    for color in (True, False):
        out = soft("cpu").render(scene, [camera(32, 32)], color=color)[0]
        assert float(out.alpha.detach().abs().max()) < 1e-6
        (gradient,) = torch.autograd.grad(out.rgb.sum() + out.alpha.sum(), points)
        assert float(gradient.abs().max()) == 0
    assert float(soft("cpu").render(flatten(Scene()), [camera(32, 32)])[0].alpha.max()) == 0


def test_outline_pulls_from_both_sides():
    positions, faces = icosphere(2)
    scene = flat(positions, faces)
    points = scene.positions.requires_grad_()
    alpha = soft("cpu").render(scene, [camera(32, 32)], color=False)[0].alpha
    (gradient,) = torch.autograd.grad(alpha.sum(), points)
    assert bool(torch.isfinite(gradient).all())
    assert float((gradient * points.detach()).sum()) > 0  # a larger sphere covers more


def test_too_large_a_view_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr("dr_backend.renderers.pytorch3d.free_bytes", lambda device: 1 << 20)
    with pytest.raises(MemoryError, match="Choose a lower resolution or the reference renderer"):
        soft("cpu").render(flat(*icosphere(0)), [camera(64, 64)])


def test_bins_always_hold_every_face():
    scene, views = flat(*icosphere(3)), [camera(64, 64)]
    settings = soft("cpu")._settings(scene, [view_of(v, scene.positions) for v in views], nearest=1.0)
    assert settings.max_faces_per_bin >= len(scene.faces)
    assert settings.z_clip_value is None


@pytest.mark.parametrize("lens", [[-0.3, 0.1, 0.0, 0.0, 0.0], [0.2, 0.0, 0.0, 0.03, -0.04]])
def test_distorted_views_are_seen_beside_straight_ones(lens):
    """Hard enough, both renderers show the same; what the lens moves is more than what softness does."""
    positions, faces = icosphere(2)
    scene = flat(positions, faces)
    views = [replace(camera(64, 64), distortion=np.array(lens)), camera(64, 64)]
    ours = PyTorch3DRenderer("cpu", sigma=1e-7, gamma=1e-4, faces_per_pixel=4).render(scene, views, color=False)
    theirs = ReferenceRenderer().render(scene, views, color=False)
    masks = [[out.alpha > 0.5 for out in outputs] for outputs in (ours, theirs)]
    for mine, other in zip(*masks, strict=True):
        assert int((mine != other).sum()) <= 4
    assert int((masks[0][0] != masks[0][1]).sum()) > 40
