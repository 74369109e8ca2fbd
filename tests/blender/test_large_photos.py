"""Photos larger than any stage compares are made smaller, with their masks and cameras."""

import dataclasses

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.exchange.photos import read_photo_camera  # noqa: E402
from blender_addon.exchange.resize import reduced, resize, resized_camera  # noqa: E402
from blender_addon.exchange.scene import read_scene, write_result  # noqa: E402
from dr_backend.job import LARGEST_PHOTO  # noqa: E402
from dr_backend.scene import Photo  # noqa: E402
from tests.blender.test_cameras import project  # noqa: E402


def test_a_large_photo_arrives_smaller_and_its_camera_still_fits(build):
    mesh, camera = build.mesh(), build.camera("Front", (3000, 2000))
    exported = read_scene(build.scene, [mesh], [camera], [], texture=False)
    photo, small = exported.photos[0], exported.scene.cameras["Front"]
    assert photo.rgb.shape[:2] == (small.size[1], small.size[0]) == (1365, LARGEST_PHOTO)
    full = read_photo_camera(camera, build.scene)
    points = np.array([[0.1, 0.2, 0.3], [-0.4, 0, 0.2]])
    np.testing.assert_allclose(project(small, points), project(full, points) * (2048 / 3000, 1365 / 2000), atol=1e-3)


def test_a_camera_fitted_to_a_large_photo_is_written_back(build):
    mesh, camera = build.mesh(), build.camera("Front", (3000, 2000))
    exported = read_scene(build.scene, [mesh], [camera], [], texture=False)
    before, small = read_photo_camera(camera, build.scene), exported.scene.cameras["Front"]
    write_result(exported.bindings, {"cameras/Front/focal_px": small.focal_px * 1.5, "cameras/Front/centre_px": small.centre_px + 10})
    after = read_photo_camera(camera, build.scene)
    np.testing.assert_allclose(after.focal_px, before.focal_px * 1.5, rtol=1e-3)
    np.testing.assert_allclose(after.centre_px, before.centre_px + 10 * 3000 / 2048, rtol=1e-3)


def test_what_is_outside_the_mask_does_not_bleed_in():
    mask = np.zeros((8, 12), np.float32)
    mask[:, :7] = 1
    photo = Photo("Front", np.where(mask[..., None] > 0, np.float32([0.2, 0.4, 0.6]), 1).astype(np.float32), mask)
    small = reduced(photo, 4)
    inside = small.mask > 0
    assert 0 < small.mask[0, 2] < 1, "the edge goes through a pixel"
    np.testing.assert_allclose(small.rgb[inside], np.broadcast_to(np.float32([0.2, 0.4, 0.6]), small.rgb[inside].shape), atol=1e-6)
    assert reduced(photo, 12) is photo


def test_the_lens_is_measured_in_the_smaller_photo_s_pixels(build):
    camera = build.camera("Front", (64, 48))
    bent = dataclasses.replace(
        read_photo_camera(camera, build.scene),
        distortion=np.float32([0.1, 0, 0, 0, 0]), distortion_focal_px=np.float32([80, 80]), distortion_centre_px=np.float32([30, 20]),
    )
    half = resized_camera(bent, (32, 24))
    assert half.size == (32, 24)
    np.testing.assert_allclose(half.distortion_focal_px, (40, 40))
    np.testing.assert_allclose(half.distortion_centre_px, (15, 10))
    np.testing.assert_array_equal(half.distortion, bent.distortion)
    assert half.focal_px.dtype == bent.focal_px.dtype


def test_resize_keeps_the_mean():
    image = np.random.default_rng(0).random((17, 23, 2), np.float32)
    np.testing.assert_allclose(resize(image, 5, 7).mean((0, 1)), image.mean((0, 1)), rtol=1e-5)
