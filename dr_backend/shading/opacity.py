"""How much of what lies behind them surface points hide."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.flatten import FlatOpacity, FlatScene
from ..raster.interpolate import mix_corners, texture_area
from .textures import texel_at


def see_through_faces(scene: FlatScene) -> Tensor | None:
    """Faces (F,) of materials that may let something show through; None where no material does."""
    if all(material.opacity is None for material in scene.materials):
        return None
    marks = torch.tensor([material.opacity is not None for material in scene.materials], device=scene.positions.device)
    return marks[scene.face_material]


def opacity_at(
    scene: FlatScene, face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"], spread: Float[Tensor, " P"] | None = None
) -> Float[Tensor, " P"]:
    """Alpha of points on faces, 0 to 1.

    With ``spread`` (see ``raster.interpolate``) images are filtered where their texels are smaller than pixels, but not where a threshold
    decides: it would take the mean for one thing or the other. Gradients: exact for alpha, its image and ``barycentric``; none where a
    threshold decides.
    """
    material = scene.face_material[face]
    result = scene.positions.new_ones(len(face))
    for index, flat in enumerate(scene.materials):
        if flat.opacity is None:
            continue
        here = torch.nonzero(material == index).squeeze(1)
        wide = None if spread is None or flat.opacity.threshold is not None else spread[here]
        result = result.index_copy(0, here, _alpha(scene, flat.opacity, face[here], barycentric.index_select(0, here), wide))
    return result


def _alpha(scene: FlatScene, opacity: FlatOpacity, face: Tensor, barycentric: Tensor, spread: Tensor | None) -> Tensor:
    if opacity.texture is None:
        alpha = opacity.alpha.expand(len(face))
    else:
        area = None if spread is None else texture_area(scene.uvs, face, spread)
        alpha = texel_at(opacity.texture, mix_corners(scene.uvs, face, barycentric), area).squeeze(1)
    return alpha.clamp(0.0, 1.0) if opacity.threshold is None else (alpha > opacity.threshold).to(alpha.dtype)
