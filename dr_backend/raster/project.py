"""From world space to the pixels of one camera."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..language import told
from ..scene import Camera
from ..scene.lens import lens_shift, measures, reach


@dataclass(frozen=True, eq=False)
class View:
    """A camera as tensors of one device and dtype."""

    rotation: Float[Tensor, "3 3"]  # camera from world
    translation: Float[Tensor, " 3"]
    focal_px: Float[Tensor, " 2"]
    centre_px: Float[Tensor, " 2"]
    width: int
    height: int
    perspective: bool
    near: float
    lens: Float[Tensor, " 9"] | None = None  # k1, k2, k3, p1, p2, and the focal length and centre that they are measured by; None: straight
    reach: float = math.inf  # of the lens, see ``scene.lens``

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """All that may have a gradient."""
        return self.rotation, self.translation, self.focal_px, self.centre_px, self.lens

    @cached_property
    def moving(self) -> bool:
        """Whether any has."""
        return any(each is not None and each.requires_grad for each in self.tensors)

    @property
    def fixed(self) -> View:
        """The same without gradients."""
        if not self.moving:
            return self
        rotation, translation, focal_px, centre_px, lens = (None if each is None else each.detach() for each in self.tensors)
        return replace(self, rotation=rotation, translation=translation, focal_px=focal_px, centre_px=centre_px, lens=lens)

    @cached_property
    def numbers(self) -> tuple[tuple[float, ...], ...]:
        """Rotation row by row, translation, focal length and centre: what kernels are told."""
        return tuple(tuple(t.detach().flatten().tolist()) for t in (self.rotation, self.translation, self.focal_px, self.centre_px))


@dataclass(frozen=True)
class Projected:
    """The vertices of a scene as one camera sees them."""

    camera: Float[Tensor, "V 3"]  # camera space, world units; where the lens distorts, moved to where a straight one would see the same
    xy: Float[Tensor, "V 2"]  # pixels; without meaning where depth <= near
    nearness: Float[Tensor, " V"]  # 1 / depth, or -depth for an orthographic camera: linear across the screen, larger is nearer

    @property
    def depth(self) -> Float[Tensor, " V"]:
        """Distance along the view axis, world units."""
        return -self.camera[:, 2]


_views: dict[Hashable, View] = {}  # by their cameras' numbers: made once for all steps of a fit, since it takes as long as many a kernel
_MOST_VIEWS = 1024


def view_of(camera: Camera, like: Tensor) -> View:
    """``camera`` on the device and in the dtype of ``like``; tensors keep their gradients."""
    key: list[Hashable] = [camera.size, camera.projection, camera.near, like.device, like.dtype]
    lens = camera.distortion, camera.distortion_focal_px, camera.distortion_centre_px
    for value in (camera.camera_from_world, camera.focal_px, camera.centre_px, *lens):
        if isinstance(value, Tensor) and (value.requires_grad or value.is_cuda):
            return _view(camera, like.device, like.dtype)
        key += (None,) if value is None else ((array := np.asarray(value)).dtype.char, array.tobytes())
    found = _views.get(known := tuple(key))
    if found is None:
        found = _view(camera, like.device, like.dtype)
        if len(_views) >= _MOST_VIEWS:
            _views.clear()
        _views[known] = found
    return found


def _view(camera: Camera, device: torch.device, dtype: torch.dtype) -> View:
    def convert(value: object) -> Tensor:
        return torch.as_tensor(value).to(device=device, dtype=dtype, copy=True)

    camera_from_world = convert(camera.camera_from_world)
    return View(
        rotation=camera_from_world[:3, :3],
        translation=camera_from_world[:3, 3],
        focal_px=convert(camera.focal_px),
        centre_px=convert(camera.centre_px),
        width=camera.size[0],
        height=camera.size[1],
        perspective=camera.projection == "perspective",
        near=float(camera.near),
        lens=None if camera.distortion is None else torch.cat([convert(value) for value in (camera.distortion, *measures(camera))]),
        reach=reach(camera),
    )


def bend(camera_positions: Float[Tensor, "V 3"], view: View) -> Float[Tensor, "V 3"]:
    """Points in camera space, moved sideways to where a lens without distortion shows them as this one does; depths stay.

    From there on everything is that lens's: straight edges, near plane, depth and perspective. Only vertices are moved, so large faces
    have to be split first (see ``refine``). Points nearer than ``near`` move as if they were there.
    Gradients: exact for every input in front of it, within the reach of the lens.
    """
    if view.lens is None:
        return camera_positions
    focal, centre = view.lens[5:7], view.lens[7:]
    down = torch.stack([view.focal_px[0], -view.focal_px[1]])
    distance = (-camera_positions[:, 2:]).clamp_min(view.near) if view.perspective else torch.ones_like(camera_positions[:, 2:])
    x, y = ((view.centre_px + camera_positions[:, :2] / distance * down - centre) / focal).unbind(1)
    moved = torch.stack(lens_shift(x, y, view.lens[:5], view.reach), dim=1) * focal / down * distance
    return torch.cat([camera_positions[:, :2] + moved, camera_positions[:, 2:]], dim=1)


def to_screen(camera_positions: Float[Tensor, "*n 3"], view: View) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n"]]:
    """Pixel position and nearness (see ``Projected``) of points in camera space, by the formulas of ``scene.Camera``.

    Points nearer than ``near`` are taken at ``near`` so that nothing divides by zero. Gradients: exact for every input in front of it.
    """
    depth = -camera_positions[..., 2]
    offset = camera_positions[..., :2] * torch.stack([view.focal_px[0], -view.focal_px[1]])
    if not view.perspective:
        return view.centre_px + offset, -depth
    nearness = depth.clamp_min(view.near).reciprocal()
    return view.centre_px + offset * nearness[..., None], nearness


def to_camera(positions: Float[Tensor, "V 3"], view: View) -> Float[Tensor, "V 3"]:
    """World positions in camera space, before the lens bends them. Gradients: exact.

    Written out instead of as a product of matrices, whose rounding depends on the library that multiplies: kernels compute the same bits.
    """
    x, y, z = positions[:, :1] * view.rotation[:, 0], positions[:, 1:2] * view.rotation[:, 1], positions[:, 2:] * view.rotation[:, 2]
    return x + y + z + view.translation


def refuse_unless_finite(total: float) -> None:
    """Raises a ``ValueError`` if a sum of all coordinates is not finite: rasterizers would take such faces for hidden."""
    if not math.isfinite(total):
        raise ValueError(
            told("A vertex or camera is at a place that is not a number. Undo what moved it, or check its modifiers and drivers.")
        )


def project(positions: Float[Tensor, "V 3"], view: View) -> Projected:
    """World-space vertices on the screen, through the lens. Gradients: exact for positions and every camera tensor.

    Raises:
        ValueError: A position or the camera holds a number that is not finite.
    """
    camera = bend(to_camera(positions, view), view)
    xy, nearness = to_screen(camera, view)
    refuse_unless_finite(float(camera.detach().sum() + xy.detach().sum()))
    return Projected(camera=camera, xy=xy, nearness=nearness)
