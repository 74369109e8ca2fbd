"""Every light on matte surfaces, without shadows."""

from .fixture import UNSHADOWED, fixture
from .studio import Studio


def _stage(studio: Studio) -> None:
    """A ball above a ground, neither of which shadows the other."""
    matte = studio.diffuse()
    studio.ball(matte).location = (0, 0, 1.0)
    studio.plane(matte, half=3)


@fixture("lamps", UNSHADOWED)
def point(studio: Studio) -> None:
    _stage(studio)
    studio.lamp("POINT", 300)


@fixture("lamps", UNSHADOWED, variants=["hard rim", "soft rim", "wide"], supersample=4)
def spot(studio: Studio, variant: str) -> None:
    _stage(studio)
    size, blend = {"hard rim": (0.7, 0.0), "soft rim": (0.7, 0.6), "wide": (2.2, 1.0)}[variant]
    studio.lamp("SPOT", 400, spot_size=size, spot_blend=blend)


@fixture("lamps", UNSHADOWED)
def sun(studio: Studio) -> None:
    _stage(studio)
    studio.lamp("SUN", 3)


@fixture("lamps", UNSHADOWED)
def several_with_a_world(studio: Studio) -> None:
    matte = studio.diffuse()
    studio.ball(matte)
    studio.lamp("POINT", 150)
    studio.lamp("SUN", 1, eye=(-2, -2, 1), color=(0.2, 0.5, 1.0))
    studio.background((0.2, 0.3, 0.5), 0.7)


@fixture("lamps", UNSHADOWED)
def world_color_and_strength(studio: Studio) -> None:
    studio.ball(studio.diffuse())
    studio.background((0.3, 0.5, 0.8), 1.3)


@fixture("lamps", UNSHADOWED)
def exposure_and_temperature(studio: Studio) -> None:
    _stage(studio)
    lamp = studio.lamp("POINT", 80).data
    if hasattr(lamp, "exposure"):
        lamp.exposure, lamp.use_temperature, lamp.temperature = 2, True, 3500


@fixture("lamps", UNSHADOWED)
def emission_node(studio: Studio) -> None:
    """What a lamp's nodes say multiplies what the lamp says."""
    _stage(studio)
    lamp = studio.lamp("POINT", 120)
    if not lamp.data.use_nodes:
        lamp.data.use_nodes = True
    node = next(n for n in lamp.data.node_tree.nodes if n.type == "EMISSION")
    node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (0.4, 0.8, 1.0, 1), 2.5
