"""Perspective-correct positions within faces, and attributes there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .project import Projected, View, to_screen


@dataclass(frozen=True)
class Fragments:
    """The covered pixels of one view, in row order."""

    pixel: Int[Tensor, " P"]  # row * width + column
    face: Int[Tensor, " P"]
    barycentric: Float[Tensor, "P 3"]
    depth: Float[Tensor, " P"]


def face_forms(corners: Float[Tensor, "N 3 3"], view: View) -> Float[Tensor, "N 14"]:
    """What ``barycentric_at`` needs of triangles in camera space: per triangle a reference pixel, and three linear forms over the screen.

    The weight of corner i at a pixel with ray direction d is proportional to d · (p_j × p_k) (Olano and Greer 1997, "Triangle scan
    conversion using 2D homogeneous coordinates"), also when corners lie behind the camera. The forms are taken around a point near
    the triangle, because the products cancel badly when it is small and far away.
    """
    with torch.no_grad():
        middle = corners.mean(1)
        origin, _ = to_screen(middle, view)
        origin = torch.stack([origin[:, 0].clamp(0, view.width), origin[:, 1].clamp(0, view.height)], dim=1).round()
        reach = (-middle[:, 2]).clamp_min(view.near) if view.perspective else torch.ones_like(middle[:, 2])
    tangent = (origin - view.centre_px) / view.focal_px
    zero, one = torch.zeros_like(tangent[:, 0]), torch.ones_like(tangent[:, 0])
    direction = torch.stack([tangent[:, 0], -tangent[:, 1], -one], dim=1) if view.perspective else torch.stack([zero, zero, -one], dim=1)
    base = reach[:, None] * direction if view.perspective else torch.stack([tangent[:, 0], -tangent[:, 1], zero], dim=1)
    local = corners - base[:, None]
    ahead, behind = local.roll(-1, 1), local.roll(-2, 1)
    product = torch.linalg.cross(ahead, behind)
    turn = torch.linalg.cross((reach[:, None] * direction)[:, None].expand_as(local), behind - ahead)
    constant = (product * direction[:, None]).sum(-1)
    slopes = (product + turn if view.perspective else turn)[..., :2]
    slope_x, slope_y = slopes[..., 0] / view.focal_px[0], -slopes[..., 1] / view.focal_px[1]
    return torch.cat([constant, slope_x, slope_y, -corners[..., 2], origin], dim=1)


def barycentric_at(
    forms: Float[Tensor, "P 14"], x_px: Float[Tensor, " P"], y_px: Float[Tensor, " P"]
) -> tuple[Float[Tensor, "P 3"], Float[Tensor, " P"]]:
    """Barycentric coordinates and depth of each triangle at a pixel position. Coordinates stay within 0..1.

    Gradients: exact for the forms; zero where a coordinate leaves its range, as happens to triangles seen edge-on.
    """
    constant, slope_x, slope_y, depths, origin = forms.split([3, 3, 3, 3, 2], dim=1)
    moved = torch.stack([x_px, y_px], dim=1) - origin.detach()
    weights = torch.addcmul(torch.addcmul(constant, slope_x, moved[:, :1]), slope_y, moved[:, 1:])
    facing = torch.where(weights.detach().sum(1, keepdim=True) < 0, -1.0, 1.0)
    weights = (weights * facing).clamp_min(0.0)
    total = weights.sum(1, keepdim=True)
    sound = total > torch.finfo(forms.dtype).tiny
    barycentric = torch.where(sound, weights / torch.where(sound, total, 1.0), 1.0 / 3.0)
    return barycentric, (barycentric * depths).sum(1)


def interpolate(projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], view: View) -> Fragments:
    """Barycentric coordinates and depth at the centres of covered pixels.

    Gradients: exact for vertices and camera within a face; which face a pixel sees is constant.
    """
    flat = face_id.reshape(-1)
    pixel = torch.nonzero(flat >= 0).squeeze(1)
    face = flat[pixel]
    seen = torch.zeros(len(faces), dtype=torch.bool, device=flat.device)
    seen[face] = True
    visible = torch.nonzero(seen).squeeze(1)
    place = torch.zeros(len(faces), dtype=torch.int64, device=flat.device)
    place[visible] = torch.arange(len(visible), device=flat.device)
    corners = projected.camera.index_select(0, faces[visible].reshape(-1)).reshape(-1, 3, 3)
    forms = face_forms(corners, view).index_select(0, place[face])
    x_px = (pixel % view.width).to(forms.dtype) + 0.5
    y_px = torch.div(pixel, view.width, rounding_mode="floor").to(forms.dtype) + 0.5
    barycentric, depth = barycentric_at(forms, x_px, y_px)
    return Fragments(pixel=pixel, face=face, barycentric=barycentric, depth=depth)


@torch.no_grad()
def spread(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"],
    pixel: Int[Tensor, " P"], view: View,
) -> Float[Tensor, " P"]:
    """How much of its face a pixel covers: its area over twice that of the whole face, seen as at that pixel. No gradients.

    Times twice the face's area on a texture it is the area there that the pixel's colour is the mean of.
    """
    a, b, c = camera[faces[face]].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    area, reach = normal[:, 2].abs(), torch.ones_like(normal[:, 2])
    if view.perspective:
        x = ((pixel % view.width).to(a.dtype) + 0.5 - view.centre_px[0]) / view.focal_px[0]
        y = (torch.div(pixel, view.width, rounding_mode="floor").to(a.dtype) + 0.5 - view.centre_px[1]) / view.focal_px[1]
        area = (x * normal[:, 0] - y * normal[:, 1] - normal[:, 2]).abs()
        reach = -(barycentric * torch.stack([a[:, 2], b[:, 2], c[:, 2]], dim=1)).sum(1)
    covered = reach.square() / (view.focal_px[0] * view.focal_px[1])
    return covered / torch.where(area > 0, area, torch.inf)


@torch.no_grad()
def texture_area(uvs: Float[Tensor, "F 3 2"], face: Int[Tensor, " P"], spread: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    """What a pixel covers of the UV square, with what it covers of its face as ``spread`` tells. No gradients."""
    u, v = (uvs[:, corner][face] - uvs[:, 0][face] for corner in (1, 2))
    return spread * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).abs()


def mix_corners(
    attributes: Float[Tensor, "F 3 K"], face: Int[Tensor, " P"], barycentric: Float[Tensor, "P 3"]
) -> Float[Tensor, "P K"]:
    """Corner attributes at fragments. Gradients: exact for attributes and barycentric coordinates."""
    corners = attributes.flatten(1).index_select(0, face).view(len(face), 3, attributes.shape[2])
    return torch.bmm(barycentric[:, None], corners).squeeze(1)
