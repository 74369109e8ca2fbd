"""The textures of a batch: what colours its pixels, and what their gradients mean for it."""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ...geometry.flatten import FlatMaterial
from ...kernels.launch import Work, side_by_side
from .batch import Batch, Seen
from .gather import texel_gradients
from .paint import Painted, paint
from .pull import Looks, Pull, pull_corners
from .srgb import encode_texels, unencode_gradients
from .texture import reduce_levels, tabulate


@dataclass(frozen=True)
class _Kept:
    """What was made of images that stand still."""

    images: list[tuple[weakref.ref[Tensor], int, bool]]  # with the number of their changes so far, and whether they are read as sRGB
    encoded: Float[Tensor, "*T 3"] | None  # texels, if any are; the images themselves must not be held
    coarse: Float[Tensor, "C 3"]

    def holds(self, materials: Sequence[FlatMaterial]) -> bool:
        """Whether these are the images, unchanged."""
        now = [m for m in materials if m.image is not None]
        return len(now) == len(self.images) and all(
            ref() is m.image and changes == m.image._version and encoded == m.encoded
            for m, (ref, changes, encoded) in zip(now, self.images, strict=True)
        )


_kept: MutableMapping[Tensor, _Kept] = WeakTensorKeyDictionary()  # by the first of the images


class Palette:
    """What colours a batch: its textures, and where faces lie on them.

    Smaller levels, and encoded texels, are made once of images that stand still: of large ones that takes longer than all else.
    """

    def __init__(self, batch: Batch, materials: Sequence[FlatMaterial], uvs: Tensor, colors: Tensor, texels: Tensor) -> None:
        self.batch, self.uvs, self._materials = batch, uvs, materials
        images = [m.image for m in materials if m.image is not None]
        moving = any(image.requires_grad or image.is_inference() for image in images)  # or may, without torch's counting it
        self._first = None if moving or not images else images[0]
        kept = None if self._first is None else _kept.get(self._first)
        self._kept = kept if kept is not None and kept.holds(materials) else None
        made = None if self._kept is None else (texels if self._kept.encoded is None else self._kept.encoded, self._kept.coarse)
        self.textures = tabulate(materials, colors, texels, made)

    def prepare(self) -> list[Work]:
        """What makes encoded texels, and smaller levels."""
        return [] if self._kept else [*encode_texels(self.textures, self.batch.launcher), *reduce_levels(self.textures)]

    def keep(self) -> None:
        """Remembers what ``prepare`` made, once it has run."""
        if self._first is not None and self._kept is None:
            images = [(weakref.ref(m.image), m.image._version, m.encoded) for m in self._materials if m.image is not None]
            textures = self.textures
            _kept[self._first] = _Kept(images, textures.texels if any(textures.encoded) else None, textures.coarse)

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
        shaped = grad_texels.view_as(self.textures.linear)
        if any(self.textures.encoded):  # gradients for encoded texels are those that the pulls leave behind
            gather += unencode_gradients(self.textures, grad_texels, batch.launcher)
            return shaped, side_by_side(work) + side_by_side([gather])
        return shaped, side_by_side([*work, gather])

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
