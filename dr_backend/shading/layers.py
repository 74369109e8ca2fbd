"""See-through surfaces: what lies behind them, layer by layer.

Everitt 2001, "Interactive order-independent transparency": each pass finds the next surface behind the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..raster.interpolate import interpolate, spread
from ..raster.project import Projected, View
from ..raster.rasterize import FAR, Layer
from .opacity import opacity_at, see_through_faces
from .surface import radiance_at

MAX_LAYERS = 8  # as many as Cycles looks through unless it is told otherwise; what lies behind them is left out
PLANNED_LAYERS = 4  # that memory is planned for, were all of them to cover every pixel
UNSEEN = 1e-3  # share of a pixel below which nobody looks further

Rasterizer = Callable[[Layer], tuple[Tensor, Tensor]]  # faces behind a layer, and their nearness


@dataclass(frozen=True)
class Stacked:
    """A view through its layers, outlines hard."""

    image: Float[Tensor, "N 4"]  # rows of pixels: colour premultiplied by coverage, coverage
    layers: list[Int[Tensor, "H W"]]  # what each pixel shows: its nearest face, the next, and so on; at the end the last one again
    face_id: Int[Tensor, "H W"]  # the nearest that hides anything; -1 where none does
    depth: Float[Tensor, "H W"]  # of it


def layers_planned(scene: FlatScene) -> int:
    """How many layers of every pixel memory has to hold, as a rule."""
    return 1 if see_through_faces(scene) is None else PLANNED_LAYERS


def shows_through(scene: FlatScene, face_id: Int[Tensor, "H W"]) -> bool:
    """Whether any of these pixels sees a surface that may let something show through."""
    marks = see_through_faces(scene)
    return marks is not None and len(marks) > 0 and bool((marks[face_id.clamp_min(0).long()] & (face_id >= 0)).any())


def stack_layers(
    scene: FlatScene, projected: Projected, view: View, turned: Int[Tensor, " F"], rasterizer: Rasterizer, color: bool
) -> Stacked:
    """Surfaces composited front to back: each adds its colour times its alpha times what those before it let through, as the coverage
    1 - (1 - alpha_1)(1 - alpha_2)... adds up.

    ``scene`` is as ``surface.seen_from`` gives it, ``turned`` as ``silhouettes.facing``; without ``color`` the colours stay zero.
    Gradients: exact for colours, alpha, and within faces for positions and camera; where alpha is 0 the surface gets none.
    """
    size, like = view.height * view.width, scene.positions
    image, passing = like.new_zeros(size, 4), like.new_ones(size)
    front_face, depth = torch.full((size,), -1, dtype=torch.int64, device=like.device), like.new_full((size,), torch.inf)
    before = Layer(front_face.view(view.height, view.width).int(), depth.detach().float().view(view.height, view.width))
    layers: list[Tensor] = []
    for _ in range(MAX_LAYERS):
        face_id, nearness = rasterizer(before)
        found = interpolate(projected, scene.faces, face_id.long(), view)
        if not len(found.pixel) and layers:
            break
        wanted = before.nearness > FAR
        layers.append(torch.where(wanted, face_id.long(), layers[-1] if layers else -1))
        wide = spread(projected.camera, scene.faces, found.face, found.barycentric, found.pixel, view)
        opacity = opacity_at(scene, found.face, found.barycentric, wide)
        kept = torch.nonzero(opacity.detach() > 0).squeeze(1)
        pixel, face, barycentric = found.pixel[kept], found.face[kept], found.barycentric.index_select(0, kept)
        share = opacity[kept] * passing[pixel]
        rgb = like.new_zeros(len(kept), 3)
        if color:
            rgb = radiance_at(scene, face, barycentric, turned[face], wide[kept])
        image = image.index_add(0, pixel, torch.cat([rgb, torch.ones_like(rgb[:, :1])], dim=1) * share[:, None])
        passing = passing.index_add(0, pixel, -share)
        first = front_face[pixel] < 0
        front_face[pixel[first]] = face[first]
        depth = depth.index_copy(0, pixel[first], found.depth[kept][first])
        before = Layer(face_id, torch.where((passing.detach() > UNSEEN).view(face_id.shape), nearness, FAR))
    return Stacked(image, layers, front_face.view(view.height, view.width), depth.view(view.height, view.width))
