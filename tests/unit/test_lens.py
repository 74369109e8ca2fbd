"""The reach of lens distortion: exact within the picture, and nothing from beside it ever folds into it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dr_backend.scene import Camera
from dr_backend.scene.lens import folds_in_picture, lens_shift, measures, polynomial_shift, reach, straight_bounds

SIZE = (640, 480)
LENSES = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
    "barrel": (-0.28, 0.09, -0.013, 0.0, 0.0),
    "folds within the picture": (-0.6, 0.0, 0.0, 0.0, 0.0),
    "pincushion": (0.3, 0.1, 0.2, 0.0, 0.0),
    "moustache": (-0.2, 0.5, -0.3, 0.001, 0.002),
    "tangential": (0.0, 0.0, 0.0, 0.03, -0.02),
    "tangential, folds within the picture": (-0.1, 0.02, 0.0, -0.1, 0.15),
}


def camera_of(lens, centre=(300.0, 250.0)):
    pinhole = Camera(np.eye(4), np.array([400.0, 410.0]), np.array([320.0, 240.0]), SIZE)
    measured_by = {"distortion_focal_px": np.array([420.0, 430.0]), "distortion_centre_px": np.array(centre)}
    return replace(pinhole, distortion=np.array(LENSES[lens]), **measured_by)


def seen(camera, x, y):
    dx, dy = lens_shift(x, y, camera.distortion, reach(camera))
    return x + dx, y + dy


def in_picture(camera, x, y):
    focal, centre = measures(camera)
    column, row = x * focal[0] + centre[0], y * focal[1] + centre[1]
    return (column >= 0) & (column <= SIZE[0]) & (row >= 0) & (row <= SIZE[1])


@pytest.mark.parametrize(("lens", "centre"), list(product(LENSES, [(300.0, 250.0), (-100.0, 900.0)])))
def test_nothing_folds(lens, centre):
    """The map keeps its orientation everywhere, so no two points land on one."""
    camera = camera_of(lens, centre)
    grid = np.linspace(-8, 8, 2001)
    x, y = seen(camera, *np.meshgrid(grid, grid))
    (x_down, x_right), (y_down, y_right) = np.gradient(x), np.gradient(y)
    assert (x_right * y_down - x_down * y_right).min() > 0


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("distance", [1.001, 3, 30, 1e4, 1e9])
def test_what_lies_beyond_the_reach_stays_beside_the_picture(lens, distance):
    camera = camera_of(lens)
    angle = np.linspace(0, 2 * np.pi, 721)
    radius = reach(camera) * distance
    found = in_picture(camera, *seen(camera, radius * np.cos(angle), radius * np.sin(angle)))
    assert found.any() == ("folds" in lens and distance < 1.1)


@pytest.mark.parametrize("lens", LENSES)
def test_within_the_picture_the_polynomial_itself_is_followed(lens):
    camera = camera_of(lens)
    limit = reach(camera)
    points = np.random.default_rng(0).uniform(-2, 2, (2, 4000))
    points = points[:, np.hypot(*points) < limit]
    for ours, exact in zip(lens_shift(*points, camera.distortion, limit), polynomial_shift(*points, camera.distortion), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-12)


@pytest.mark.parametrize("lens", LENSES)
def test_bounds_hold_all_that_is_seen(lens):
    camera = camera_of(lens)
    (left, top, right, bottom), (focal, centre) = straight_bounds(camera), measures(camera)
    x, y = np.random.default_rng(1).uniform(-3, 3, (2, 100000))
    shown = in_picture(camera, *seen(camera, x, y))
    column, row = (x * focal[0] + centre[0])[shown], (y * focal[1] + centre[1])[shown]
    assert shown.sum() > 1000
    assert left <= column.min() < column.max() <= right
    assert top <= row.min() < row.max() <= bottom


@pytest.mark.parametrize("lens", LENSES)
def test_a_lens_that_folds_within_the_picture_is_known(lens):
    assert folds_in_picture(camera_of(lens)) == ("folds" in lens)


def test_bounds_of_a_straight_lens_are_the_picture():
    assert straight_bounds(Camera(np.eye(4), np.ones(2), np.ones(2), SIZE)) == (0, 0, *SIZE)
