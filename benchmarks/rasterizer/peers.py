"""The rasterizers that are compared, each behind the same two calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dr_backend.geometry import FlatScene, flatten, to_tensors
from dr_backend.renderers.base import Renderer
from dr_backend.renderers.table import available, make
from dr_backend.scene import Material, Mesh, Scene

from .problem import Case, Problem

THREADS = 2  # of every peer, so that figures from larger machines mean the same


class Pass(Protocol):
    """A prepared case."""

    def __call__(self) -> None:
        """Forward and backward, finished when it returns: the gradients of positions and, where textured, of the image are there."""
        ...

    def picture(self) -> np.ndarray:
        """What the forward pass sees, (B, S, S, 3), or (B, S, S, 1) for silhouettes."""
        ...


@dataclass(frozen=True)
class Peer:
    """A rasterizer in the table."""

    name: str
    prepare: Callable[[Problem, str], Pass]
    takes: Callable[[Case, str], bool]  # case, device: slow peers take small cases only
    threads: int = THREADS  # of torch
    compiles: bool = True  # the first pass is not like the others


def renderer(name: str, device: str, threads: int = THREADS) -> Renderer:
    """One of the project's renderers; ``native`` with a number of threads of its own."""
    if name == "native":
        from dr_backend.renderers.native import NativeRenderer

        return NativeRenderer(device, threads=threads)
    return make(name, device)


def flat_scene(problem: Problem, device: str) -> FlatScene:
    """The problem as the project's renderers see it: one mesh, unlit."""
    mesh = Mesh(problem.positions, problem.faces, np.eye(4), uvs=problem.uvs, materials=("paint",))
    scene = Scene(meshes={"sphere": mesh}, materials={"paint": Material(np.ones(3), problem.image, "extend")})
    return flatten(to_tensors(scene, device), device)


class TorchPass:
    """A pass of a renderer in torch: ``render(positions, image)`` gives each view's colours (S, S, 3) or coverage (S, S)."""

    def __init__(self, problem: Problem, device: str, render: Callable[[Tensor, Tensor], Sequence[Tensor]]) -> None:
        textured = problem.case.task == "textured"
        self.render = render
        self.positions = torch.tensor(problem.positions, dtype=torch.float32, device=device, requires_grad=True)
        self.image = torch.tensor(problem.image, dtype=torch.float32, device=device, requires_grad=textured)
        self.still = self.image.detach()
        weights = torch.tensor(problem.weights if textured else problem.weights[..., 0], dtype=torch.float32, device=device).contiguous()
        self.weights = [weights] * problem.case.views

    def __call__(self) -> None:
        self.positions.grad = self.image.grad = None
        torch.autograd.backward(self.render(self.positions, self.image), self.weights)
        self._finish()

    def forward(self, still: bool = False) -> Sequence[Tensor]:
        """The forward pass alone, without anything kept for a backward one. The texture may stand ``still``, as in a fit of geometry:
        what can be made of it once is then made once.
        """
        with torch.no_grad():
            images = self.render(self.positions, self.still if still else self.image)
        self._finish()
        return images

    def picture(self) -> np.ndarray:
        images = torch.stack([*self.forward()]).cpu().numpy()
        return images if images.ndim == 4 else images[..., None]

    def _finish(self) -> None:
        if self.positions.is_cuda:
            torch.cuda.synchronize()


def ours(name: str, threads: int = THREADS) -> Callable[[Problem, str], TorchPass]:
    def prepare(problem: Problem, device: str) -> TorchPass:
        own, flat = renderer(name, device, threads), flat_scene(problem, device)
        color = problem.case.task == "textured"

        @cache
        def scene(positions: Tensor, image: Tensor) -> FlatScene:
            return replace(flat, positions=positions, materials=(replace(flat.materials[0], image=image),))

        def render(positions: Tensor, image: Tensor) -> Sequence[Tensor]:
            views = own.render(scene(positions, image), problem.cameras, color=color)
            return [view.rgb if color else view.alpha for view in views]

        return TorchPass(problem, device, render)

    return prepare


def _pytorch3d(faces_per_pixel: int, sigma: float) -> Callable[[Problem, str], TorchPass]:
    """PyTorch3D as its tutorials use it: soft silhouettes, or the nearest face's texture."""

    def prepare(problem: Problem, device: str) -> TorchPass:
        from pytorch3d.renderer import BlendParams, MeshRasterizer, RasterizationSettings, TexturesUV
        from pytorch3d.renderer.blending import hard_rgb_blend, sigmoid_alpha_blend
        from pytorch3d.structures import Meshes

        from dr_backend.raster.project import view_of
        from dr_backend.renderers.pytorch3d import soft_cameras

        size, views = problem.case.size, problem.case.views
        faces = torch.tensor(problem.faces, device=device)
        corner = torch.arange(3 * len(faces), device=device).view(-1, 3)
        uvs = torch.tensor(problem.uvs, dtype=torch.float32, device=device).view(-1, 2)
        like = torch.zeros((), device=device)
        cameras = soft_cameras([view_of(camera, like) for camera in problem.cameras])
        settings = RasterizationSettings(
            image_size=size,
            blur_radius=float(np.log(1 / 1e-4 - 1)) * sigma,
            faces_per_pixel=faces_per_pixel,
            max_faces_per_bin=len(faces),  # with fewer it drops faces, and only prints
        )
        rasterizer, blend = MeshRasterizer(cameras, settings), BlendParams(sigma=sigma, background_color=(0.0, 0.0, 0.0))

        def render(positions: Tensor, image: Tensor) -> Sequence[Tensor]:
            fragments = rasterizer(Meshes([positions], [faces]).extend(views))
            if problem.case.task == "silhouette":
                colors = positions.new_zeros(*fragments.pix_to_face.shape, 3)
                return sigmoid_alpha_blend(colors, fragments, blend)[..., 3].unbind()
            textures = TexturesUV([image] * views, [corner] * views, [uvs] * views, align_corners=False)
            return hard_rgb_blend(textures.sample_textures(fragments), fragments, blend)[..., :3].unbind()

        return TorchPass(problem, device, render)

    return prepare


def _within(task: str, limit: float) -> Callable[[Case, str], bool]:
    """On a processor PyTorch3D tries every face at every pixel, and spends on a pixel as much again as on 5,000 faces."""
    return lambda case, device: case.task == task and (device != "cpu" or (case.faces + 5000) * case.size**2 * case.views <= limit)


def torch_threads(name: str) -> int:
    """Threads that torch gets beside a renderer: native's own would have to share their cores with torch's, which wait by spinning."""
    return 1 if name == "native" else THREADS


def own_name() -> str:
    """The renderer that the goals are for; ``reference`` stands in where ``native`` cannot run."""
    return "native" if "native" in available() and available()["native"] is None else "reference"


def torch_peers(device: str) -> tuple[list[Peer], list[str]]:
    """The peers written in torch that run here, ours first, and a sentence about each that does not."""
    peers, missing = [], []
    if own_name() == "native":
        peers.append(Peer("native", ours("native"), lambda case, device: True, threads=torch_threads("native")))
        if device == "cpu":
            peers.append(Peer("native, 1 thread", ours("native", 1), lambda case, device: case.views == 1, threads=1))
    else:
        missing.append(f"native is left out: {available().get('native', 'this checkout does not have it.')}")
    peers.append(Peer("reference", ours("reference"), lambda case, device: True))
    if find_spec("pytorch3d"):
        # Limits of about fifteen seconds a pass on two cores.
        peers.append(Peer("PyTorch3D soft, K=8", _pytorch3d(8, 1e-4), _within("silhouette", 1e9), compiles=False))
        peers.append(Peer("PyTorch3D hard, K=1", _pytorch3d(1, 0.0), _within("textured", 4e9), compiles=False))
    else:
        missing.append("PyTorch3D is left out: install the extra 'pytorch3d'.")
    return peers, missing


def find_peers(device: str) -> tuple[list[Peer], list[str]]:
    """All peers that run on ``device``, ours first, and a sentence about each that does not."""
    peers, missing = torch_peers(device)
    if device == "cpu":
        from .mitsuba_peer import find_mitsuba
        from .redner_peer import find_redner

        for found, reason in (find_mitsuba(), find_redner()):
            peers += found
            missing += [reason] if reason else []
    return peers, missing
