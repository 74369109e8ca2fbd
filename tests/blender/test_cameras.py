"""Cameras against Blender's own projection, and there and back."""

from dataclasses import replace

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem
from blender_addon.exchange.cameras import read_camera, write_camera
from dr_backend.scene.exposure import photo_gain


def project(camera, points_world):
    """Pixels (N, 2) as ``dr_backend.scene.Camera`` defines them, in float64."""
    matrix = camera.camera_from_world.astype(np.float64)
    x, y, z = (points_world @ matrix[:3, :3].T + matrix[:3, 3]).T
    scale = np.ones_like(z) if camera.projection == "orthographic" else -z
    return np.stack([camera.centre_px[0] + camera.focal_px[0] * x / scale, camera.centre_px[1] - camera.focal_px[1] * y / scale], -1)


def project_by_blender(obj, points_world, size, aspect):
    depsgraph = bpy.context.evaluated_depsgraph_get()
    clip_from_camera = np.array(obj.calc_matrix_camera(depsgraph, x=size[0], y=size[1], scale_x=aspect[0], scale_y=aspect[1]), np.float64)
    camera_from_world = np.array(obj.matrix_world.normalized().inverted(), np.float64)
    clip = np.c_[points_world, np.ones(len(points_world))] @ (clip_from_camera @ camera_from_world).T
    ndc = clip[:, :2] / clip[:, 3:]
    return np.stack([(ndc[:, 0] + 1) / 2 * size[0], (1 - ndc[:, 1]) / 2 * size[1]], -1)


CASES = [
    (fit, size, shift, aspect, kind)
    for fit in ("AUTO", "HORIZONTAL", "VERTICAL")
    for size in ((1920, 1080), (1080, 1920), (1000, 1000))
    for shift in ((0, 0), (0.3, -0.2))
    for aspect in ((1, 1), (2, 1), (1, 1.5))
    for kind in ("PERSP", "ORTHO")
]


def place(build, fit, shift, kind):
    obj = build.camera(photo=False)
    data = obj.data
    data.type, data.sensor_fit = kind, fit
    data.lens, data.sensor_width, data.sensor_height, data.ortho_scale = 41, 33, 21, 5.5
    data.shift_x, data.shift_y = shift
    obj.rotation_euler, obj.scale = (1.3, 0.2, 0.4), (2, 2, 2)
    bpy.context.view_layer.update()
    return obj


@pytest.mark.parametrize(("fit", "size", "shift", "aspect", "kind"), CASES)
def test_projects_like_blender_and_round_trips(build, fit, size, shift, aspect, kind):
    obj = place(build, fit, shift, kind)
    local = np.random.default_rng(1).uniform((-2, -1.5, -12), (2, 1.5, -3), (50, 3))
    matrix = np.array(obj.matrix_world.normalized(), np.float64)
    points = local @ matrix[:3, :3].T + matrix[:3, 3]
    camera = read_camera(obj, size, aspect)
    assert np.abs(project(camera, points) - project_by_blender(obj, points, size, aspect)).max() <= 0.01

    other = build.camera("Other", photo=False)
    other.data.sensor_fit, other.data.sensor_width, other.data.sensor_height = fit, 33, 21
    write_camera(other, camera)
    bpy.context.view_layer.update()
    again = read_camera(other, size, aspect)
    for leaf in ("camera_from_world", "focal_px", "centre_px"):
        np.testing.assert_allclose(getattr(again, leaf), getattr(camera, leaf), rtol=1e-6, atol=2e-6)
    assert (again.size, again.projection, again.near) == (camera.size, camera.projection, camera.near)


def test_write_respects_parent_and_keeps_scale(build):
    obj = place(build, "AUTO", (0, 0), "PERSP")
    camera = read_camera(obj, (640, 480))
    parent = build.link(bpy.data.objects.new("Rig", None))
    parent.location, parent.rotation_euler, parent.scale = (1, 2, 3), (0.4, 0.5, 0.6), (3, 3, 3)
    obj.parent = parent
    bpy.context.view_layer.update()
    assert np.abs(read_camera(obj, (640, 480)).camera_from_world - camera.camera_from_world).max() > 0.1
    write_camera(obj, camera)
    bpy.context.view_layer.update()
    np.testing.assert_allclose(read_camera(obj, (640, 480)).camera_from_world, camera.camera_from_world, atol=1e-5)
    np.testing.assert_allclose(obj.matrix_world.to_scale(), (6, 6, 6), rtol=1e-5)


def test_lens_as_field_of_view(build):
    obj = build.camera(photo=False)
    obj.data.lens_unit, obj.data.angle = "FOV", np.pi / 2
    assert read_camera(obj, (800, 600)).focal_px == pytest.approx((400, 400), rel=1e-5)


@pytest.mark.parametrize("change", ["panorama", "mirrored", "sheared"])
def test_refuses_what_no_pinhole_can_do(build, change):
    obj = build.camera("Odd", photo=False)
    if change == "panorama":
        obj.data.type = "PANO"
    elif change == "mirrored":
        obj.scale = (-1, 1, 1)
    else:
        parent = build.link(bpy.data.objects.new("Rig", None))
        parent.scale = (1, 3, 1)
        obj.parent, obj.rotation_euler = parent, (0.5, 0.5, 0.5)
    bpy.context.view_layer.update()
    with pytest.raises(SceneProblem, match="'Odd'"):
        read_camera(obj, (640, 480))


def test_exposure_and_white_balance_round_trip_exactly(build):
    obj = build.camera()
    plain = read_camera(obj, (64, 48))
    assert (plain.exposure, plain.white_balance) == (None, None)
    wanted = replace(plain, exposure=np.array(0.7, np.float32), white_balance=np.array([1.1, 1, 0.9], np.float32))
    write_camera(obj, wanted)
    again = read_camera(obj, (64, 48))
    assert again.exposure == wanted.exposure
    np.testing.assert_array_equal(again.white_balance, wanted.white_balance)
    write_camera(obj, plain)
    assert read_camera(obj, (64, 48)).exposure is None
    assert photo_gain(plain) is None
    np.testing.assert_allclose(photo_gain(again), 2**0.7 * np.array([1.1, 1, 0.9]), rtol=1e-6)
