"""Colour management: exposure and white balance of a photo, and the Standard view."""

from .fixture import UNSHADOWED, fixture
from .studio import Studio


def _ball(studio: Studio) -> None:
    studio.ball(studio.diffuse()).scale = (1.6, 1.6, 1.6)
    studio.lamp("SUN", 2)
    studio.background((0.3, 0.4, 0.6), 0.2)


@fixture("colors", UNSHADOWED, variants=["brighter", "darker"])
def exposure_of_a_photo(studio: Studio, variant: str) -> None:
    _ball(studio)
    stops = 0.8 if variant == "brighter" else -1.3
    studio.camera["fit_to_photo_exposure"] = stops
    studio.scene.cycles.film_exposure = 2.0**stops


@fixture("colors", UNSHADOWED, display=True)
def standard_view(studio: Studio) -> None:
    _ball(studio)


@fixture("colors", UNSHADOWED, display=True)
def exposure_in_the_standard_view(studio: Studio) -> None:
    _ball(studio)
    studio.camera["fit_to_photo_exposure"] = 0.7
    studio.scene.view_settings.exposure = 0.7


@fixture("colors", UNSHADOWED)
def white_balance_of_a_photo(studio: Studio) -> None:
    """Blender has no such factor for a render alone, so every light of its picture is tinted."""
    _ball(studio)
    tint = (1.3, 1.0, 0.7)
    studio.camera["fit_to_photo_white_balance"] = tint
    studio.before_cycles = lambda: studio.tint_lights(tint)
