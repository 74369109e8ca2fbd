"""See-through surfaces: what lies behind them shows, alike by both renderers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, to_tensors
from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Light, Material, Mesh, Scene, World, with_leaves
from dr_backend.shading.baking import light_shares
from dr_backend.shading.layers import MAX_LAYERS
from dr_backend.shading.visibility import NO_SHADOWS
from tests.renderers.parity import MOVED, assert_same_images, body, lamps, paint, relative_error, rendered, scene_of
from tests.shapes import camera

RENDERERS = pytest.mark.parametrize("renderer", [NativeRenderer(threads=1), ReferenceRenderer()], ids=["native", "reference"])
HOLES = np.random.default_rng(0).random((6, 6, 1))
MATERIALS = {
    "paint": paint(),
    "glass": replace(paint(1), alpha=np.array(0.5)),
    "lace": replace(paint(2), alpha_image=HOLES),
    "fence": replace(paint(3), alpha_image=HOLES, alpha_threshold=0.5, placements={"alpha": {"interpolation": "closest"}}),
}


def still_life(**view: object) -> Scene:
    """A body behind glass, a lace and a fence that cut through each other and through it."""
    return scene_of(
        body(at=(-0.3, 0, 0.4), size=0.7, material="glass"),
        body(seed=3, at=(0.5, 0.2, -0.5), size=0.8),
        body(seed=5, at=(0, -0.5, 0.5), size=0.5, material="lace"),
        body(seed=6, at=(0.3, 0.5, 0.3), size=0.5, material="fence"),
        views=[camera(48, 40, **view), camera(40, 44, distance=2.2)],
        materials=MATERIALS,
    )


def pane(z: float, material: str, half: float = 9.0) -> Mesh:
    """A square across the view; the camera is at z = 3 and looks down."""
    corners = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners, faces, np.eye(4), uvs[faces], materials=(material,))


def picture(renderer: NativeRenderer | ReferenceRenderer, panes: list[Mesh], materials: dict[str, Material], **how: bool):
    view = camera(16, 16)
    scene = to_tensors(Scene({"view": view}, {str(i): p for i, p in enumerate(panes)}, materials))
    return renderer.render(flatten(scene), list(scene.cameras.values()), **how)[0]


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("lit", [False, True])
def test_both_renderers_agree(color, orthographic, lit):
    scene = still_life(orthographic=orthographic)
    scene = replace(scene, lights=lamps(), world=World(np.array([0.2, 0.25, 0.3]))) if lit else scene
    moved = (*MOVED, "alpha", "alpha_image")
    (ours, found), (theirs, expected) = (
        rendered(renderer, scene, color=color, moved=moved) for renderer in (NativeRenderer(threads=2), ReferenceRenderer())
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_images(mine, other)
        assert float(((other.alpha > 0.3) & (other.alpha < 0.9)).float().mean()) > 0.1
    assert max(relative_error(found[path], gradient) for path, gradient in expected.items()) <= 1e-4
    assert all(bool(expected[f"materials/{name}"].any()) for name in ("glass/alpha", "lace/alpha_image"))
    assert not expected["materials/fence/alpha_image"].any()


@RENDERERS
def test_layers_are_composited_front_to_back(renderer):
    red, green, blue = np.eye(3)
    materials = {
        "red": Material(red, alpha=np.array(0.5)), "green": Material(green, alpha=np.array(0.25)), "blue": Material(blue),
    }  # fmt: skip
    out = picture(renderer, [pane(-1, "blue", 0.8), pane(1, "red"), pane(0, "green")], materials)
    torch.testing.assert_close(out.rgb[8, 8], torch.tensor([0.5, 0.5 * 0.25, 0.5 * 0.75]))
    torch.testing.assert_close(out.rgb[1, 1], torch.tensor([0.5, 0.5 * 0.25, 0.0]))
    torch.testing.assert_close(out.alpha[1, 1], torch.tensor(1 - 0.5 * 0.75))
    assert float(out.depth[8, 8]) == pytest.approx(2.0)
    mask = picture(renderer, [pane(-1, "blue", 0.8), pane(1, "red"), pane(0, "green")], materials, color=False)
    torch.testing.assert_close(mask.alpha, out.alpha)


@RENDERERS
def test_a_hidden_see_through_surface_changes_nothing(renderer):
    solid, glass = Material(np.array([0.2, 0.5, 0.7])), Material(np.ones(3), alpha=np.array(0.5))
    alone = picture(renderer, [pane(0, "solid")], {"solid": solid})
    covered = picture(renderer, [pane(0, "solid"), pane(-1, "glass")], {"solid": solid, "glass": glass})
    assert torch.equal(alone.rgb, covered.rgb)
    assert torch.equal(alone.alpha, covered.alpha)


@RENDERERS
def test_where_clipped_alpha_ends_there_is_nothing(renderer):
    image = np.zeros((1, 2, 1))
    image[0, 1] = 0.6
    fence = Material(np.ones(3), alpha_image=image, alpha_threshold=0.5, placements={"alpha": {"interpolation": "closest"}})
    out = picture(renderer, [pane(0, "fence", 1.0)], {"fence": fence})
    assert not out.alpha[:, :8].any()
    assert not (out.face_id[:, :8] >= 0).any()
    assert not torch.isfinite(out.depth[:, :8]).any()
    assert bool((out.alpha[4:12, 9:11] == 1).all())


@RENDERERS
def test_no_more_layers_than_told(renderer):
    glass = {"glass": Material(np.ones(3), alpha=np.array(0.25))}
    out = picture(renderer, [pane(0.1 * i, "glass") for i in range(MAX_LAYERS + 3)], glass)
    torch.testing.assert_close(out.alpha, torch.full_like(out.alpha, 1 - 0.75**MAX_LAYERS))


@RENDERERS
def test_colours_of_an_image_count_by_its_own_alpha(renderer):
    image, alpha = np.zeros((1, 2, 3)), np.array([[[1.0], [0.0]]])
    image[0, 0], image[0, 1] = [0.8, 0.4, 0.2], [0, 0, 9]
    cutout = Material(np.ones(3), image, extension="extend", alpha_image=alpha, base_color_weights=alpha)
    cutout = replace(cutout, placements={"alpha": {"extension": "extend"}})
    out = picture(renderer, [pane(0, "cutout", 1.0)], {"cutout": cutout})
    seen = out.alpha > 0.1
    straight = out.rgb[seen] / out.alpha[seen][:, None]
    torch.testing.assert_close(straight, torch.tensor([0.8, 0.4, 0.2]).expand_as(straight), atol=1e-4, rtol=0)


@RENDERERS
def test_memory_grows_with_layers_only_where_a_material_has_alpha(renderer):
    def planned(material: Material) -> int:
        scene = to_tensors(Scene(meshes={"pane": pane(0, "it")}, materials={"it": material}))
        return renderer.plan(flatten(scene), [camera(64, 64)])

    solid = planned(Material(np.ones(3)))
    assert planned(Material(np.ones(3), alpha=np.array(0.5))) > 3 * solid


def floor_brightness(*between: str, casts: bool = True) -> float:
    """How bright a floor under a sun is, whose light passes these panes on its way, over what it is without any."""

    def lit(panes: list[Mesh]) -> float:
        slant = np.eye(4)
        slant[:3, :3] = [[1, 0, 0], [0, np.sqrt(0.5), -np.sqrt(0.5)], [0, np.sqrt(0.5), np.sqrt(0.5)]]
        sun = Light(slant, np.ones(3), np.array(2.0), "sun")
        view = replace(camera(16, 16, distance=0.5), near=1e-3)
        scene = Scene({"view": view}, {str(i): p for i, p in enumerate(panes)}, MATERIALS | {"floor": Material(np.ones(3))}, {"sun": sun})
        out = ReferenceRenderer().render(flatten(to_tensors(scene)), [view])[0]
        return float(out.rgb[8, 8, 0])

    panes = [replace(pane(0.6 + 0.1 * i, name), casts_shadow=casts) for i, name in enumerate(between)]
    return lit([pane(0, "floor"), *panes]) / lit([pane(0, "floor")])


@pytest.mark.skipif(bool(NO_SHADOWS), reason=NO_SHADOWS)
def test_light_passes_see_through_surfaces_by_what_their_alpha_leaves():
    assert floor_brightness("glass") == pytest.approx(0.5)
    assert floor_brightness("glass", "glass") == pytest.approx(0.25)
    assert floor_brightness("glass", "paint") == 0
    assert floor_brightness("glass", casts=False) == pytest.approx(1.0)


@pytest.mark.skipif(bool(NO_SHADOWS), reason=NO_SHADOWS)
def test_baked_light_and_a_changed_alpha():
    sun = Light(np.eye(4), np.ones(3), np.array(2.0), "sun")
    scene = to_tensors(Scene({}, {"floor": pane(0, "paint", 1.0), "glass": pane(0.5, "glass")}, MATERIALS, {"sun": sun}))
    flat = flatten(scene)
    torch.testing.assert_close(light_shares(flat)[:4, 0], torch.full((4,), 0.5))
    clearer = with_leaves(scene, {"materials/glass/alpha": torch.tensor(0.1)})
    torch.testing.assert_close(light_shares(flatten(clearer, topology=flat.topology))[:4, 0], torch.full((4,), 0.9))
