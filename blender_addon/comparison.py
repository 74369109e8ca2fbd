"""A photo beside the render of its camera, as pictures: the photo, the render, their difference, and a heat map of the error. No bpy."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dr_backend.scene import Camera

View = Literal["PHOTO", "RENDER", "DIFFERENCE", "ERROR"]
FULL_ERROR = 0.25  # mean difference of the channels, of display values in [0, 1], at which the heat map is at its brightest
GAIN = 4.0  # how much brighter a difference is shown: a good fit would be all black
OUTSIDE = 0.35  # how bright the photo is outside its mask
# From no error to FULL_ERROR: red, green, blue and opacity.
_HEAT = np.array(
    [(0.0, 0.0, 0.3, 0.0), (0.3, 0.0, 0.55, 0.55), (0.8, 0.15, 0.4, 0.8), (1.0, 0.55, 0.1, 0.9), (1.0, 1.0, 0.6, 1.0)], np.float32
)


@dataclass(frozen=True)
class Comparison:
    """One camera's photo and render at the same size, (H, W) pixels, row 0 at the top, display-referred sRGB in [0, 1]."""

    camera: Camera  # as it projects onto the photo
    photo: np.ndarray  # (H, W, 3)
    mask: np.ndarray | None  # (H, W)
    render: np.ndarray  # (H, W, 4), straight alpha

    def picture(self, view: View) -> np.ndarray:
        """One of the pictures, (H, W, 4) with straight alpha; all but the heat map hide what is behind them."""
        if view == "RENDER":
            return _opaque(self.render[..., :3] * self.render[..., 3:])
        if view == "PHOTO":
            lit = 1.0 if self.mask is None else OUTSIDE + (1 - OUTSIDE) * self.mask[..., None]
            return _opaque(self.photo * lit)
        mask = self.render[..., 3] if self.mask is None else self.mask  # a photo without mask is compared where the model is, as in the fit
        inside = np.maximum(mask, self.render[..., 3])
        difference = np.abs(self.render[..., :3] * self.render[..., 3:] - self.photo * mask[..., None]) * inside[..., None]
        if view == "DIFFERENCE":
            return _opaque(np.minimum(GAIN * difference, 1))
        return heat(difference.mean(-1))

    def corners(self) -> np.ndarray:
        """The photo's corners in camera space at depth 1, (4, 3): lower left, lower right, upper right, upper left."""
        width, height = self.camera.size
        pixels = np.array([(0, height), (width, height), (width, 0), (0, 0)], np.float64)
        x, y = ((pixels - np.asarray(self.camera.centre_px)) / np.asarray(self.camera.focal_px)).T
        return np.stack([x, -y, -np.ones(4)], 1)


def _opaque(rgb: np.ndarray) -> np.ndarray:
    return np.concatenate([rgb, np.ones((*rgb.shape[:2], 1), np.float32)], -1, dtype=np.float32)


def heat(error: np.ndarray) -> np.ndarray:
    """A heat map (H, W, 4) of errors (H, W): transparent where there is none, yellow from ``FULL_ERROR`` on."""
    place = np.clip(error / FULL_ERROR, 0, 1) * (len(_HEAT) - 1)
    steps = np.arange(len(_HEAT))
    return np.stack([np.interp(place, steps, channel) for channel in _HEAT.T], -1).astype(np.float32)
