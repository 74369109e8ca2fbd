"""Smaller levels and encoded texels: made before they are read, kept while their images stand still, and no longer."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import FlatScene, flatten
from dr_backend.raster.native import palette
from dr_backend.raster.native.batch import Batch
from dr_backend.raster.native.bridge import draw_views
from dr_backend.raster.project import view_of
from dr_backend.renderers.native import NativeRenderer, _palette
from tests.renderers.parity import body, image, paint, scene_of
from tests.shapes import camera

VIEW = camera(48, 40)


def scene(*images: torch.Tensor, encoded: bool = False, lit: bool = False) -> FlatScene:
    """A body that shows some images, which are fine enough to be filtered."""
    mesh, names = body(2), [f"paint {n}" for n in range(len(images))]
    mesh = replace(mesh, materials=tuple(names), face_material=np.arange(len(mesh.faces)) % len(images))
    flat = flatten(scene_of(mesh, views=[VIEW], materials={name: paint(encoded=encoded) for name in names}, lit=lit))
    return replace(flat, materials=tuple(replace(m, image=each) for m, each in zip(flat.materials, images, strict=True)))


def fine(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(image(130, 110, seed)).float()


def rgb(renderer: NativeRenderer, flat: FlatScene) -> torch.Tensor:
    return renderer.render(flat, [VIEW])[0].rgb.detach()


def kept() -> int:
    gc.collect()
    return len(palette._kept)


@pytest.mark.parametrize("lit", [False, True])
@pytest.mark.parametrize("encoded", [False, True])
def test_levels_are_kept_until_an_image_changes(encoded, lit):
    renderer, before = NativeRenderer(), kept()
    one, two = fine(0), fine(1)
    first = rgb(renderer, scene(one, two, encoded=encoded, lit=lit))
    made = palette._kept[one].coarse
    assert torch.equal(rgb(renderer, scene(one, two, encoded=encoded, lit=lit)), first)
    assert palette._kept[one].coarse is made
    assert kept() == before + 1
    two.mul_(0.5)  # the second of them
    darker = rgb(renderer, scene(one, two, encoded=encoded, lit=lit))
    assert palette._kept[one].coarse is not made
    del made
    assert not torch.equal(darker, first)
    assert torch.equal(darker, rgb(renderer, scene(one.clone(), two.clone(), encoded=encoded, lit=lit)))
    assert not torch.equal(rgb(renderer, scene(one, two, encoded=not encoded, lit=lit)), darker)
    assert not torch.equal(rgb(renderer, scene(one, fine(3), encoded=encoded, lit=lit)), darker)
    del one, two
    assert kept() == before


def test_nothing_is_kept_of_images_that_move():
    renderer, before, still = NativeRenderer(), kept(), fine(1)
    with torch.no_grad():  # some optimizers change what they are given without torch's counting it
        rgb(renderer, scene(fine().requires_grad_(), still))
    with torch.inference_mode():
        hidden = fine() * 0.5
    rgb(renderer, scene(hidden, still))
    assert kept() == before


def test_nothing_is_kept_of_a_view_that_failed():
    renderer, before, still = NativeRenderer(), kept(), fine()
    flat = scene(still)
    with pytest.raises(ValueError, match="not a number"):
        rgb(renderer, replace(flat, positions=flat.positions * torch.nan))
    assert kept() == before
    assert torch.equal(rgb(renderer, flat), rgb(renderer, scene(fine())))


@pytest.mark.parametrize("threads", [1, 2])
def test_levels_are_made_before_they_are_read_whoever_looked_before(threads):
    renderer, flat = NativeRenderer(threads=threads), scene(fine().requires_grad_())
    expected = rgb(renderer, flat)
    for _ in range(5):
        batch = Batch(flat.topology, flat.positions, None, [view_of(VIEW, flat.positions)], renderer._launcher)
        batch.look()
        (found,), _, _ = draw_views(batch, flat.positions, *_palette(flat, flat.positions))
        assert torch.equal(found, expected)
