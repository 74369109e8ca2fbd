"""How a photo was exposed: the factor between the scene's light and the photo's linear colours."""

from typing import Any

from .types import Camera


def photo_gain(camera: Camera) -> Any | None:
    """Factor (3,) or () that turns linear radiance into the linear colours of this camera's photo; None where it is 1.

    Two to the power of the exposure, times the white balance, both as in Blender's colour management: in stops and per channel. Works on
    arrays and tensors. Gradients: exact.
    """
    if camera.exposure is None:
        return camera.white_balance
    stops = 2.0**camera.exposure
    return stops if camera.white_balance is None else stops * camera.white_balance
