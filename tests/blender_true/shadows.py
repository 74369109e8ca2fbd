"""Lamps with a size, and the shadows they cast."""

import math

from .fixture import SHADOWED, UNSHADOWED, fixture
from .studio import Studio

_LAMPS = {
    "point": ("POINT", 300, {"shadow_soft_size": 0.5}),
    "ball": ("POINT", 300, {"shadow_soft_size": 0.5, "use_soft_falloff": False}),
    "spot": ("SPOT", 500, {"shadow_soft_size": 0.4, "spot_size": 0.9, "spot_blend": 0.4}),
    "sun": ("SUN", 3, {"angle": math.radians(12)}),
    "square": ("AREA", 150, {"shape": "SQUARE", "size": 1.2}),
    "rectangle": ("AREA", 150, {"shape": "RECTANGLE", "size": 2.0, "size_y": 0.5}),
    "disk": ("AREA", 150, {"shape": "DISK", "size": 1.2}),
    "ellipse": ("AREA", 150, {"shape": "ELLIPSE", "size": 2.0, "size_y": 0.7}),
    "narrow spread": ("AREA", 100, {"shape": "SQUARE", "size": 1.0, "spread": 1.2}),
}


def _lamp(studio: Studio, variant: str, eye: tuple[float, float, float] = (1.6, -1.0, 2.6), **settings: object) -> None:
    kind, energy, own = _LAMPS[variant]
    studio.lamp(kind, energy, eye=eye, **own, **settings)


@fixture("sizes", UNSHADOWED, variants=list(_LAMPS), samples=48)
def near_lamp_of_a_size_without_shadow(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.ball(matte).location = (0, 0, 1)
    studio.plane(matte, half=3)
    _lamp(studio, variant)


@fixture("shadows", SHADOWED, variants=list(_LAMPS), samples=48)
def soft_shadow(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    ball = studio.ball(matte)
    ball.location, ball.scale = (0, 0, 0.8), (0.8, 0.8, 0.8)
    studio.plane(matte, half=3)
    _lamp(studio, variant, use_shadow=True)


@fixture("shadows", SHADOWED, variants=["POINT", "SUN"])
def hard_shadow(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    box = studio.box(matte)
    box.location, box.rotation_euler, box.scale = (-0.3, 0, 1.0), (0.4, 0.2, 0.5), (0.6, 0.6, 0.6)
    studio.plane(matte, half=3)
    studio.lamp(variant, 300 if variant == "POINT" else 3, use_shadow=True)


@fixture("shadows", SHADOWED)
def terminator_of_a_coarse_smooth_ball(studio: Studio) -> None:
    studio.ball(studio.diffuse(), segments=16, rings=8).scale = (1.6, 1.6, 1.6)
    studio.lamp("POINT", 300, eye=(3, 1, 2), use_shadow=True)


@fixture("shadows", SHADOWED)
def scaled_and_turned_area_lamp(studio: Studio) -> None:
    matte = studio.diffuse()
    box = studio.box(matte)
    box.location, box.scale = (0, 0, 0.7), (0.5, 0.5, 0.7)
    studio.plane(matte, half=3)
    lamp = studio.lamp("AREA", 120, eye=(1.5, 0.5, 2.5), use_shadow=True, shape="RECTANGLE", size=1.0, size_y=0.5)
    lamp.scale = (2.0, 0.8, 1.0)


@fixture("shadows", SHADOWED)
def scaled_point_lamp(studio: Studio) -> None:
    matte = studio.diffuse()
    box = studio.box(matte)
    box.location, box.scale = (0, 0, 0.7), (0.5, 0.5, 0.7)
    studio.plane(matte, half=3)
    studio.lamp("POINT", 300, use_shadow=True, shadow_soft_size=0.3).scale = (2, 2, 2)


@fixture("shadows", SHADOWED)
def object_that_casts_none(studio: Studio) -> None:
    matte = studio.diffuse()
    box, ghost = studio.box(matte), studio.box(matte, name="Ghost")
    box.location, box.scale = (-0.9, 0, 0.6), (0.4, 0.4, 0.6)
    ghost.location, ghost.scale, ghost.visible_shadow = (0.9, 0, 0.6), (0.4, 0.4, 0.6), False
    studio.plane(matte, half=3)
    studio.lamp("SUN", 3, use_shadow=True)
