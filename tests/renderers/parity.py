"""Scenes, and what renderers make of them: images, and gradients for every leaf by its path."""

from collections.abc import Sequence

import numpy as np
import torch

from dr_backend.geometry import flatten, to_tensors
from dr_backend.renderers.base import Renderer, RenderOutput
from dr_backend.scene import Camera, Light, Material, Mesh, Scene, World, leaves, with_leaves
from tests.shapes import camera, icosphere

MOVED = (
    "positions", "base_color", "base_color_image", "color", "power", "radiance", "camera_from_world", "focal_px", "centre_px", "distortion",
    "distortion_focal_px", "distortion_centre_px",
)  # fmt: skip


def bumpy(level: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A closed body that does not cut through itself and has no symmetry: no two of its outline edges lie on each other in any view."""
    positions, faces = icosphere(level)
    generator = np.random.default_rng(seed)
    swing = np.sin(positions @ generator.normal(size=(3, 6)) * 2.3 + generator.uniform(0, 6, 6)) @ generator.uniform(0.02, 0.06, 6)
    turned = positions @ np.linalg.qr(generator.normal(size=(3, 3)))[0]
    return turned * (1 + swing + generator.uniform(-0.03, 0.03, len(positions)))[:, None] + [0.031, -0.017, 0.013], faces


def corner_uvs(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """UVs of a slanted projection, (F, 3, 2), beyond 0..1 for points of the unit ball."""
    return (positions @ np.array([[0.83, 0.21], [-0.17, 0.77], [0.29, -0.13]]) + [0.413, 0.569])[faces]


def body(level: int = 2, seed: int = 0, at: Sequence[float] = (0, 0, 0), size: float = 1.0, material: str = "paint") -> Mesh:
    """A bumpy mesh somewhere in the scene. It casts no shadows: no two renderers round their edges alike."""
    positions, faces = bumpy(level, seed)
    matrix = np.eye(4)
    matrix[:3, :3] *= size
    matrix[:3, 3] = at
    smooth = np.ones(len(faces), bool)
    return Mesh(positions, faces, matrix, corner_uvs(positions, faces), smooth, materials=(material,), casts_shadow=False)


def image(height: int = 3, width: int = 4, seed: int = 0) -> np.ndarray:
    """An image so small that its texels are larger than pixels even at the limb."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, (height, width, 3))


def paint(seed: int = 0, **how: object) -> Material:
    """A material with a small image."""
    return Material(np.array([0.7, 0.4, 0.3]), image(seed=seed), **how)


def lamps() -> dict[str, Light]:
    """A lamp and a sun."""
    matrix = np.eye(4)
    matrix[:3, 3] = [1.3, 1.1, 2.6]
    sun = Light(np.linalg.qr(np.random.default_rng(4).normal(size=(4, 4)))[0], np.array([0.3, 0.5, 0.9]), np.array(0.8), "sun")
    sun.world_from_light[3], sun.world_from_light[:, 3] = 0, [0, 0, 0, 1]
    return {"lamp": Light(matrix, np.array([1.0, 0.8, 0.6]), np.array(40.0)), "sun": sun}


def scene_of(*bodies: Mesh, views: Sequence[Camera] = (), materials: dict[str, Material] | None = None, lit: bool = False) -> Scene:
    """A scene of meshes; one painted material called ``paint`` unless told otherwise."""
    return Scene(
        cameras={f"view {i}": view for i, view in enumerate(views or [camera(48, 40)])},
        meshes={f"mesh {i}": mesh for i, mesh in enumerate(bodies)},
        materials=materials or {"paint": paint()},
        lights=lamps() if lit else {},
        world=World(np.array([0.2, 0.25, 0.3])) if lit else None,
    )


def weights(shape: Sequence[int], number: int) -> torch.Tensor:
    """The same random numbers for the same shape and number."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(number))


def loss_of(outputs: Sequence[RenderOutput], color: bool = True) -> torch.Tensor:
    """A sum that every value of every output enters, with weights that depend on its place."""
    total = torch.zeros(())
    for number, out in enumerate(outputs):
        total = total + (out.alpha.cpu() * weights(out.alpha.shape, number)).sum()
        if color:
            depth = torch.where(torch.isfinite(out.depth), out.depth, 0.0).cpu()
            total = total + (out.rgb.cpu() * weights(out.rgb.shape, 100 + number)).sum()
            total = total + (depth * weights(depth.shape, 200 + number)).sum()
    return total


def rendered(
    renderer: Renderer, scene: Scene, *, color: bool = True, moved: Sequence[str] = MOVED
) -> tuple[list[RenderOutput], dict[str, torch.Tensor]]:
    """Images of all cameras, and the gradient of ``loss_of`` for every leaf whose field is ``moved``; zero where there is none."""
    tensors = to_tensors(scene, renderer.device)
    sources = {path: value.clone().requires_grad_() for path, value in leaves(tensors).items() if path.split("/")[-1] in moved}
    tensors = with_leaves(tensors, sources)
    outputs = renderer.render(flatten(tensors, renderer.device), list(tensors.cameras.values()), color=color)
    loss = loss_of(outputs, color)
    found = torch.autograd.grad(loss, list(sources.values()), allow_unused=True) if loss.requires_grad else [None] * len(sources)
    gradients = {path: torch.zeros_like(v) if g is None else g for (path, v), g in zip(sources.items(), found, strict=True)}
    return outputs, gradients


def assert_same_images(ours: RenderOutput, theirs: RenderOutput, *, coverage: float = 1e-6, color: float = 1e-5) -> None:
    """Faces are identical, coverage and colours differ by no more than told."""
    face_id, alpha, rgb, depth = (
        [getattr(out, name).detach().cpu() for out in (ours, theirs)] for name in ("face_id", "alpha", "rgb", "depth")
    )
    assert torch.equal(face_id[0].long(), face_id[1].long())
    assert float((alpha[0] - alpha[1]).abs().max()) <= coverage
    assert float((rgb[0] - rgb[1]).abs().max()) <= color
    assert torch.allclose(*depth, rtol=1e-5, atol=1e-5)  # infinite in the same places


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Distance of two gradients, relative to the second; 0 where both vanish."""
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-6))
