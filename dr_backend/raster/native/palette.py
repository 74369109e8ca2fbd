"""The textures of a batch: what colours its pixels, and what their gradients mean for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ...geometry.flatten import FlatMaterial
from ...kernels.launch import Launch, Launcher, Work, chained, side_by_side
from .batch import Batch, Seen
from .gather import texel_gradients
from .paint import Painted, paint
from .pull import Looks, Pull, pull_corners
from .srgb import encode_texels, unencode_gradients
from .texture import Layout, Textures, layout_of, reduce_levels, textures_of


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


@dataclass(frozen=True)
class Paints:
    """What the materials of a scene look like.

    Smaller levels, and encoded texels, are made once of images that stand still: of large ones that takes longer than all else.
    """

    materials: Sequence[FlatMaterial]
    layout: Layout
    uvs: Float[Tensor, "F 3 2"]
    colors: Float[Tensor, "M 3"]
    texels: Float[Tensor, "*T 3"]
    encoded: Float[Tensor, "*T 3"] | None  # texels, if any are, and if that has been done before
    coarse: Float[Tensor, "C 3"] | None  # smaller levels, if they have been made before
    still: bool  # whether what is made of the images is to be kept


def paints_of(materials: Sequence[FlatMaterial], uvs: Tensor, colors: Tensor, texels: Tensor) -> Paints:
    """Paints with what is known of them already."""
    images = [m.image for m in materials if m.image is not None]
    moving = any(image.requires_grad or image.is_inference() for image in images)  # or may, without torch's counting it
    kept = _kept.get(images[0]) if images and not moving else None
    if kept is not None and not kept.holds(materials):
        kept = None
    made = (None, None) if kept is None else (kept.encoded, kept.coarse)
    return Paints(materials, layout_of(materials, texels.device), uvs, colors, texels, *made, bool(images) and not moving)


def keep_made(paints: Paints, textures: Textures, real: Callable[[Tensor], Tensor]) -> None:
    """Remembers what was made of images that stand still, unless it was known; ``real`` are tensors that last."""
    if paints.still and paints.coarse is None:
        images = [(m.image, m.encoded) for m in paints.materials if m.image is not None]
        known = [(weakref.ref(image), image._version, read_as_srgb) for image, read_as_srgb in images]
        encoded = real(textures.texels) if any(paints.layout.encoded) else None
        _kept[images[0][0]] = _Kept(known, encoded, real(textures.coarse))


class Palette:
    """What colours a batch: its textures, and where faces lie on them."""

    def __init__(self, paints: Paints, launcher: Launcher) -> None:
        made = None if paints.coarse is None else (paints.encoded, paints.coarse)
        self.uvs, self.fresh = paints.uvs, made is None
        self.textures: Textures = textures_of(paints.layout, paints.colors, paints.texels, launcher, made, paints.still)

    def prepare(self, launcher: Launcher) -> list[Work]:
        """What makes encoded texels, and smaller levels."""
        return [*encode_texels(self.textures, launcher), *reduce_levels(self.textures)] if self.fresh else []

    def paint(self, batch: Batch, seen: Seen, lit: bool, keep: bool) -> tuple[Painted, list[Work]]:
        """See ``paint``; to be run after ``prepare``."""
        topology = batch.topology
        return paint(
            seen.camera, topology.faces32, self.uvs, topology.face_material32, self.textures, seen.face_id, seen.depth, seen.bins,
            seen.view, batch.launcher, lit, keep,
        )

    def unpaint(
        self, batch: Batch, pulls: Sequence[Pull], painted: Sequence[Painted], images: Sequence[Tensor | None],
        depths: Sequence[Tensor | None], weights: Sequence[Tensor | None], moving: bool, texels: bool, filtered: bool,
        before: Sequence[Sequence[Launch]],
    ) -> tuple[Tensor | None, list[list[Work]]]:
        """The gradient for texels, if it is wanted, and what is still to be run for that and, if things are ``moving``, for the pulls.

        ``images`` are the gradients for colours; where texels are encoded they are changed on the spot. ``filtered`` says whether
        smaller levels were read. What is to be run ``before``, for each view, has the owners of the pulls.
        """
        topology, launcher, work = batch.topology, batch.launcher, list[list[Work]]()
        for index, (pull, seen, made) in enumerate(zip(pulls, batch.seen, painted, strict=True)):
            given = weights[index], depths[index], images[index]
            if all(g is None for g in given) or not (moving or any(self.textures.encoded)):
                work += [[chained(before[index])]] if before[index] else []
                continue
            looks = None
            if given[2] is not None and made.read is not None:
                looks = Looks(self.textures, self.uvs, topology.face_material32, made.read.address, given[2])
            asking, *adding = pull.take(pull_corners(
                seen.camera, topology.faces32, seen.face_id, seen.bins, made.runs, seen.view, launcher, *given[:2], looks,
                pull.by_camera, pull.intrinsics,
            ))
            work.append([chained([*before[index], asking]), *adding])
        if not texels:
            return None, side_by_side(work)
        views = [
            (seen.face_id, made.read, g)
            for seen, made, g in zip(batch.seen, painted, images, strict=True)
            if g is not None and made.read is not None
        ]
        grad_texels, gather = texel_gradients(views, topology.face_material32, self.textures, filtered, launcher)
        if any(self.textures.encoded) or any(before):  # they need the gradients that the pulls, or what is before them, leave behind
            gather += unencode_gradients(self.textures, grad_texels, launcher)
            return grad_texels, side_by_side(work) + side_by_side([gather])
        return grad_texels, side_by_side([*work, gather])


def color_gradients(
    batch: Batch, layout: Layout, colors: Float[Tensor, "M 3"], faces: Sequence[Tensor], images: Sequence[Tensor | None]
) -> Tensor:
    """The gradient for the colours of materials that have no image, from the ``faces`` that pixels see and the gradients for those."""
    found = torch.zeros_like(colors)
    for face_id, by_rgb in zip(faces, images, strict=True):
        if by_rgb is not None:
            shown = (face_id >= 0).reshape(-1).nonzero().squeeze(1)
            material = batch.topology.face_material[face_id.reshape(-1)[shown].long()]
            found.index_add_(0, material, by_rgb.reshape(-1, 3)[shown])
    found[[i for i, size in enumerate(layout.sizes) if size[0] > 0]] = 0.0
    return found
