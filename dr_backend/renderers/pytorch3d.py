"""PyTorch3D's soft rasterizer: blurred outlines that pull from far away, fast on an NVIDIA GPU.

Liu et al. 2019, "Soft Rasterizer: A Differentiable Renderer for Image-based 3D Reasoning". Colours come from our own shading, so
lamps, textures and normals mean the same as everywhere else; PyTorch3D finds the faces near each pixel and blends them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import torch
from pytorch3d.renderer import BlendParams, MeshRasterizer, OrthographicCameras, PerspectiveCameras, RasterizationSettings
from pytorch3d.renderer.blending import sigmoid_alpha_blend, softmax_rgb_blend
from pytorch3d.renderer.mesh.rasterizer import Fragments
from pytorch3d.structures import Meshes
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..language import told
from ..raster.project import View, project, view_of
from ..raster.silhouettes import facing
from ..scene import Camera
from ..shading.surface import radiance_at, seen_from
from .base import Capabilities, RenderOutput

BYTES_PER_FRAGMENT = 48  # pix_to_face, zbuf, barycentrics and distance, and their gradients
SHADING_BYTES_PER_FRAGMENT = 250  # colours, texture coordinates, normals and what the backward pass keeps of them
MEMORY_SHARE = 0.6  # of what is free: the rest is for the fit
MAX_BIN_BYTES = 1 << 30


def free_bytes(device: torch.device) -> int:
    """Memory that can be allocated on ``device`` now."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 << 30  # Windows and macOS do not tell without another package: what a small machine has


def soft_cameras(views: Sequence[View]) -> PerspectiveCameras | OrthographicCameras:
    """PyTorch3D's cameras for views of one size and projection.

    Its camera looks along +z with x to the left; ours looks along -z with x to the right.
    """
    turn = views[0].rotation.new_tensor([-1.0, 1.0, -1.0])
    kind = PerspectiveCameras if views[0].perspective else OrthographicCameras
    return kind(
        R=torch.stack([(turn[:, None] * view.rotation).T for view in views]),
        T=torch.stack([turn * view.translation for view in views]),
        focal_length=torch.stack([view.focal_px for view in views]),
        principal_point=torch.stack([view.centre_px for view in views]),
        image_size=torch.tensor([[view.height, view.width] for view in views], device=turn.device),
        in_ndc=False,
        device=turn.device,
    )


class PyTorch3DRenderer:
    """Soft silhouettes and colours. ``sigma`` blurs outlines (squared NDC), ``gamma`` blurs depth order; fewer ``faces_per_pixel`` than
    lie within the blur cut it off. It sees through nothing: surfaces with alpha are whole here, and ``table.choose`` takes another
    renderer for scenes that have any.
    """

    capabilities = Capabilities(
        name="pytorch3d",
        devices=("cuda", "cpu"),
        soft=True,
        summary="Blurred outlines that attract from far away; made for NVIDIA GPUs, very slow on a processor.",
    )

    def __init__(self, device: str = "cuda", *, sigma: float = 1e-4, gamma: float = 1e-4, faces_per_pixel: int = 50) -> None:
        self.device = torch.device(device)
        self.sigma = sigma
        self.gamma = gamma
        self.faces_per_pixel = faces_per_pixel

    def plan(self, scene: FlatScene, cameras: Sequence[Camera]) -> int:
        """Peak bytes of a forward and backward pass over these views together."""
        pixels = sum(camera.size[0] * camera.size[1] for camera in cameras)
        return pixels * self.faces_per_pixel * (BYTES_PER_FRAGMENT + SHADING_BYTES_PER_FRAGMENT)

    def render(self, scene: FlatScene, cameras: Sequence[Camera], *, color: bool = True) -> list[RenderOutput]:
        """One soft image per camera; ``face_id`` and ``depth`` are those of the nearest face that covers the pixel centre.

        Gradients: smoothed by ``sigma`` and ``gamma`` for vertices and cameras, exact for textures and lights.

        Raises:
            MemoryError: Not even one view fits.
        """
        views = [view_of(camera, scene.positions) for camera in cameras]
        if not len(scene.faces):
            return [self._empty(scene, view) for view in views]
        outputs: list[RenderOutput] = []
        if color and any(material.gloss is not None for material in scene.materials):  # reflections depend on where the eye is
            for camera, view in zip(cameras, views, strict=True):
                outputs += self._render_batch(seen_from(scene, camera), [view], color)
            return outputs
        for batch in self._batches(views, color):
            outputs += self._render_batch(scene, batch, color)
        return outputs

    def _batches(self, views: list[View], color: bool) -> Iterator[list[View]]:
        """Runs of views of equal size and projection that fit in memory together."""
        per_fragment = BYTES_PER_FRAGMENT + (SHADING_BYTES_PER_FRAGMENT if color else 0)
        batch: list[View] = []
        for view in views:
            need = view.height * view.width * self.faces_per_pixel * per_fragment
            budget = int(MEMORY_SHARE * free_bytes(self.device))
            if need > budget:
                raise MemoryError(
                    told(
                        "A photo of {width} x {height} pixels needs {need:.1f} GB with PyTorch3D and {free:.1f} GB are free. Choose a "
                        "lower resolution or the reference renderer.",
                        width=view.width,
                        height=view.height,
                        need=need / 2**30,
                        free=budget / 2**30,
                    )
                )
            same = not batch or _kind(batch[0]) == _kind(view)
            if not same or need * (len(batch) + 1) > budget:
                yield batch
                batch = []
            batch.append(view)
        if batch:
            yield batch

    def _settings(self, scene: FlatScene, views: list[View], nearest: float) -> RasterizationSettings:
        """Bins with room for every face: PyTorch3D drops what does not fit and only prints. Where they grow too large, no bins."""
        size = (views[0].height, views[0].width)
        bin_size = None
        if self.device.type == "cuda":
            bin_pixels = 2 ** max(math.ceil(math.log2(max(size))) - 4, 4)
            bins = len(views) * math.ceil(size[0] / bin_pixels) * math.ceil(size[1] / bin_pixels)
            bin_size = bin_pixels if bins * len(scene.faces) * 4 <= MAX_BIN_BYTES else 0
        return RasterizationSettings(
            image_size=size,
            blur_radius=math.log(1.0 / 1e-4 - 1.0) * self.sigma,
            faces_per_pixel=self.faces_per_pixel,
            bin_size=bin_size,
            max_faces_per_bin=len(scene.faces),
            z_clip_value=views[0].near if nearest < views[0].near else None,
        )

    def _render_batch(self, scene: FlatScene, views: list[View], color: bool) -> list[RenderOutput]:
        projected = [project(scene.positions, view) for view in views]
        depths = torch.stack([p.depth.detach() for p in projected])
        settings = self._settings(scene, views, float(depths.min()))
        meshes = Meshes(
            [scene.positions if v.lens is None else (p.camera - v.translation) @ v.rotation for p, v in zip(projected, views, strict=True)],
            [scene.faces] * len(views),
        )
        fragments = MeshRasterizer(soft_cameras(views), settings)(meshes)
        blend = BlendParams(sigma=self.sigma, gamma=self.gamma, background_color=(0.0, 0.0, 0.0))
        covered = fragments.pix_to_face >= 0
        if color:
            turned = torch.cat([facing(p.camera, scene.faces, view) for p, view in zip(projected, views, strict=True)])
            colors = self._colors(scene, fragments, covered, turned, len(views))
            near = depths.amin(1).clamp_min(views[0].near)
            far = torch.maximum(depths.amax(1), near * (1.0 + 1e-3))
            image = softmax_rgb_blend(colors, fragments, blend, znear=near, zfar=far)
        else:
            image = sigmoid_alpha_blend(scene.positions.new_zeros(*covered.shape, 3), fragments, blend)
            image = torch.cat([torch.zeros_like(image[..., :3]), image[..., 3:]], dim=-1)
        inside = covered & (fragments.dists <= 0)
        first = inside.to(torch.uint8).argmax(-1, keepdim=True)
        hit = inside.any(-1)
        face_id = torch.where(hit, fragments.pix_to_face.gather(-1, first).squeeze(-1) % len(scene.faces), -1)
        depth = torch.where(hit, fragments.zbuf.gather(-1, first).squeeze(-1), torch.inf)
        return [RenderOutput(image[i, ..., :3], image[i, ..., 3], face_id[i], depth[i]) for i in range(len(views))]

    @staticmethod
    def _colors(scene: FlatScene, fragments: Fragments, covered: Tensor, turned: Tensor, views: int) -> Tensor:
        """Colour of every fragment, zero where there is none."""
        index = torch.nonzero(covered.reshape(-1)).squeeze(1)
        packed = fragments.pix_to_face.reshape(-1)[index]
        barycentric = fragments.bary_coords.reshape(-1, 3).index_select(0, index)
        rgb = radiance_at(scene, packed % len(scene.faces), barycentric, turned[packed])
        return rgb.new_zeros(covered.numel(), 3).index_copy(0, index, rgb).view(*covered.shape, 3)

    @staticmethod
    def _empty(scene: FlatScene, view: View) -> RenderOutput:
        blank = scene.positions.new_zeros(view.height, view.width)
        nothing = torch.full_like(blank, -1, dtype=torch.int64)
        return RenderOutput(blank[..., None].expand(-1, -1, 3), blank, nothing, torch.full_like(blank, torch.inf))


def _kind(view: View) -> tuple[int, int, bool, float]:
    return view.width, view.height, view.perspective, view.near
