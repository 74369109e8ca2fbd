"""Photos whose cameras another program has found already: COLMAP models and NeRF's ``transforms.json``. No bpy."""

import os
from dataclasses import dataclass, field

import numpy as np

from .distortion import Distortion
from .problems import SceneProblem

_MAX_SIDE = 1 << 17
_SHAPE_TOLERANCE = 0.01  # photos made smaller have whole numbers of pixels


@dataclass(frozen=True)
class PosedPhoto:
    """A photo's file and the camera that took it. Pixels as everywhere here: y down, the first pixel's centre at (0.5, 0.5)."""

    name: str  # of the file, as the other program calls it
    size: tuple[int, int] | None  # width and height of the picture that the next two are measured in; None: the file's own
    focal_px: np.ndarray  # (2,)
    centre_px: np.ndarray | None  # (2,); None: the middle
    camera_from_world: np.ndarray  # (4, 4) rigid; the camera looks along -z, y up; the world is as in the file
    distortion: Distortion = field(default_factory=Distortion)
    in_widths: bool = False  # only an angle of view is told: focal_px is in widths of the picture

    def __post_init__(self) -> None:
        """Makes sure that the camera is one.

        Raises:
            SceneProblem: A number is missing, out of range or not finite.
        """
        centre = () if self.centre_px is None else self.centre_px
        numbers = np.concatenate([self.focal_px, centre, self.camera_from_world.ravel(), [*vars(self.distortion).values()]])
        if not np.isfinite(numbers).all() or min(self.focal_px) <= 0:
            raise SceneProblem(
                "The camera of '{name}' has numbers that make no sense: export it again from the program that made it", name=self.name
            )
        if self.size is not None and not all(0 < side <= _MAX_SIDE for side in self.size):
            raise SceneProblem(
                "The camera of '{name}' has a picture of {width} × {height} pixels: export it again",
                name=self.name,
                width=self.size[0],
                height=self.size[1],
            )
        turn = self.camera_from_world[:3, :3]
        if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
            raise SceneProblem("The camera of '{name}' is scaled or mirrored: export it again without scale", name=self.name)

    def lens(self, photo_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Focal length and centre (2,) in pixels of the photo's file, which may be larger or smaller than what the camera was found with.

        Raises:
            SceneProblem: It has another shape.
        """
        width, height = photo_size
        made_for = self.size or photo_size
        scale = np.array([width / made_for[0], height / made_for[1]])
        if abs(scale[0] / scale[1] - 1) > _SHAPE_TOLERANCE:
            raise SceneProblem(
                "The photo '{name}' is {size} pixels, its camera is for {wanted}: choose the folder with the photos that the cameras were "
                "made from",
                name=self.name,
                size=f"{width} × {height}",
                wanted=f"{made_for[0]} × {made_for[1]}",
            )
        focal = self.focal_px * (width if self.in_widths else scale)
        return focal, np.array([width / 2, height / 2]) if self.centre_px is None else self.centre_px * scale


def find_photos(photos: list[PosedPhoto], start: str, chosen: str) -> dict[str, str]:
    """Paths of the photos that exist, by name: in the chosen folder, else in the usual places around the folder ``start``."""
    up = [start, os.path.dirname(start), os.path.dirname(os.path.dirname(start))]
    folders = [chosen] if chosen else [os.path.join(folder, sub) for folder in up for sub in ("", "images", "input")]
    found: dict[str, str] = {}
    for folder in folders:
        for photo in photos:
            path = os.path.join(folder, photo.name)
            if photo.name not in found and (path := next((p for p in (path, f"{path}.png", f"{path}.jpg") if os.path.isfile(p)), "")):
                found[photo.name] = path
    return found
