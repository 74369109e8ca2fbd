"""The renderer that runs everywhere: a hard rasterizer in torch operations with anti-aliased, differentiable outlines."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..raster.coverage import blend_outlines
from ..raster.interpolate import interpolate, spread
from ..raster.project import project, view_of
from ..raster.rasterize import Layer, rasterize
from ..raster.silhouettes import facing
from ..scene import Camera
from ..shading.layers import layers_planned, shows_through
from ..shading.surface import radiance_at, seen_from
from .base import Capabilities, Maps, RenderOutput, maps_of, through_layers

BYTES_PER_PIXEL = 700  # measured peak of a textured forward and backward pass, covered pixels
BYTES_PER_FACE = 900


class ReferenceRenderer:
    """Hard visibility, exact interior gradients, outlines by ``raster.coverage``."""

    capabilities = Capabilities(
        name="reference",
        devices=("cpu", "cuda"),
        soft=False,
        summary="Sharp outlines with exact gradients; needs nothing but PyTorch.",
    )

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)

    def render(self, scene: FlatScene, cameras: Sequence[Camera], *, color: bool = True) -> list[RenderOutput]:
        """One image per camera; without ``color`` depth carries no gradient and ``rgb`` is zero."""
        return [self._render_view(scene, camera, color) for camera in cameras]

    def maps(self, scene: FlatScene, camera: Camera, attributes: Tensor | None = None) -> Maps:
        """Faces, barycentric coordinates, depth, normals and vertex attributes (V, K) of one view."""
        view = view_of(camera, scene.positions)
        projected = project(scene.positions, view)
        face_id, depth = rasterize(projected, scene.faces, view, self._shown(scene, facing(projected.camera, scene.faces, view)))
        found = interpolate(projected, scene.faces, face_id, view)
        weights = scene.positions.new_zeros(face_id.numel(), 3).index_copy(0, found.pixel, found.barycentric)
        depth = depth.view(-1).index_copy(0, found.pixel, found.depth).view(face_id.shape)
        return maps_of(scene, face_id, weights.view(*face_id.shape, 3), depth, attributes)

    def plan(self, scene: FlatScene, cameras: Sequence[Camera]) -> int:
        """Peak bytes of a forward and backward pass, if every pixel were covered; several times where surfaces are see-through."""
        pixels = sum(camera.size[0] * camera.size[1] for camera in cameras)
        return pixels * layers_planned(scene) * BYTES_PER_PIXEL + len(scene.faces) * len(cameras) * BYTES_PER_FACE

    @staticmethod
    def _shown(scene: FlatScene, turned: Tensor) -> Tensor | None:
        """Faces (F,) that are not culled; None where none is."""
        return None if scene.culled is None else (turned > 0) | (scene.culled == 0)

    def _render_view(self, scene: FlatScene, camera: Camera, color: bool) -> RenderOutput:
        view = view_of(camera, scene.positions)
        projected = project(scene.positions, view)
        turned = facing(projected.camera, scene.faces, view)
        shown = self._shown(scene, turned)
        face_id, depth = rasterize(projected, scene.faces, view, shown)
        shape = (view.height, view.width)
        if shows_through(scene, face_id):
            def behind(layer: Layer) -> tuple[Tensor, Tensor]:
                return rasterize(projected, scene.faces, view, shown, layer)

            return through_layers(seen_from(scene, camera), projected, view, turned, shown, behind, color)
        alpha = (face_id >= 0).to(scene.positions.dtype).reshape(-1, 1)
        if not color:
            alpha = blend_outlines(alpha, projected, scene.topology, [face_id], view, shown)
            return RenderOutput(scene.positions.new_zeros(*shape, 3), alpha.view(shape), face_id, depth)
        fragments = interpolate(projected, scene.faces, face_id, view)
        depth = depth.view(-1).index_copy(0, fragments.pixel, fragments.depth)
        wide = spread(projected.camera, scene.faces, fragments.face, fragments.barycentric, fragments.pixel, view)
        rgb = radiance_at(seen_from(scene, camera), fragments.face, fragments.barycentric, turned[fragments.face], wide)
        image = scene.positions.new_zeros(face_id.numel(), 3).index_copy(0, fragments.pixel, rgb)
        image = torch.cat([image, alpha], dim=1)
        image = blend_outlines(image, projected, scene.topology, [face_id], view, shown)
        return RenderOutput(image[:, :3].reshape(*shape, 3), image[:, 3].reshape(shape), face_id, depth.view(shape))
