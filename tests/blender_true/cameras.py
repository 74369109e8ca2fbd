"""Cameras: focal length, sensor fit, shift, pixel aspect, projection and transform. A box shows where everything lands."""

import math

from .fixture import OUTLINE, fixture
from .studio import Studio

_SIZES = {"portrait": (120, 168), "landscape": (168, 120)}


def _set_size(studio: Studio, shape: str) -> None:
    studio.scene.render.resolution_x, studio.scene.render.resolution_y = _SIZES[shape]


@fixture("cameras", OUTLINE, variants=[f"{fit} {shape}" for fit in ("auto", "horizontal", "vertical") for shape in _SIZES], lit=False)
def sensor_fit(studio: Studio, variant: str) -> None:
    fit, shape = variant.split()
    _set_size(studio, shape)
    studio.box()
    data = studio.camera.data
    data.sensor_fit, data.sensor_width, data.sensor_height, data.lens = fit.upper(), 32, 22, 38


@fixture("cameras", OUTLINE, variants=list(_SIZES), lit=False)
def shift_x_and_y(studio: Studio, variant: str) -> None:
    _set_size(studio, variant)
    studio.box()
    studio.camera.data.shift_x, studio.camera.data.shift_y = 0.13, -0.09


@fixture("cameras", OUTLINE, lit=False)
def field_of_view(studio: Studio) -> None:
    studio.box()
    studio.camera.data.angle = math.radians(35)


@fixture("cameras", OUTLINE, variants=["wide pixels", "tall pixels"], lit=False, warns="another shape")
def pixel_aspect(studio: Studio, variant: str) -> None:
    studio.box()
    aspect = (1.6, 1.0) if variant == "wide pixels" else (1.0, 1.4)
    studio.scene.render.pixel_aspect_x, studio.scene.render.pixel_aspect_y = aspect


@fixture("cameras", OUTLINE, variants=["plain", "shifted landscape"], lit=False)
def orthographic(studio: Studio, variant: str) -> None:
    studio.box()
    data = studio.camera.data
    data.type, data.ortho_scale = "ORTHO", 4.5
    if variant != "plain":
        _set_size(studio, "landscape")
        data.shift_x, data.shift_y = -0.08, 0.11


@fixture("cameras", OUTLINE, lit=False)
def rolled_scaled_and_parented(studio: Studio) -> None:
    studio.box()
    rig = studio.link(studio.new_empty("Rig"))
    rig.location, rig.rotation_euler = (0.3, -0.2, 0.1), (0.1, -0.05, 0.4)
    studio.aim((0.5, -6, 3), roll=0.6)
    studio.camera.parent, studio.camera.scale = rig, (2, 2, 2)


@fixture("cameras", OUTLINE, lit=False, supersample=4)
def close_up_through_the_near_clip(studio: Studio) -> None:
    studio.box()
    studio.camera.data.clip_start = 6.3
