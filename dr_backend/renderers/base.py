"""The protocol between the fit and whatever turns a flat scene into images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.normals import corner_normals, unit
from ..raster.coverage import blend_outlines
from ..raster.interpolate import mix_corners
from ..raster.project import Projected, View
from ..scene import Camera
from ..shading.layers import Rasterizer, stack_layers


@dataclass(frozen=True)
class RenderOutput:
    """One view. Colours are linear and premultiplied by alpha, over black."""

    rgb: Float[Tensor, "H W 3"]
    alpha: Float[Tensor, "H W"]  # coverage: 1 inside, fractions at silhouettes
    face_id: Int[Tensor, "H W"]  # index into FlatScene.faces, -1 where nothing is seen
    depth: Float[Tensor, "H W"]  # distance along the view axis in world units; infinite where nothing is seen


@dataclass(frozen=True)
class Maps:
    """What a view shows besides colour, pixel centre by pixel centre, under the names that users of Neural 3D Mesh Renderer know.

    Outlines are hard, and the nearest face counts, see-through or not. Gradients: exact within faces for positions, camera and attributes;
    which face a pixel sees is constant.
    """

    face_index_map: Int[Tensor, "H W"]  # index into FlatScene.faces, -1 where nothing is seen
    weight_map: Float[Tensor, "H W 3"]  # barycentric coordinates within that face; 0 where nothing is seen, as in all that follow
    depth: Float[Tensor, "H W"]  # along the view axis in world units; infinite where nothing is seen
    normals: Float[Tensor, "H W 3"]  # unit vectors in world space, on the outside of the surface as it is shaded
    attributes: Float[Tensor, "H W K"] | None


def maps_of(
    scene: FlatScene,
    face_id: Int[Tensor, "H W"],
    weights: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    attributes: Float[Tensor, "V K"] | None,
) -> Maps:
    """Maps of a view from what a rasterizer found: normals, and vertex ``attributes`` if there are any."""
    flat = face_id.reshape(-1).long()
    pixel = torch.nonzero(flat >= 0).squeeze(1)
    face, barycentric = flat[pixel], weights.reshape(-1, 3).index_select(0, pixel)

    def dense(values: Tensor) -> Tensor:
        image = values.new_zeros(len(flat), values.shape[1]).index_copy(0, pixel, values)
        return image.view(*face_id.shape, values.shape[1])

    topology = scene.topology
    corners = scene.corner_normals
    if corners is None:
        corners = corner_normals(scene.positions, scene.faces, topology.face_smooth, topology.normal_groups)
    mixed = None if attributes is None else dense(mix_corners(attributes[scene.faces], face, barycentric))
    return Maps(face_id, weights, depth, dense(unit(mix_corners(corners, face, barycentric))), mixed)


def through_layers(
    scene: FlatScene,
    projected: Projected,
    view: View,
    turned: Int[Tensor, " F"],
    shown: Bool[Tensor, " F"] | None,
    rasterizer: Rasterizer,
    color: bool,
) -> RenderOutput:
    """A view with see-through surfaces, each over what lies behind it: see ``shading.layers.stack_layers``.

    ``face_id`` and ``depth`` are those of the nearest face that hides anything. Where outlines are blended it is what all layers make
    together, also at an outline that is seen through another surface. Gradients: as without layers, and exact for alpha.
    """
    stacked = stack_layers(scene, projected, view, turned, rasterizer, color)
    image = blend_outlines(stacked.image, projected, scene.topology, stacked.layers, view, shown)
    image = image.view(view.height, view.width, 4)
    return RenderOutput(image[..., :3], image[..., 3], stacked.face_id, stacked.depth)


@dataclass(frozen=True)
class Capabilities:
    """What a renderer can do, for ``problem.py`` and the report."""

    name: str
    devices: tuple[str, ...]
    soft: bool  # silhouettes are blurred: long reach, but no sharp edges
    summary: str
    batches: bool = False  # takes all views of a step at once, on threads of its own, and makes the smaller levels of textures for them


class Renderer(Protocol):
    """Maps a flat scene and cameras to images, with gradients for positions, normals, textures and cameras."""

    capabilities: Capabilities

    def render(self, scene: FlatScene, cameras: Sequence[Camera], *, color: bool = True) -> list[RenderOutput]:
        """One output per camera; ``color=False`` skips shading and leaves ``rgb`` zero."""
        ...

    def plan(self, scene: FlatScene, cameras: Sequence[Camera]) -> int:
        """Bytes that a forward and backward pass over these views will need at its peak."""
        ...


RendererFactory = Callable[[str, int], Renderer]  # device, and threads on a processor that one call may use
