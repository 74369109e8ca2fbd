"""Light by the native renderer's kernels against its slow twin, for every kind of lamp and sky that a fit may hold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, to_tensors
from dr_backend.geometry.flatten import FlatScene
from dr_backend.renderers import native
from dr_backend.renderers.base import Renderer
from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Light, Scene, World, leaves, with_leaves
from dr_backend.shading.baking import for_steps, light_shares
from dr_backend.shading.lamp_table import tabulate_lamps
from tests.renderers.parity import assert_same_images, body, lamps, loss_of, relative_error, scene_of
from tests.shapes import camera

NATIVE, REFERENCE = NativeRenderer(threads=1), ReferenceRenderer()
LIT = ("positions", "base_color_image", "world_from_light", "color", "power", "radiance", "camera_from_world")
AT = np.array([[0.8, 0.0, 0.6, 1.6], [0.36, 0.8, -0.48, -0.9], [-0.48, 0.6, 0.64, 1.9], [0.0, 0.0, 0.0, 1.0]])  # its light meets the body
COLOR, POWER = np.array([1.0, 0.8, 0.6]), np.array(60.0)
LAMPS = {
    "point": Light(AT, COLOR, POWER),
    "sun": Light(AT, COLOR, np.array(1.3), "sun"),
    "wide spot": Light(AT, COLOR, POWER, "spot", spot_angle_rad=1.4, spot_blend=0.8),
    "narrow spot": Light(AT, COLOR, POWER, "spot", spot_angle_rad=0.45, spot_blend=0.15),
    "area": Light(AT, COLOR, POWER, "area"),
    "narrow area": Light(AT, COLOR, 0.01 * POWER, "area", spread_rad=0.7),
}
GREY = World(np.array([0.2, 0.25, 0.3]))
GRADED = np.random.default_rng(3).uniform(0.0, 2.0, (8, 16, 3)) * np.linspace(1.0, 0.1, 8)[:, None, None]


def pulled(renderer: Renderer, scene: Scene, shares: torch.Tensor | None, moved: Sequence[str] = LIT):
    """Images of all cameras, and gradients of a sum of all their values for the leaves whose field is ``moved``."""
    tensors = to_tensors(scene)
    sources = {path: value.clone().requires_grad_() for path, value in leaves(tensors).items() if path.split("/")[-1] in moved}
    tensors = with_leaves(tensors, sources)
    outputs = renderer.render(replace(flatten(tensors), shares=shares), list(tensors.cameras.values()))
    found = torch.autograd.grad(loss_of(outputs), list(sources.values()), allow_unused=True)
    return outputs, {path: g for path, g in zip(sources, found, strict=True) if g is not None}


def assert_same(scene: Scene, shares: torch.Tensor | None = None, moved: Sequence[str] = LIT) -> dict[str, torch.Tensor]:
    (ours, found), (theirs, expected) = (pulled(renderer, scene, shares, moved) for renderer in (NATIVE, REFERENCE))
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_images(mine, other)
    assert {path for path in found if found[path].any()} == {path for path in expected if expected[path].any()}
    errors = {path: relative_error(found[path], gradient) for path, gradient in expected.items()}
    assert max(errors.values()) <= 1e-4, errors
    return expected


def lit_by(lights: dict[str, Light], world: World | None = None) -> Scene:
    views = [camera(48, 40), camera(31, 44, distance=1.6), camera(40, 40, orthographic=True)]
    return replace(scene_of(body(), body(seed=4, at=(0.9, 0.4, -1.1)), views=views), lights=lights, world=world)


def some_shares(flat: FlatScene) -> torch.Tensor:
    """Any share of every lamp at every vertex."""
    return torch.rand(len(flat.positions), len(flat.lights) + 1, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def only_kernels(monkeypatch):
    """Torch must not shade what this file shows to the native renderer."""
    monkeypatch.setattr(native, "radiance_at", None)


@pytest.mark.parametrize("name", LAMPS)
def test_every_kind_of_lamp(name):
    gradients = assert_same(lit_by({name: LAMPS[name]}))
    needed = {"positions", "power", "color", "world_from_light"}
    assert needed <= {path.split("/")[-1] for path, gradient in gradients.items() if gradient.any()}


@pytest.mark.parametrize("lights", [{}, lamps()], ids=["alone", "with lamps"])
@pytest.mark.parametrize("world", [GREY, World(np.zeros(3), image=GRADED), World(np.zeros(3), harmonics=np.full((9, 3), 0.2))],
                         ids=["grey", "image", "harmonics"])
def test_every_kind_of_sky(lights, world):
    assert_same(lit_by(lights, world))


@pytest.mark.parametrize("world", [None, GREY, World(np.zeros(3), image=GRADED)], ids=["none", "grey", "image"])
def test_shares_of_light_at_vertices(world):
    scene = lit_by(LAMPS, world)
    shares = some_shares(flatten(to_tensors(scene)))
    assert_same(scene, shares)
    darkened, bright = (pulled(NATIVE, scene, each)[0][0].rgb.mean() for each in (shares, torch.ones_like(shares)))
    assert 0.3 * bright < darkened < 0.7 * bright


def test_a_fit_s_light_is_shaded_by_kernels():
    scene = lit_by({name: replace(light, radius=np.array(0.3)) for name, light in lamps().items()}, GREY)
    scene = replace(scene, meshes={name: replace(mesh, casts_shadow=True) for name, mesh in scene.meshes.items()})
    shares = light_shares(flatten(to_tensors(scene)))
    assert shares is not None
    assert 0.0 < float(shares.mean()) < 1.0
    assert_same(for_steps(scene), shares, moved=("positions", "base_color_image"))


def test_what_kernels_cannot_light_is_left_to_torch():
    point, sky = lit_by({"point": LAMPS["point"]}), to_tensors(lit_by({}, World(np.zeros(3), image=GRADED)))
    wide = replace(point, lights={"wide": replace(LAMPS["point"], radius=np.array(0.5))})
    shadowed = replace(point, meshes={name: replace(mesh, casts_shadow=True) for name, mesh in point.meshes.items()})
    assert tabulate_lamps(flatten(to_tensors(point))) is not None
    assert tabulate_lamps(flatten(to_tensors(wide))) is None
    assert tabulate_lamps(flatten(to_tensors(shadowed))) is None
    assert tabulate_lamps(flatten(sky)) is not None
    sky.world.image.requires_grad_()
    assert tabulate_lamps(flatten(sky)) is None


def test_a_normal_without_length_gets_no_light_and_pulls_nothing():
    scene = lit_by(LAMPS, GREY)
    flat = flatten(to_tensors(scene))
    normals = torch.zeros_like(flat.corner_normals).requires_grad_()
    out = NATIVE.render(replace(flat, corner_normals=normals, world_radiance=None), list(to_tensors(scene).cameras.values()))
    assert not any(bool(each.rgb.any()) for each in out)
    (gradient,) = torch.autograd.grad(loss_of(out), normals)
    assert not gradient.any()
