"""Place Mesh: a mesh that stands anywhere is put to where the masks show the object; and the warning that it is needed."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from mathutils import Matrix, Vector

bpy = pytest.importorskip("bpy")

from blender_addon import session  # noqa: E402
from tests.blender.operators.conftest import add_camera, everything, tick_until  # noqa: E402

CENTRE, RADIUS = np.array([3.0, -2.0, 1.0]), 0.5
FOCAL_PX = 32 * 50 / 36


def photograph(camera) -> None:
    """Paints the mask of a ball at CENTRE into the camera's photo."""
    bpy.context.view_layer.update()
    to_camera = np.array(camera.matrix_world.inverted())
    x, y, z = to_camera[:3, :3] @ CENTRE + to_camera[:3, 3]
    column, row, radius = 16 + FOCAL_PX * x / -z, 12 - FOCAL_PX * y / -z, FOCAL_PX * RADIUS / -z
    rows, columns = np.mgrid[:24, :32] + 0.5
    inside = (columns - column) ** 2 + (rows - row) ** 2 < radius**2
    assert inside.any()
    pixels = np.ones((24, 32, 4), np.float32)
    pixels[..., 3] = inside[::-1]
    camera.data.background_images[0].image.pixels.foreach_set(pixels.ravel())


@pytest.fixture
def ball(scene):
    """A small stretched ball far from the object, and four cameras around the object."""
    for obj in [*bpy.data.objects]:
        bpy.data.objects.remove(obj)
    for index, (x, y) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        camera = add_camera(f"Shot {index}", tuple(CENTRE + np.array([x, y, 0.3]) * 3), (0, 0, 0))
        camera.matrix_world = Matrix.Translation(camera.location) @ (-Vector((x, y, 0.3))).to_track_quat("-Z", "Y").to_matrix().to_4x4()
        photograph(camera)
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4, radius=0.02, location=CENTRE + (0.3, 0.2, 0.1))
    bpy.context.object.rotation_euler = 0.3, 0.2, 0.1
    bpy.context.view_layer.update()
    return bpy.context.object


def test_a_mesh_is_moved_and_scaled_to_the_masks(ball):
    turn = ball.matrix_world.to_quaternion()
    assert bpy.ops.fit_to_photo.place_mesh() == {"FINISHED"}
    bpy.context.view_layer.update()
    places = np.array([ball.matrix_world @ vertex.co for vertex in ball.data.vertices])
    assert np.linalg.norm(places.mean(0) - CENTRE) < 0.04
    assert np.linalg.norm(places - places.mean(0), axis=1).max() == pytest.approx(RADIUS, rel=0.08)
    assert ball.matrix_world.to_quaternion().rotation_difference(turn).angle < 1e-3, "it is not turned"


def test_the_parent_stays_and_a_mesh_in_edit_mode_is_placed(ball):
    parent = bpy.data.objects.new("Parent", None)
    parent.scale = 2, 2, 2
    bpy.context.scene.collection.objects.link(parent)
    ball.parent = parent
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.fit_to_photo.place_mesh() == {"FINISHED"}
    assert ball.mode == "EDIT"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert (ball.matrix_world.translation - Vector(CENTRE)).length < 0.05
    assert tuple(parent.scale) == (2, 2, 2)


@pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")
def test_a_start_far_away_is_warned_of_until_it_is_placed(ball):
    def warnings() -> str:
        fit = session.start(bpy.context.scene, bpy.context.view_layer)
        tick_until(fit, lambda: fit.finished)
        bpy.ops.fit_to_photo.revert()
        return " ".join(fit.warnings)

    assert "press Place Mesh" in warnings()
    bpy.ops.fit_to_photo.place_mesh()
    assert "Place Mesh" not in warnings()


def no_masks():
    for image in bpy.data.images:
        image.pixels.foreach_set(np.ones(24 * 32 * 4, np.float32))


def one_camera():
    for number in (1, 2, 3):
        bpy.data.objects.remove(bpy.data.objects[f"Shot {number}"])


def from_one_side():
    for number in (1, 2, 3):
        other = bpy.data.objects[f"Shot {number}"]
        other.matrix_world = bpy.data.objects["Shot 0"].matrix_world
        photograph(other)


def looking_away():
    for number in range(4):
        camera = bpy.data.objects[f"Shot {number}"]
        camera.matrix_world = camera.matrix_world @ Matrix.Rotation(np.pi, 4, "Y")


def two_meshes():
    other = bpy.data.objects.new("Other", bpy.context.object.data.copy())
    bpy.context.scene.collection.objects.link(other)
    other.select_set(True)


def a_point():
    for vertex in bpy.context.object.data.vertices:
        vertex.co = 0, 0, 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_masks, "Masks of two photos are needed"),
        (one_camera, "Masks of two photos are needed"),
        (from_one_side, "taken from the same side"),
        (looking_away, "look away from one another"),
        (two_meshes, "Several meshes are selected"),
        (a_point, "has no size"),
    ],
)
def test_what_hinders_is_said(ball, spoil, words):
    spoil()
    bpy.context.view_layer.update()
    before = everything()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.fit_to_photo.place_mesh()
    assert everything() == before


def test_a_ball_comes_to_the_lego(scene):
    data = Path(os.environ.get("FIT_TO_PHOTO_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "lego"
    if not data.is_dir():
        pytest.skip(f"no data in {data}")
    for obj in [*bpy.data.objects]:
        bpy.data.objects.remove(obj)
    bpy.ops.fit_to_photo.import_cameras(filepath=str(data / "transforms.json"))
    bpy.ops.mesh.primitive_ico_sphere_add(radius=40, location=(20, 30, 40))  # the cameras are inside of it, and it is in no middle
    bpy.ops.fit_to_photo.place_mesh()
    ball = bpy.context.object
    assert ball.matrix_world.translation.length < 0.1, "the toy stands around the origin"
    assert 0.9 < 40 * ball.scale.x < 1.3
