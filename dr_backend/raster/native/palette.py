"""The textures of a batch: what colours its pixels, and what their gradients mean for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...geometry.flatten import FlatMaterial
from ...kernels.launch import Work, side_by_side
from .batch import Batch, Seen
from .gather import texel_gradients
from .paint import Painted, paint
from .pull import Looks, Pull, pull_corners
from .srgb import encode_texels, unencode_gradients
from .texture import reduce_levels, tabulate


class Palette:
    """What colours a batch: its textures, and where faces lie on them."""

    def __init__(self, batch: Batch, materials: Sequence[FlatMaterial], uvs: Tensor, colors: Tensor, texels: Tensor) -> None:
        self.batch, self.uvs, self.textures = batch, uvs, tabulate(materials, colors, texels)

    def prepare(self) -> list[Work]:
        """What makes encoded texels, and smaller levels."""
        return [*encode_texels(self.textures, self.batch.launcher), *reduce_levels(self.textures)]

    def paint(self, seen: Seen, lit: bool, keep: bool) -> tuple[Painted, list[Work]]:
        """See ``paint``; to be run after ``prepare``."""
        topology = self.batch.topology
        return paint(
            seen.camera, topology.faces32, self.uvs, topology.face_material32, self.textures, seen.face_id, seen.depth, seen.bins,
            seen.view, self.batch.launcher, lit, keep,
        )

    def unpaint(
        self, pulls: Sequence[Pull], painted: Sequence[Painted], images: Sequence[Tensor | None], depths: Sequence[Tensor | None],
        weights: Sequence[Tensor | None], moving: bool, texels: bool,
    ) -> tuple[Tensor | None, list[list[Work]]]:
        """The gradient for texels, if it is wanted, and what is still to be run for that and, if things are ``moving``, for the pulls.

        ``images`` are the gradients for colours; where texels are encoded they are changed on the spot.
        """
        batch, topology, work = self.batch, self.batch.topology, []
        for index, (pull, seen, made) in enumerate(zip(pulls, batch.seen, painted, strict=True)):
            given = weights[index], depths[index], images[index]
            if all(g is None for g in given) or not (moving or any(self.textures.encoded)):
                continue
            looks = None
            if given[2] is not None and made.read is not None:
                looks = Looks(self.textures, self.uvs, topology.face_material32, made.read.address, given[2])
            work.append(pull.take(pull_corners(
                seen.camera, topology.faces32, seen.face_id, seen.bins, made.runs, seen.view, batch.launcher, *given[:2], looks,
                pull.by_camera, pull.intrinsics,
            )))
        if not texels:
            return None, side_by_side(work)
        views = [
            (seen.face_id, made.read, g)
            for seen, made, g in zip(batch.seen, painted, images, strict=True)
            if g is not None and made.read is not None
        ]
        grad_texels, gather = texel_gradients(views, topology.face_material32, self.textures, batch.launcher)
        if any(self.textures.encoded):  # gradients for encoded texels are those that the pulls leave behind
            gather += unencode_gradients(self.textures, grad_texels, batch.launcher)
            return grad_texels, side_by_side(work) + side_by_side([gather])
        return grad_texels, side_by_side([*work, gather])

    def by_colors(self, colors: Tensor, images: Sequence[Tensor | None]) -> Tensor:
        """The gradient for the colours of materials that have no image."""
        topology, found = self.batch.topology, torch.zeros_like(colors)
        for seen, by_rgb in zip(self.batch.seen, images, strict=True):
            if by_rgb is not None:
                shown = (seen.face_id >= 0).reshape(-1).nonzero().squeeze(1)
                material = topology.face_material[seen.face_id.reshape(-1)[shown].long()]
                found.index_add_(0, material, by_rgb.reshape(-1, 3)[shown])
        found[[i for i, size in enumerate(self.textures.sizes) if size[0] > 0]] = 0.0
        return found
