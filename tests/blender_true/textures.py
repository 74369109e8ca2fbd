"""Images on surfaces, unlit: extension, interpolation, coordinates."""

from .fixture import TEXTURE, fixture
from .studio import Studio


@fixture("textures", TEXTURE, variants=["REPEAT", "EXTEND", "CLIP", "MIRROR"], lit=False, supersample=4)
def extension(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    plane = studio.mesh("Plane", [(-2, -2, 0), (2, -2, 0), (2, 2, 0), (-2, 2, 0)], [(0, 1, 2, 3)], matte)
    studio.uv_map(plane, [(-0.7, -0.4), (1.9, -0.6), (1.6, 1.7), (-0.5, 1.4)])
    studio.image_node(matte, studio.picture(), extension=variant)


@fixture("textures", TEXTURE, variants=["Linear", "Closest"], lit=False, supersample=8)
def interpolation(studio: Studio, variant: str) -> None:
    matte = studio.diffuse()
    studio.plane(matte)
    studio.image_node(matte, studio.picture(), interpolation=variant)


@fixture("textures", TEXTURE, lit=False, supersample=4)
def around_a_ball(studio: Studio) -> None:
    matte = studio.diffuse()
    studio.ball(matte).scale = (1.6, 1.6, 1.6)
    studio.image_node(matte, studio.picture((24, 16)))
