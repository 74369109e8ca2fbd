"""Lamps, sky and shadows: gradients, answers that are kept, and what happens without Warp."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, prepare, to_tensors
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Light, Material, Mesh, Scene, World, leaves, with_leaves
from dr_backend.shading import surface, visibility
from dr_backend.shading.baking import lost_in_steps
from dr_backend.shading.lamps import arriving
from tests.shapes import camera, icosphere

KINDS = {
    "point": {"radius": np.array(0.4)},
    "ball": {"radius": np.array(0.4), "soft_falloff": False},
    "spot": {"radius": np.array(0.3), "spot_angle_rad": 1.6, "spot_blend": 0.5},
    "sun": {"angle_rad": np.array(0.3)},
    "area": {"size": np.array([0.8, 0.5])},
    "ellipse": {"size": np.array([0.8, 0.5]), "shape": "ellipse", "spread_rad": 2.0},
}


def lamp(kind: str, **changes) -> Light:
    matrix = np.eye(4)
    matrix[:3, 3] = (0.6, -0.4, 2.5)
    kinds = {"ball": "point", "ellipse": "area"}
    return Light(matrix, np.array([1.0, 0.8, 0.6]), np.array(50.0), kinds.get(kind, kind), **KINDS[kind], **changes)


def ball_over_ground(**light_or_world) -> Scene:
    positions, faces = icosphere(2)
    ground = np.array([(-3, -3, -1.2), (3, -3, -1.2), (3, 3, -1.2), (-3, 3, -1.2)], float)
    meshes = {
        "Ball": Mesh(positions * 0.6, faces, np.eye(4), face_smooth=np.ones(len(faces), bool)),
        "Ground": Mesh(ground, np.array([[0, 1, 2], [0, 2, 3]]), np.eye(4)),
    }
    return Scene(meshes=meshes, **light_or_world)


def brightness(scene: Scene, path: str, value: torch.Tensor, topology) -> torch.Tensor:
    flat = flatten(with_leaves(scene, {path: value}), topology=topology, dtype=torch.float64)
    out = ReferenceRenderer().render(flat, [camera(24, 24)])[0]
    return (out.rgb * torch.linspace(0.5, 1.5, 24, dtype=torch.float64)[:, None]).mean()


@pytest.mark.parametrize("kind", list(KINDS))
def test_gradients_of_lamps(kind):
    """Against central differences, shadows off: they are constants."""
    scene = to_tensors(ball_over_ground(lights={"Lamp": lamp(kind, casts_shadow=False)}), dtype=torch.float64)
    topology = prepare(scene)
    generator = torch.Generator().manual_seed(1)
    for path, start in leaves(scene).items():
        if not path.startswith("lights/"):
            continue
        step = torch.randn(start.shape, generator=generator, dtype=torch.float64) * 1e-5
        if path.endswith("world_from_light"):
            step = step * (torch.arange(16).view(4, 4) % 4 == 3) * (torch.arange(4) < 3)[:, None]
        value = start.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(brightness(scene, path, value, topology), value)
        wanted = brightness(scene, path, start + step, topology) - brightness(scene, path, start - step, topology)
        found = 2 * (gradient * step).sum()
        assert float(found) == pytest.approx(float(wanted), rel=0.02, abs=1e-11), path


@pytest.mark.parametrize("kind", ["point", "ball", "spot", "area"])
def test_far_away_a_lamp_is_a_point(kind):
    points = torch.tensor([[0.3, 0.2, -40.0]])
    near = replace(lamp(kind), radius=None, size=None)
    scene = to_tensors(Scene(lights={"a": lamp(kind), "b": near}))
    sized, point = (arriving(light, points).irradiance.sum() for light in scene.lights.values())
    assert float(sized) == pytest.approx(float(point), rel=1e-3)


def test_harmonics_light_as_their_radiance_does():
    coefficients = np.zeros((9, 3))
    coefficients[0] = 0.5 / 0.28209479
    coefficients[2] = (0.2, 0.0, -0.1)  # brighter or darker from above
    positions, faces = icosphere(2)
    ball = {"Ball": Mesh(positions, faces, np.eye(4), face_smooth=np.ones(len(faces), bool), casts_shadow=False)}
    scene = to_tensors(Scene(meshes=ball, world=World(np.zeros(3), harmonics=coefficients)))
    out = ReferenceRenderer().render(flatten(scene), [camera(33, 33)])[0]
    normals_up = 1.0  # the camera looks down at the pole
    irradiance = np.pi * 0.5 + 2 * np.pi / 3 * 0.48860251 * coefficients[2] * normals_up
    np.testing.assert_allclose(out.rgb[16, 16].numpy(), 0.8 * irradiance / np.pi, rtol=0.01)
    grown = scene.world.harmonics.clone().requires_grad_()
    flat = flatten(with_leaves(scene, {"world/harmonics": grown}))
    ReferenceRenderer().render(flat, [camera(33, 33)])[0].rgb.sum().backward()
    assert (grown.grad[0] > 0).all()


@pytest.fixture
def casts(monkeypatch):
    """How often rays were cast."""
    count = [0]
    cast = visibility.Shadows._cast

    def counted(self, *arguments):
        count[0] += 1
        return cast(self, *arguments)

    monkeypatch.setattr(visibility.Shadows, "_cast", counted)
    return count


@pytest.mark.skipif(bool(visibility.NO_SHADOWS), reason=visibility.NO_SHADOWS)
def test_shadows_are_asked_for_once_until_something_moves(casts):
    scene = to_tensors(ball_over_ground(lights={"Lamp": lamp("point")}, world=World(np.full(3, 0.2))))
    topology = prepare(scene)
    flat = flatten(scene, topology=topology)
    views = [camera(32, 32), camera(32, 32, distance=4.0)]
    first = ReferenceRenderer().render(flat, views)[0].rgb
    assert casts == [4], "lamp and world, in two views"
    dimmer = with_leaves(scene, {"lights/Lamp/power": torch.tensor(20.0)})
    ReferenceRenderer().render(flatten(dimmer, topology=topology), views)
    again = ReferenceRenderer().render(flatten(scene, topology=topology), views)[0].rgb
    assert casts == [4]
    assert torch.equal(first, again)
    moved = with_leaves(scene, {"meshes/Ball/positions": scene.meshes["Ball"].positions + 0.1})
    ReferenceRenderer().render(flatten(moved, topology=topology), views)
    assert casts == [8]


@pytest.mark.skipif(bool(visibility.NO_SHADOWS), reason=visibility.NO_SHADOWS)
def test_a_ball_shadows_the_ground_unless_it_casts_none(casts):
    along = np.array([[0.8, 0, -0.6, 0], [0, 1, 0, 0], [0.6, 0, 0.8, 0], [0, 0, 0, 1.0]])
    sun = Light(along, np.ones(3), np.array(2.0), "sun")
    without = ball_over_ground(lights={"Sun": replace(sun, casts_shadow=False)})
    ghost = ball_over_ground(lights={"Sun": sun})
    ghost = replace(ghost, meshes={name: replace(mesh, casts_shadow=False) for name, mesh in ghost.meshes.items()})
    bright, clear = picture(without), picture(ghost)
    assert casts == [0]
    assert torch.equal(bright, clear)
    shadowed = picture(ball_over_ground(lights={"Sun": sun}))
    fallen = (bright > 0) & (shadowed == 0)
    area = float(fallen[..., 0].sum()) * (4.2 / (64 * 1.2)) ** 2
    assert 0.5 < area / (np.pi * 0.6**2) < 1.3, "the ball's shadow, partly behind it"


def picture(scene: Scene) -> torch.Tensor:
    return ReferenceRenderer().render(flatten(to_tensors(scene)), [camera(64, 64)])[0].rgb


def test_unlit_scenes_never_ask_for_shadows(monkeypatch):
    monkeypatch.setattr(surface, "shadows_of", None)
    ReferenceRenderer().render(flatten(to_tensors(ball_over_ground())), [camera(16, 16)])


def test_without_warp_lamps_shine_through(monkeypatch):
    monkeypatch.setattr(visibility, "NO_SHADOWS", "Shadows are left out")
    flat = flatten(to_tensors(ball_over_ground(lights={"Lamp": lamp("point")})))
    assert visibility.shadows_of(flat) is None
    assert float(ReferenceRenderer().render(flat, [camera(16, 16)])[0].rgb.max()) > 0


def glossy_scene(**values) -> Scene:
    positions, faces = icosphere(3)
    ball = Mesh(positions, faces, np.eye(4), face_smooth=np.ones(len(faces), bool), materials=("Paint",), casts_shadow=False)
    start = {"metallic": 0.4, "roughness": 0.45, "ior": 1.6, "specular": 0.6} | values
    arrays = {name: np.array(value) for name, value in start.items()}
    paint = Material(np.array([0.7, 0.4, 0.2]), shader="principled", emission=np.array([0.1, 0.0, 0.05]), **arrays)
    lights = {"Lamp": lamp("area", casts_shadow=False)}
    return Scene(meshes={"Ball": ball}, materials={"Paint": paint}, lights=lights, world=World(np.array([0.2, 0.3, 0.4])))


@pytest.mark.parametrize("leaf", ["base_color", "metallic", "roughness", "ior", "specular", "emission"])
def test_gradients_of_a_glossy_surface(leaf):
    """Against central differences; which reflected ray meets the lamp is constant, and moves with roughness."""
    scene = to_tensors(glossy_scene(), dtype=torch.float64)
    view, topology, path = camera(24, 24), prepare(scene), f"materials/Paint/{leaf}"

    def total(value: torch.Tensor) -> torch.Tensor:
        flat = flatten(with_leaves(scene, {path: value}), topology=topology, dtype=torch.float64)
        return ReferenceRenderer().render(surface.seen_from(flat, view), [view])[0].rgb.mean()

    start = leaves(scene)[path]
    value = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(value), value)
    wanted = (total(start + 1e-3) - total(start - 1e-3)) / 2e-3
    assert float(gradient.sum()) == pytest.approx(float(wanted), rel=0.05 if leaf == "roughness" else 2e-3)


@pytest.mark.parametrize("roughness", [0.2, 0.6, 1.0])
def test_a_white_metal_in_a_white_room_is_not_seen(roughness):
    """Energy is neither lost nor made, however rough the mirror."""
    scene = glossy_scene(metallic=1.0, roughness=roughness)
    paint = replace(scene.materials["Paint"], base_color=np.ones(3), emission=np.zeros(3))
    scene = to_tensors(replace(scene, materials={"Paint": paint}, lights={}, world=World(np.ones(3))))
    view = camera(33, 33)
    rgb = ReferenceRenderer().render(surface.seen_from(flatten(scene), view), [view])[0].rgb
    assert float(rgb[16, 16].mean()) == pytest.approx(1.0, abs=0.03)
    assert float(rgb[16, 8].mean()) == pytest.approx(1.0, abs=0.05)


def test_the_eye_is_where_the_camera_is():
    flat = flatten(to_tensors(glossy_scene()))
    assert surface.seen_from(flat, camera(8, 8)).eye.tolist() == pytest.approx([0, 0, 3, 1])
    assert surface.seen_from(flat, camera(8, 8, orthographic=True)).eye.tolist() == pytest.approx([0, 0, 1, 0])


GLOSSY = {
    "metal": {"metallic": 1.0},
    "metal by image": {"metallic_image": np.ones((2, 2, 1), np.float32)},
    "smooth": {"roughness": 0.1},
    "glow": {"emission": (0.0, 2.0, 0.0)},
}
MATTE = {"default": {}, "smooth without reflection": {"roughness": 0.1, "specular": 0.0}, "rough": {"roughness": 0.9}}


@pytest.mark.parametrize("kind", [*GLOSSY, *MATTE])
def test_what_a_fit_does_not_see_of_gloss_is_said(kind):
    plain = {"metallic": 0.0, "roughness": 0.5, "specular": 0.5, "emission": (0.0, 0.0, 0.0)}
    values = {name: np.asarray(value, np.float32) for name, value in (plain | (GLOSSY | MATTE)[kind]).items()}
    material = Material(np.ones(3, np.float32), shader="principled", **values)
    mesh = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]), np.eye(4, dtype=np.float32), materials=("Coat",))
    lit = Scene(meshes={"M": mesh}, materials={"Coat": material, "Unused": material}, world=World(np.ones(3, np.float32)))
    said = lost_in_steps(lit)
    assert ("'Coat' as matte" in said) == (kind in GLOSSY)
    assert "Unused" not in said
    assert lost_in_steps(replace(lit, world=None)) == "", "an unlit fit is told by the reader"
