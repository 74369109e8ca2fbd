"""Where a photo lies in its camera's frame: the arithmetic of background images, as Blender's viewport draws them.

Lengths in the frame are measured as Camera Shift is: in widths of a frame that the sensor spans across, in heights of one that it spans
upwards. The frame's middle is (0, 0), y points up.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Framing:
    """The settings of a background image. Flips are not among them: those are applied to the pixels.

    Stretch fills the frame, and the frame takes the photo's shape. Fit and Crop keep the photo's shape inside a frame of
    ``frame_aspect``, that of the scene's render size: so the camera view shows the photo, and so it was lined up.
    """

    method: Literal["STRETCH", "FIT", "CROP"] = "STRETCH"
    offset: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    rotation_rad: float = 0.0  # clockwise
    display_aspect: float = 1.0  # width of an image pixel divided by its height
    frame_aspect: float = 1.0  # width of the render divided by its height, pixel aspect included; for Fit and Crop

    def place(self, photo_size: tuple[int, int], pixel_ratio: float, sensor_fit: str) -> "Placement":
        """Where the pixels of a photo of that size (width, height) lie.

        Args:
            photo_size: Width and height in pixels.
            pixel_ratio: Height of a render pixel divided by its width; the frame of Stretch has such pixels.
            sensor_fit: Blender's AUTO, HORIZONTAL or VERTICAL.
        """
        width, height = photo_size
        photo = width * self.display_aspect / height
        frame = width / (height * pixel_ratio) if self.method == "STRETCH" else self.frame_aspect
        across = sensor_fit == "HORIZONTAL" or (sensor_fit == "AUTO" and frame >= 1)
        frame_width, frame_height = (1.0, 1 / frame) if across else (frame, 1.0)
        if self.method == "STRETCH":
            shown = frame_width, frame_height
        elif (photo > frame) == (self.method == "CROP"):  # as high as the frame
            shown = frame_height * photo, frame_height
        else:
            shown = frame_width, frame_width / photo
        middle = self.offset[0] * min(1.0, frame), self.offset[1] / (max(1.0, frame) * photo / frame)
        step = shown[0] * self.scale / width, shown[1] * self.scale / height
        return Placement(np.array(step), np.array(middle), self.rotation_rad)


@dataclass(frozen=True)
class Placement:
    """An affine map between a photo's pixels and its camera's frame."""

    step: np.ndarray  # (2,) size of a photo pixel in the frame
    middle: np.ndarray  # (2,) where the photo's centre lies
    rotation_rad: float  # the photo is turned clockwise by this about its centre

    @property
    def _upright_from_frame(self) -> np.ndarray:
        cos, sin = math.cos(self.rotation_rad), math.sin(self.rotation_rad)
        return np.array([[cos, -sin], [sin, cos]])

    @property
    def roll(self) -> np.ndarray:
        """(4, 4) turning camera space about the view axis so that the photo stands upright in it."""
        matrix = np.eye(4)
        matrix[:2, :2] = self._upright_from_frame
        return matrix

    def to_pixel(self, point: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """The photo's pixel coordinates (2,), y down, of a point of the frame."""
        right, up = self._upright_from_frame @ (np.asarray(point) - self.middle) / self.step
        return np.array([photo_size[0] / 2 + right, photo_size[1] / 2 - up])

    def from_pixel(self, pixel: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """The point of the frame that a place on the photo lies on: the inverse of ``to_pixel``."""
        upright = np.array([pixel[0] - photo_size[0] / 2, photo_size[1] / 2 - pixel[1]]) * self.step
        return self._upright_from_frame.T @ upright + self.middle


FILLING = Framing()
