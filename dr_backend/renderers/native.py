"""Our own kernels: the fastest renderer on a processor, and the same source on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ..geometry.flatten import FlatMaterial, FlatScene
from ..kernels.launch import BASIS, Launcher, load, shared_launcher
from ..raster.interpolate import spread
from ..raster.native.batch import Batch
from ..raster.native.bridge import blend_views, cover_views, draw_views, locate
from ..raster.native.rasterize import rasterize
from ..raster.native.shade import Lighting
from ..raster.project import project, view_of
from ..raster.rasterize import Layer
from ..scene import Camera
from ..shading.lamp_table import tabulate_lamps
from ..shading.layers import layers_planned, shows_through
from ..shading.opacity import see_through_faces
from ..shading.surface import radiance_at, seen_from
from .base import Capabilities, Maps, RenderOutput, maps_of, through_layers

BYTES_PER_PIXEL = 80  # measured peak of a textured forward and backward pass
BYTES_PER_STACKED_PIXEL = 700  # and layer, of a scene with see-through surfaces, which torch composites: 320 to 650 were measured
BYTES_PER_LIT_PIXEL = 600  # the same of a lit scene, whose shading torch computes
BYTES_PER_WIDE_LAMP = 4000  # and pixel: of a lamp that has a size, and so many samples
BYTES_PER_FACE = 100


class NativeRenderer:
    """Hard visibility, exact interior gradients, blended outlines, as ``reference`` has them; unlit scenes never leave the kernels.

    Results do not depend on ``threads``, which only a processor uses.
    """

    capabilities = Capabilities(
        name="native",
        devices=("cpu", "cuda"),
        soft=False,
        summary="Sharp outlines with exact gradients, in kernels of our own: fast on every processor.",
        batches=True,
    )

    def __init__(self, device: str = "cpu", *, threads: int | None = None) -> None:
        self.device = torch.device(device)
        load(self.device, BASIS)
        self._launcher = shared_launcher(self.device) if threads is None else Launcher(self.device, threads)

    def render(self, scene: FlatScene, cameras: Sequence[Camera], *, color: bool = True) -> list[RenderOutput]:
        """One image per camera; without ``color`` depth carries no gradient and ``rgb`` is zero."""
        if not cameras:
            return []
        positions = scene.positions.contiguous()
        batch = Batch(scene.topology, positions, scene.culled, [view_of(camera, positions) for camera in cameras], self._launcher)
        if see_through_faces(scene) is not None and any(shows_through(scene, seen.face_id) for seen in batch.look()):
            return [self._stack(seen_from(scene, camera), batch, index, color) for index, camera in enumerate(cameras)]
        if not color:
            alphas, depths = cover_views(batch, positions)
            images = [_black(view.height, view.width, positions.device) for view in batch.views]
            return [RenderOutput(*each) for each in zip(images, alphas, batch.faces, depths, strict=True)]
        paintable = _paintable(scene)
        lamps = tabulate_lamps(scene) if paintable and not scene.unlit else None
        if paintable and (scene.unlit or lamps is not None):
            lighting = None
            if lamps is not None:
                assert scene.corner_normals is not None  # the scene is lit
                lighting = Lighting(lamps, scene.corner_normals)
            images, alphas, depths = draw_views(batch, positions, *_palette(scene, positions), lighting)
        else:
            batch.look()
            images, depths = self._shade(scene, cameras, batch, positions)
            alphas, images = blend_views(batch, positions, images)
            batch.faces = [seen.face_id for seen in batch.seen]
        return [RenderOutput(*each) for each in zip(images, alphas, batch.faces, depths, strict=True)]

    def maps(self, scene: FlatScene, camera: Camera, attributes: Tensor | None = None) -> Maps:
        """Faces, barycentric coordinates, depth, normals and vertex attributes (V, K) of one view."""
        positions = scene.positions.contiguous()
        batch = Batch(scene.topology, positions, scene.culled, [view_of(camera, positions)], self._launcher)
        batch.look()
        (weights,), (depth,) = locate(batch, positions)
        return maps_of(scene, batch.seen[0].face_id, weights, depth, attributes)

    def plan(self, scene: FlatScene, cameras: Sequence[Camera]) -> int:
        """Peak bytes of a forward and backward pass, if every pixel were covered; several times where surfaces are see-through."""
        pixels = sum(camera.size[0] * camera.size[1] for camera in cameras)
        layers = layers_planned(scene)
        per_pixel = BYTES_PER_PIXEL if layers == 1 else BYTES_PER_STACKED_PIXEL
        if not scene.unlit:
            wide = sum(any(size is not None for size in (lamp.radius, lamp.size, lamp.angle_rad)) for lamp in scene.lights)
            per_pixel = max(per_pixel, BYTES_PER_LIT_PIXEL) + wide * BYTES_PER_WIDE_LAMP
        return pixels * layers * per_pixel + len(scene.faces) * len(cameras) * BYTES_PER_FACE

    @staticmethod
    def _shade(
        scene: FlatScene, cameras: Sequence[Camera], batch: Batch, positions: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Radiance and depths of any scene."""
        weights, depths = locate(batch, positions)
        images = []
        for seen, camera, weight in zip(batch.seen, cameras, weights, strict=True):
            flat = seen.face_id.reshape(-1).long()
            pixel = torch.nonzero(flat >= 0).squeeze(1)
            face = flat[pixel]
            barycentric = weight.reshape(-1, 3).index_select(0, pixel)
            wide = spread(seen.camera, scene.faces, face, barycentric, pixel, seen.view)
            rgb = radiance_at(seen_from(scene, camera), face, barycentric, seen.bins.facing.long()[face], wide)
            image = positions.new_zeros(len(flat), 3).index_copy(0, pixel, rgb).view(*seen.face_id.shape, 3)
            images.append(image.clone())  # outlines are blended in place, which autograd does not allow in a view
        return images, depths

    @staticmethod
    def _stack(scene: FlatScene, batch: Batch, index: int, color: bool) -> RenderOutput:
        """A view with see-through surfaces: our rasterizer, and torch for the rest."""
        seen, view = batch.seen[index], batch.views[index]
        projected, turned, faces = project(scene.positions, view), seen.bins.facing.long(), scene.topology.faces32
        shown = None if scene.culled is None else (turned > 0) | (scene.culled == 0)

        def behind(layer: Layer) -> tuple[Tensor, Tensor]:
            *found, work = rasterize(seen.camera, faces, seen.bins, seen.view, batch.launcher, layer)
            batch.launcher.run([work])
            return found[0], found[1]

        return through_layers(scene, projected, view, turned, shown, behind, color)


@lru_cache(256)
def _black(height: int, width: int, device: torch.device) -> Tensor:
    """An image without memory, that nobody can write to."""
    with torch.inference_mode(False):  # whoever asks first
        return torch.zeros((), device=device).expand(height, width, 3)


def _paintable(scene: FlatScene) -> bool:
    """Whether kernels know the scene's base colours: images do they know, but not what is given to corners and may move."""
    moving = scene.uvs.requires_grad or any(m.uv_matrix is not None and m.uv_matrix.requires_grad for m in scene.materials)
    return bool(scene.materials) and not moving and not any(m.color_attribute or m.weights is not None for m in scene.materials)


def _palette(scene: FlatScene, positions: Tensor) -> tuple[Tensor, Sequence[FlatMaterial], Tensor, Tensor]:
    """UVs, materials, their colours and the texels of all their images, as ``draw_views`` takes them."""
    uvs = scene.uvs
    for index, material in enumerate(scene.materials):
        if material.image is not None and material.uv_matrix is not None:
            placed = uvs @ material.uv_matrix[:, :2].T + material.uv_matrix[:, 2]
            uvs = torch.where((scene.face_material == index)[:, None, None], placed, uvs)
    images = [m.image for m in scene.materials if m.image is not None]
    joined = images[0] if len(images) == 1 else torch.cat([*(image.reshape(-1, 3) for image in images), positions.new_zeros(0, 3)])
    colors = torch.stack([m.base_color for m in scene.materials]) if len(scene.materials) > 1 else scene.materials[0].base_color.view(1, 3)
    return uvs.contiguous(), scene.materials, colors, joined.contiguous()
