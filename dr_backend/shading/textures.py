"""Reading images as Blender's Image Texture node does: extension, interpolation, and the space that texels are mixed in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import Texture
from ..raster.texture import level_for, sample_texture, smaller_levels


def to_srgb(linear: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """sRGB encoding of linear values (IEC 61966-2-1), not clipped above. Gradients: exact; the straight part is also used below 0."""
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curved)


def to_linear(encoded: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Linear values of an sRGB encoding: the inverse of ``to_srgb``. Gradients: exact."""
    curved = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, curved)


def _closest(image: Float[Tensor, "H W K"], uv: Float[Tensor, "P 2"], wraps: bool) -> Float[Tensor, "P K"]:
    """The texel that each coordinate lies in. Gradients: exact for the image, none for the coordinates."""
    height, width = image.shape[:2]
    column, row = (uv[:, 0] * width).floor().long(), ((1.0 - uv[:, 1]) * height).ceil().long() - 1
    if wraps:
        column, row = column % width, row % height
    else:
        column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    return image.reshape(height * width, -1).index_select(0, row * width + column)


def _fade(uv: Float[Tensor, "P 2"], size: tuple[int, int]) -> Float[Tensor, "P 1"]:
    """How much of a clipped image a linear lookup sees: 1 inside, 0 from half a texel outside its border on."""
    inside = [((0.5 - (uv[:, k] - 0.5).abs()) * size[k] + 0.5).clamp(0.0, 1.0) for k in (0, 1)]
    return (inside[0] * inside[1])[:, None]


def _lookup(image: Float[Tensor, "H W K"], texture: Texture, uv: Float[Tensor, "P 2"]) -> Float[Tensor, "P K"]:
    """Lookups in one level of an image, whose UVs are placed already."""
    extension, kept = texture.extension, None
    if extension == "mirror":
        uv = 1.0 - (uv.remainder(2.0) - 1.0).abs()
    elif extension == "clip":
        size = (image.shape[1], image.shape[0])
        inside = ((uv >= 0) & (uv <= 1)).all(1, keepdim=True)
        kept = inside.to(uv.dtype) if texture.interpolation == "closest" else _fade(uv, size)
    if texture.interpolation == "closest":
        values = _closest(image, uv, extension == "repeat")
    else:
        values = sample_texture(image, uv, "repeat" if extension == "repeat" else "extend")
    return values if kept is None else values * kept


def texel_at(texture: Texture, uv: Float[Tensor, "P 2"], area: Float[Tensor, " P"] | None = None) -> Float[Tensor, "P K"]:
    """An image at UVs; zero outside a clipped one. ``area`` is what a pixel covers of the UV square: large areas read smaller levels.

    8-bit sRGB images are mixed as they are encoded, which is how Cycles holds them; with ``weights`` texels count by those.
    Gradients: exact for image and coordinates; Closest passes none to coordinates.
    """
    image = to_srgb(texture.image) if texture.encoded else texture.image
    if texture.weights is not None:
        image = torch.cat([image * texture.weights, texture.weights], dim=2)
    if texture.uv_matrix is not None:
        uv = torch.addmm(texture.uv_matrix[:, 2], uv, texture.uv_matrix[:, :2].T)
        area = None if area is None else area * torch.linalg.det(texture.uv_matrix[:, :2].detach()).abs()
    level = None if area is None or not len(uv) else level_for(area * (image.shape[0] * image.shape[1]))
    highest = 0 if level is None else int(level.max().ceil())
    if highest == 0:
        values = _lookup(image, texture, uv)
    else:
        made = texture.smaller and not texture.encoded and texture.weights is None
        levels = [image, *texture.smaller] if made else smaller_levels(image, highest)
        level = level.clamp_max(len(levels) - 1)
        values = image.new_zeros(len(uv), image.shape[2])
        for number, smaller in enumerate(levels):
            share = 1.0 - (level - number).abs()
            here = torch.nonzero(share > 0).squeeze(1)
            part = _lookup(smaller, texture, uv.index_select(0, here)) * share[here, None]
            values = values.index_add(0, here, part)
    if texture.weights is not None:
        values = values[:, :-1] / values[:, -1:].clamp_min(1e-6)
    return to_linear(values) if texture.encoded else values
