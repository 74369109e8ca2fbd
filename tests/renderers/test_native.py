"""The native renderer against its slow twin: the same images, and the same gradients for whatever moves."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten
from dr_backend.raster.native.bins import MOST_PIXELS
from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Material, Mesh, Scene
from tests.renderers.parity import (
    MOVED,
    assert_same_images,
    body,
    bumpy,
    corner_uvs,
    image,
    lamps,
    paint,
    relative_error,
    rendered,
    scene_of,
)
from tests.shapes import camera

NATIVE, REFERENCE = NativeRenderer(threads=1), ReferenceRenderer()
SIGHTS = {
    "outside": camera(48, 40),
    "close": camera(48, 40, distance=1.35, focal=0.5),
    "far": camera(48, 40, distance=40.0, focal=16),
    "cut by the near plane": replace(camera(48, 40), near=2.83),
    "through the surface": camera(48, 40, distance=0.97),
    "inside": camera(48, 40, distance=0.2),
}
ORTHOGRAPHIC = {"projection": "orthographic", "focal_px": np.array([17.3, 16.1])}
SIGHTS |= {f"{name}, orthographic": replace(view, **ORTHOGRAPHIC) for name, view in SIGHTS.items()}
LENSES = {
    "barrel": {"distortion": np.array([-0.25, 0.08, -0.01, 0.0, 0.0])},
    "tangential, measured by its own focal length and centre": {
        "distortion": np.array([0.12, -0.04, 0.01, 0.02, -0.03]),
        "distortion_focal_px": np.array([50.0, 52.0]),
        "distortion_centre_px": np.array([22.0, 17.0]),
    },
}
SIGHTS |= {
    f"{name}, {kind}": replace(SIGHTS[name], **lens)
    for name, (kind, lens) in product(["outside", "cut by the near plane", "inside", "outside, orthographic"], LENSES.items())
}
OUTLINED = [name for name in SIGHTS if name.partition(",")[0] not in ("through the surface", "inside")]
COLORS = {"red": Material(np.array([0.8, 0.1, 0.1])), "blue": Material(np.array([0.1, 0.2, 0.9]))}


def assert_same(scene: Scene, *, color: bool = True, still: tuple[str, ...] = (), moved: tuple[str, ...] = MOVED) -> None:
    """Both renderers agree on images and gradients; of the fields that are moved only those named in ``still`` get none."""
    (ours, found), (theirs, expected) = (rendered(renderer, scene, color=color, moved=moved) for renderer in (NATIVE, REFERENCE))
    for mine, other in zip(ours, theirs, strict=True):
        assert_same_images(mine, other)
    assert any(bool(out.alpha.any()) for out in theirs)
    errors = {path: relative_error(found[path], gradient) for path, gradient in expected.items()}
    assert max(errors.values()) <= 1e-4, errors
    moving = {path.split("/")[-1] for path, gradient in expected.items() if gradient.any()}
    assert {path.split("/")[-1] for path in expected} - moving == set(still)


@pytest.mark.parametrize("sight", SIGHTS)
def test_painted_body(sight):
    assert_same(scene_of(body(), views=[SIGHTS[sight]]), still=("base_color",))


@pytest.mark.parametrize("sight", OUTLINED)
def test_outline_alone(sight):
    assert_same(scene_of(body(), views=[SIGHTS[sight]]), color=False, still=("base_color", "base_color_image"))


@pytest.mark.parametrize(("sight", "smooth"), list(product(["outside", "close", "outside, orthographic", "inside"], [False, True])))
def test_lit_body(sight, smooth):
    mesh = body()
    mesh = replace(mesh, face_smooth=np.full(len(mesh.faces), smooth))
    assert_same(scene_of(mesh, views=[SIGHTS[sight]], lit=True), still=("base_color",))


def test_lit_body_without_an_image():
    assert_same(scene_of(body(material="red"), materials=COLORS, lit=True))


@pytest.mark.parametrize("orthographic", [False, True])
def test_floor_that_passes_under_the_camera(orthographic):
    floor = np.array([[-7.1, -3.1, -9.3], [8.2, -2.8, -8.7], [7.9, 1.2, 9.1], [-8.3, 1.3, 8.9]])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    mesh = Mesh(floor, faces, np.eye(4), corner_uvs(floor, faces) * 0.3, materials=("paint",))
    view = camera(40, 56, distance=0.1)
    if orthographic:
        view = replace(view, projection="orthographic", focal_px=np.array([3.1, 2.9]))
    assert_same(scene_of(mesh, views=[view]), still=("base_color",))


def open_body() -> Mesh:
    mesh = body(seed=1)
    kept = np.random.default_rng(0).random(len(mesh.faces)) < 0.6
    return replace(mesh, faces=mesh.faces[kept], uvs=mesh.uvs[kept], face_smooth=None)


def turned_over_here_and_there() -> Mesh:
    mesh = body(seed=2)
    turned = np.random.default_rng(1).random(len(mesh.faces)) < 0.5
    faces, uvs = mesh.faces.copy(), mesh.uvs.copy()
    faces[turned], uvs[turned] = faces[turned, ::-1], uvs[turned, ::-1]
    return replace(mesh, faces=faces, uvs=uvs)


def with_fins() -> Mesh:
    """A third and a fourth face on some edges, standing away from the body."""
    positions, faces = bumpy(1, seed=3)
    middles = positions[faces[::7, :2]].mean(1)
    tips = np.concatenate([middles * 1.5, middles * 1.4 + [0.02, 0.05, 0.03]])
    fins = np.concatenate([faces[::7, :2]] * 2)
    faces = np.concatenate([faces, np.column_stack([fins, len(positions) + np.arange(len(fins))])])
    positions = np.concatenate([positions, tips])
    return Mesh(positions, faces, np.eye(4), corner_uvs(positions, faces), materials=("paint",))


def with_repeated_faces() -> Mesh:
    """Faces that are there twice, and some that repeat a vertex."""
    positions, faces = bumpy(1, seed=4)
    faces = np.concatenate([faces, faces[::5], faces[::9][:, [0, 0, 1]], faces[::11][:, [2, 2, 2]]])
    return Mesh(positions, faces, np.eye(4), corner_uvs(positions, faces), materials=("paint",))


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("make", [open_body, turned_over_here_and_there, with_fins, with_repeated_faces])
def test_meshes_that_are_no_solids(make, orthographic):
    scene = scene_of(make(), views=[camera(56, 48, orthographic=orthographic)])
    assert_same(scene, still=("base_color",))
    assert_same(scene, color=False, still=("base_color", "base_color_image"))


@pytest.mark.parametrize("sight", ["outside", "outside, orthographic", "outside, barrel", "cut by the near plane"])
def test_faces_smaller_than_pixels(sight):
    mesh = body(5)
    doubled = np.concatenate([mesh.faces, mesh.faces[::-1]])  # of equals the first is seen, whatever else covers the pixel
    mesh = replace(mesh, faces=doubled, uvs=None, face_smooth=None, materials=("red",))
    scene = scene_of(mesh, views=[SIGHTS[sight]], materials=COLORS)
    (ours, _), (theirs, _) = (rendered(renderer, scene, color=False) for renderer in (NATIVE, REFERENCE))
    for mine, other in zip(ours, theirs, strict=True):
        shown = other.face_id[other.face_id >= 0]
        assert len(shown.unique()) > 0.8 * len(shown) > 300  # most are seen in one pixel only
        assert torch.equal(mine.face_id.long(), other.face_id.long())
        assert torch.equal(mine.depth.isinf(), other.depth.isinf())


@pytest.mark.parametrize("sight", ["outside", "through the surface", "cut by the near plane", "cut by the near plane, orthographic"])
def test_back_faces_that_are_not_shown(sight):
    culled = paint(backface_culling=True)
    bodies = open_body(), body(seed=3, at=(0.1, 0.2, -0.4), size=0.3, material="plain")
    materials = {"paint": culled, "plain": replace(paint(seed=1), backface_culling=False)}
    assert_same(scene_of(*bodies, views=[SIGHTS[sight]], materials=materials), still=("base_color",))
    assert_same(scene_of(*bodies, views=[SIGHTS[sight]], materials=materials), color=False, still=("base_color", "base_color_image"))


# From far away the depths of two surfaces are rounded so much that the place of their cut differs by 1e-4 pixels.
@pytest.mark.parametrize("sight", [name for name in OUTLINED if not name.startswith("far")])
def test_bodies_that_cut_through_each_other(sight):
    bodies = body(), body(seed=1, at=(0.3, 0.2, 0.4), size=0.8, material="other")
    materials = {"paint": paint(), "other": paint(seed=1)}
    assert_same(scene_of(*bodies, views=[SIGHTS[sight]], materials=materials), still=("base_color",))


def crowd(lit: bool = False) -> Scene:
    """Four bodies one behind the other: images of different odd sizes, one plain colour, one without a material."""
    materials = {
        "paint": Material(np.full(3, 0.5), image(9, 5, seed=1)),
        "poster": Material(np.full(3, 0.5), image(3, 11, seed=2), extension="mirror"),
        "dot": Material(np.array([0.2, 0.3, 0.4]), image(1, 1, seed=3)),
        "red": Material(np.array([0.8, 0.1, 0.1])),
    }
    mixed = body(seed=1, at=(0.4, 0.3, 0.9), size=0.4)
    mixed = replace(mixed, materials=("poster", "red", "dot"), face_material=np.arange(len(mixed.faces)) % 3)
    mirrored = body(seed=3, at=(0.6, -0.5, 0.5), size=0.5)
    mirrored.world_from_object[0, 0] *= -1
    bodies = [body(seed=0, at=(-0.1, 0, -1)), mixed, replace(body(seed=2, at=(-0.6, 0.2, 0.7), size=0.35), materials=()), mirrored]
    return scene_of(*bodies, materials=materials, lit=lit)


@pytest.mark.parametrize("lit", [False, True])
def test_meshes_with_materials_of_all_kinds(lit):
    assert_same(crowd(lit))


def test_bodies_without_any_image():
    bodies = body(at=(0, 0, -1), material="red"), body(seed=1, at=(0.3, 0.2, 0.8), size=0.4, material="blue")
    assert_same(scene_of(*bodies, materials=COLORS))


@pytest.mark.parametrize(
    ("extension", "interpolation", "encoded"), list(product(["repeat", "extend", "clip", "mirror"], ["linear", "closest"], [False, True]))
)
def test_reading_of_images(extension, interpolation, encoded):
    material = paint(extension=extension, interpolation=interpolation, encoded=encoded)
    mesh = replace(body(), uvs=body().uvs * 1.7 - 0.4)
    assert_same(scene_of(mesh, views=[camera(80, 72)], materials={"paint": material}), still=("base_color",))


def test_mapping_of_images():
    matrix = np.array([[1.3, 0.2, 0.1], [-0.3, 0.9, 0.2]])
    assert_same(scene_of(body(), materials={"paint": paint(uv_matrix=matrix)}), still=("base_color",))
    mixed = replace(body(), materials=("paint", "plain"), face_material=np.arange(320) % 2)
    materials = {"paint": paint(uv_matrix=matrix), "plain": paint(seed=1)}
    assert_same(scene_of(mixed, materials=materials), still=("base_color",))


def test_texture_coordinates_that_move():
    matrix = np.array([[1.3, 0.2, 0.1], [-0.3, 0.9, 0.2]])
    scene = scene_of(body(), materials={"paint": paint(uv_matrix=matrix)})
    assert_same(scene, moved=("uvs",))
    assert_same(scene, moved=("uv_matrix", "positions"))


def test_colour_attributes():
    mesh = replace(body(), colors=np.random.default_rng(5).random((320, 3, 3)))
    assert_same(scene_of(mesh, materials={"paint": Material(np.full(3, 0.5), color_attribute=True)}), still=("base_color",))


def test_views_of_several_sizes_and_kinds_in_one_call():
    views = [camera(33, 48), camera(17, 9, distance=1.2), SIGHTS["outside, orthographic"], SIGHTS["inside"], camera(1, 37, focal=40)]
    assert_same(scene_of(body(), views=views), still=("base_color",))
    assert_same(scene_of(body(), views=views, lit=True), still=("base_color",))


def test_view_with_everything_behind_it():
    scene = scene_of(body(), views=[camera(24, 20, distance=-3.0), camera(24, 20, distance=-3.0, orthographic=True)])
    for color in (True, False):
        for renderer in (NATIVE, REFERENCE):
            outputs, gradients = rendered(renderer, scene, color=color)
            assert not any(bool(out.alpha.any()) or bool((out.face_id >= 0).any()) for out in outputs)
            assert all(bool(torch.isinf(out.depth).all()) for out in outputs)
            assert not any(bool(gradient.any()) for gradient in gradients.values())


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (2, 2), (17, 16), (16, 33)])
def test_awkward_image_sizes(size):
    view = replace(camera(*size), focal_px=np.full(2, 0.9 * max(size)), centre_px=np.array(size) / 2 + [0.03, -0.02])
    scene = scene_of(body(), views=[view], materials={"paint": Material(np.full(3, 0.5), image(1, 1))})
    assert_same(scene, still=("base_color",))
    assert_same(replace(scene, lights=lamps()), still=("base_color",))


@pytest.mark.parametrize("size", [(MOST_PIXELS, 24), (24, MOST_PIXELS)])
def test_largest_views(size):
    view = replace(camera(*size), focal_px=np.full(2, 21.0), centre_px=np.array(size) - [11.97, 12.02])
    scene = scene_of(body(3), views=[view])
    assert_same(scene, color=False, still=("base_color", "base_color_image"))
    larger = replace(view, size=(size[0] + 1, size[1] + 1))
    with pytest.raises(ValueError, match="too large"):
        rendered(NATIVE, replace(scene, cameras={"larger": larger}), color=False)


@pytest.mark.parametrize("moved", [("positions",), ("base_color_image",), ("camera_from_world",), ("focal_px",), ("centre_px", "power")])
@pytest.mark.parametrize("lit", [False, True])
def test_gradients_for_what_is_asked_alone(moved, lit):
    assert_same(scene_of(body(), lit=lit), moved=moved)


@pytest.mark.parametrize("part", ["rgb", "alpha", "depth", "nothing of the first view"])
def test_losses_that_read_only_a_part(part):
    scene = scene_of(body(), views=[SIGHTS["outside"], SIGHTS["close"]])
    found = []
    for renderer in (NATIVE, REFERENCE):
        views = list(scene.cameras.values())
        shown = flatten(scene)
        points = shown.positions.requires_grad_()
        outputs = renderer.render(shown, views)
        if part == "nothing of the first view":
            loss = (outputs[1].rgb.square().sum(-1) * outputs[1].alpha).sum()
        else:
            values = [getattr(out, part) for out in outputs]
            loss = sum(torch.where(torch.isfinite(value), value, 0.0).square().sum() for value in values)
        found.append(torch.autograd.grad(loss, points)[0])
    assert bool(found[1].any())
    assert relative_error(*found) <= 1e-4


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("lit", [False, True])
def test_nothing_to_see(color, lit):
    nobody = scene_of(lit=lit, views=[camera(20, 10), camera(1, 1)])
    pointless = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), np.eye(4), materials=("paint",))
    faceless = replace(pointless, positions=np.random.default_rng(0).normal(size=(5, 3)))
    for scene in (nobody, Scene(cameras=nobody.cameras), *(replace(nobody, meshes={"mesh": m}) for m in (pointless, faceless))):
        outputs, gradients = rendered(NATIVE, scene, color=color)
        for out, (width, height) in zip(outputs, [(20, 10), (1, 1)], strict=True):
            assert out.rgb.shape == (height, width, 3)
            assert not out.rgb.any()
            assert not out.alpha.any()
            assert bool((out.face_id == -1).all())
            assert bool(torch.isinf(out.depth).all())
        assert not any(bool(gradient.any()) for gradient in gradients.values())


@pytest.mark.parametrize("color", [True, False])
def test_no_views(color):
    assert NATIVE.render(flatten(scene_of(body())), [], color=color) == []
    assert NATIVE.render(flatten(scene_of(body(), lit=True)), [], color=color) == []
