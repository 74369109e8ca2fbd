"""The loss of a running fit as a small picture, for the panel."""

import math
from collections.abc import Sequence

import bpy
import bpy.utils.previews
import numpy as np

SIDE = 128  # pixels; the panel shows it at about this size
_LINE = (0.35, 0.62, 1.0, 1.0)
_AREA = (0.35, 0.62, 1.0, 0.25)
_GROUND = (0.0, 0.0, 0.0, 0.25)
_NAME = "loss"

_pictures: "bpy.utils.previews.ImagePreviewCollection | None" = None
_drawn: tuple[int, float] | None = None  # number of losses and the last of them, as drawn


def plot(losses: Sequence[float], side: int = SIDE) -> np.ndarray:
    """A curve of the losses from left to right, (side, side, 4) in [0, 1], row 0 at the bottom; logarithmic from smallest to largest."""
    picture = np.tile(np.array(_GROUND, np.float32), (side, side, 1))
    if not losses:
        return picture
    logs = np.log(np.maximum(np.asarray(losses, np.float64), 1e-12))
    span = max(float(logs.max() - logs.min()), 1e-9)
    columns = np.interp(np.linspace(0, len(logs) - 1, side), np.arange(len(logs)), (logs - logs.min()) / span)
    height = 0.06 * side + columns * 0.88 * side
    rows = np.arange(side)[:, None]
    picture[rows < height] = _AREA
    # a line two pixels thick, drawn as high as the curve jumps from one column to the next
    before = np.concatenate([height[:1], height[:-1]])
    picture[(rows >= np.minimum(before, height) - 1) & (rows <= np.maximum(before, height) + 1)] = _LINE
    return picture


def loss_icon(losses: Sequence[float]) -> int:
    """Icon id of the curve for ``template_icon``."""
    global _pictures, _drawn
    if _pictures is None:
        _pictures = bpy.utils.previews.new()
    picture = _pictures.get(_NAME) or _pictures.new(_NAME)
    state = (len(losses), losses[-1] if losses else math.nan)
    if state != _drawn:
        _drawn = state
        picture.image_size = (SIDE, SIDE)
        picture.image_pixels_float.foreach_set(plot(losses).ravel())
    return picture.icon_id


def unregister() -> None:
    """Frees the picture."""
    global _pictures, _drawn
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = _drawn = None
