"""Plans that are made once lead to the same bits as work that is planned every time, whatever changes between two passes."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import FlatScene, flatten
from dr_backend.kernels import recipe
from dr_backend.renderers.base import RenderOutput
from dr_backend.renderers.native import NativeRenderer
from dr_backend.scene import Camera, Scene
from tests.renderers.parity import body, image, paint, rendered, scene_of
from tests.shapes import camera

VIEWS = [camera(48, 40), camera(33, 70, distance=2.4), camera(64, 64, orthographic=True)]
Pass = tuple[list[RenderOutput], dict[str, torch.Tensor]]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def renderer(request) -> NativeRenderer:
    return NativeRenderer(threads=request.param)


@pytest.fixture
def written(monkeypatch) -> Iterator[list[recipe.Recipe]]:
    """The recipes that a test makes."""
    made, write = [], recipe._written

    def keep(*arguments):
        made.append(write(*arguments))
        return made[-1]

    monkeypatch.setattr(recipe, "_written", keep)
    return made


def scene(
    seed: int = 0, encoded: bool = False, fine: bool = False, culled: bool = False, lit: bool = False, cut: bool = False,
    views: list[Camera] = VIEWS,
) -> Scene:
    """A body from several sides, in materials of which one has an image; with ``cut`` another one that cuts through it."""
    image_of = image(90, 71, seed) if fine else image(seed=seed)
    materials = {
        "paint": replace(paint(encoded=encoded, backface_culling=culled), base_color_image=image_of),
        "plain": replace(paint(), base_color_image=None),
    }
    mesh = body(3, seed)
    half = np.arange(len(mesh.faces)) % 3 // 2
    bodies = [replace(mesh, materials=("paint", "plain"), face_material=half)]
    bodies += [body(2, seed + 1, at=(0.4, 0.3, 0.5), material="plain")] if cut else []
    return scene_of(*bodies, views=views, materials=materials, lit=lit)


def assert_same_bits(ours: Pass, theirs: Pass) -> None:
    for mine, other in zip(ours[0], theirs[0], strict=True):
        for name in ("rgb", "alpha", "face_id", "depth"):
            assert torch.equal(getattr(mine, name), getattr(other, name)), name
    for path, gradient in theirs[1].items():
        assert torch.equal(ours[1][path], gradient), path


def directly(given: Scene, color: bool = True) -> Pass:
    return rendered(NativeRenderer(threads=1), given, color=color)


HOWS = [{}, {"encoded": True}, {"fine": True}, {"encoded": True, "fine": True}, {"culled": True}, {"lit": True}, {"cut": True}]
HOWS += [{"lit": True, "encoded": True, "fine": True, "cut": True}]


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("color", [True, False])
def test_the_second_pass_follows_a_recipe_to_the_same_bits(renderer, written, how, color):
    given = scene(**how)
    first = rendered(renderer, given, color=color)
    assert written == []
    for _ in range(2):
        assert_same_bits(rendered(renderer, given, color=color), first)
    assert len(written) in (2, 3)  # forth and back, and forth once more if there was not room for all


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("how", [{}, {"lit": True, "cut": True}], ids=str)
def test_all_but_sizes_may_change(renderer, written, how, color):
    for _ in range(2):
        rendered(renderer, scene(**how), color=color)
    moved = replace(VIEWS[1], camera_from_world=VIEWS[0].camera_from_world, focal_px=VIEWS[1].focal_px * 1.1, near=0.3)
    others = [replace(VIEWS[0], centre_px=VIEWS[0].centre_px + 1.7), moved, replace(VIEWS[2], near=2.3)]
    for other in (scene(5, **how), scene(6, views=others, **how)):
        assert_same_bits(rendered(renderer, other, color=color), directly(other, color))
    assert len(written) <= 6  # other numbers of runs or cuts may need more room


def test_views_that_look_alike_are_told_apart(renderer):
    same = [camera(48, 40)] * 3
    for _ in range(2):
        rendered(renderer, scene(views=same))
    other = scene(views=[camera(48, 40, distance=d) for d in (2.5, 3.5, 3.0)])
    assert_same_bits(rendered(renderer, other), directly(other))


def test_what_needs_more_room_gets_it(renderer, written):
    far, near = (scene(views=[camera(200, 180, distance=distance)], cut=True) for distance in (40.0, 1.9))
    random = np.random.default_rng(2)  # faces reach far, and outlines and cuts are everywhere
    crumpled = {name: replace(m, positions=random.normal(size=m.positions.shape) * 0.6) for name, m in near.meshes.items()}
    wide = replace(near, meshes=crumpled)
    for _ in range(2):
        rendered(renderer, far)
    made = len(written)
    for _ in range(2):
        assert_same_bits(rendered(renderer, wide), directly(wide))
    assert len(written) > made
    made = len(written)
    assert_same_bits(rendered(renderer, wide), directly(wide))
    assert_same_bits(rendered(renderer, far), directly(far))
    assert len(written) <= made + 1  # another number of runs, for the way back


def flat_scene(seed: int = 0) -> FlatScene:
    flat = flatten(scene_of(body(3, seed), views=VIEWS))
    texels = flat.materials[0].image.clone().requires_grad_()
    return replace(flat, positions=flat.positions.clone().requires_grad_(), materials=(replace(flat.materials[0], image=texels),))


def gradients(flat: FlatScene, loss: torch.Tensor, **how: bool) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, [flat.positions, flat.materials[0].image], **how)


def loss_of(out: RenderOutput) -> torch.Tensor:
    return (out.rgb.square().sum() + out.alpha.square().sum()) / 100


def test_several_passes_may_wait_for_their_gradients(renderer):
    scenes = [flat_scene(seed) for seed in range(3)]
    expected = [gradients(flat, loss_of(NativeRenderer(threads=1).render(flat, VIEWS[:1])[0])) for flat in scenes]
    for _ in range(2):
        losses = [loss_of(renderer.render(flat, VIEWS[:1])[0]) for flat in scenes]
        found = [gradients(flat, loss) for flat, loss in reversed(list(zip(scenes, losses, strict=True)))][::-1]
        for ours, theirs in zip(found, expected, strict=True):
            assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def test_several_threads_may_follow_a_recipe_at_once(renderer):
    flat = flat_scene()

    def gradient(_: int) -> tuple[torch.Tensor, ...]:
        return gradients(flat, loss_of(renderer.render(flat, VIEWS[:1])[0]))

    expected = gradient(0)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(gradient, range(100)):
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_gradients_may_be_asked_for_twice_and_in_parts(renderer):
    flat = flat_scene()
    for _ in range(2):
        out = renderer.render(flat, VIEWS[:1])[0]
        whole = gradients(flat, loss_of(out), retain_graph=True)
        assert all(torch.equal(*pair) for pair in zip(gradients(flat, loss_of(out), retain_graph=True), whole, strict=True))
        parts = out.rgb.square().sum() / 100, out.alpha.square().sum() / 100
        found = [gradients(flat, part, retain_graph=True) for part in parts]
        sums = [one + other for one, other in zip(*found, strict=True)]
        assert all(torch.allclose(*pair, rtol=1e-4, atol=1e-6) for pair in zip(sums, whole, strict=True))


def test_a_gradient_that_somebody_else_holds_stays_as_it_was(renderer):
    flat = flat_scene()
    for _ in range(3):
        out = renderer.render(flat, VIEWS[:1])[0]
        given = torch.rand(out.rgb.shape, generator=torch.Generator().manual_seed(1))
        before = given.clone()
        out.rgb.backward(given)
        assert torch.equal(given, before)


def test_nothing_is_held_once_a_pass_is_forgotten(renderer):
    flat = flat_scene()
    gc.disable()
    try:
        for _ in range(3):
            out = renderer.render(flat, VIEWS[:1])[0]
            loss_of(out).backward()
            parts = [weakref.ref(getattr(out, name)) for name in ("rgb", "alpha", "depth", "face_id")]
            del out
            assert [part() for part in parts] == [None] * 4
    finally:
        gc.enable()


def test_a_place_that_is_no_number_is_refused_by_recipes_too(renderer):
    flat = flat_scene()
    for _ in range(2):
        renderer.render(flat, VIEWS)
    with torch.no_grad():
        broken = replace(flat, positions=flat.positions.detach().clone().requires_grad_())
        broken.positions[7, 1] = torch.nan
    with pytest.raises(ValueError, match="not a number"):
        renderer.render(broken, VIEWS)
    assert torch.equal(renderer.render(flat, VIEWS)[0].rgb, NativeRenderer(threads=1).render(flat, VIEWS)[0].rgb)


def test_few_recipes_are_remembered(renderer, monkeypatch):
    monkeypatch.setattr(recipe, "_MOST_RECIPES", 3)
    flat = flat_scene()
    for width in range(20, 30):
        for _ in range(2):
            renderer.render(flat, [camera(width, 20)])
    assert len(renderer._launcher.recipes) == 3
