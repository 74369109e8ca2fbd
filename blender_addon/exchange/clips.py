"""A frame of a movie clip as pixels, and the lens distortion that the clip's tracking camera knows."""

import os
import re
import tempfile
from dataclasses import astuple, dataclass
from typing import Any

import bpy
import numpy as np

from .distortion import Distortion
from .images import read_image
from .problems import SceneProblem

_NONE_WHERE_ZERO = {"DIVISION": ("division_k1", "division_k2"), "NUKE": ("nuke_k1", "nuke_k2")}


@dataclass(frozen=True)
class Lens:
    """The tracking camera of a clip: distortion, and the focal length and centre (2,) in pixels, y down, that it is measured by."""

    distortion: Distortion
    focal_px: np.ndarray
    centre_px: np.ndarray

    def equals(self, other: "Lens") -> bool:
        """Whether it is the same in single precision."""
        one, two = (np.array([*astuple(lens.distortion), *lens.focal_px, *lens.centre_px], np.float32) for lens in (self, other))
        return bool((one == two).all())


def read_clip_frame(clip: bpy.types.MovieClip, frame: int) -> tuple[np.ndarray, bool]:
    """What the clip shows at that frame of the scene: linear Rec.709 (H, W, 4), row 0 at the top; and whether a pixel is transparent.

    Raises:
        SceneProblem: The file of that frame is missing or cannot be read.
    """
    path = bpy.path.abspath(clip.filepath, library=clip.library)
    if clip.source == "MOVIE":
        return _read_movie_frame(clip, path, frame - clip.frame_start + clip.frame_offset)
    return _read_file(clip, _sequence_path(path, frame - clip.frame_start + clip.frame_offset))


def _sequence_path(path: str, steps: int) -> str:
    """The file so many numbers after ``path``, of files numbered by the last digits of their names; without digits, the same file."""
    folder, name = os.path.split(path)
    numbered = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
    if numbered is None:
        return path
    head, digits, tail = numbered.groups()
    return os.path.join(folder, f"{head}{int(digits) + steps:0{len(digits)}d}{tail}")


def _read_file(clip: bpy.types.MovieClip, path: str) -> tuple[np.ndarray, bool]:
    if not os.path.isfile(path):
        raise SceneProblem(
            "Movie clip '{clip}' has no file {path}: go to a frame that it has, or find it with File > External Data",
            clip=clip.name,
            path=path,
        )
    image = bpy.data.images.load(path)
    try:
        if image.colorspace_settings.name != clip.colorspace_settings.name:
            image.colorspace_settings.name = clip.colorspace_settings.name
        return read_image(image)
    finally:
        bpy.data.images.remove(image)


def _read_movie_frame(clip: bpy.types.MovieClip, path: str, index: int) -> tuple[np.ndarray, bool]:
    """Renders the frame through the video sequencer: Blender has no other way to a movie's pixels from Python."""
    if not os.path.isfile(path):
        raise SceneProblem(
            "The file of movie clip '{clip}' is missing: {path}. Find it with File > External Data", clip=clip.name, path=path
        )
    scene = bpy.data.scenes.new("Fit to Photo Frame")
    with tempfile.TemporaryDirectory() as folder:
        try:
            index = min(max(index, 0), clip.frame_duration - 1)  # as the viewport: the first and last frame stay
            editor = scene.sequence_editor_create()
            strips: Any = editor.sequences if bpy.app.version < (4, 4, 0) else editor.strips
            strip = strips.new_movie("Frame", path, 1, 1)
            strip.colorspace_settings.name = clip.colorspace_settings.name
            render = scene.render
            render.resolution_x, render.resolution_y = clip.size
            render.resolution_percentage, render.dither_intensity = 100, 0.0
            render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
            scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
            scene.frame_start = scene.frame_end = 1 + index
            render.filepath = os.path.join(folder, "frame")
            bpy.ops.render.render(animation=True, scene=scene.name)  # a still would be of the window's scene's frame
            image = bpy.data.images.load(render.frame_path(frame=1 + index))
            pixels = read_image(image)
            bpy.data.images.remove(image)
            return pixels
        finally:
            bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window


def read_lens(clip: bpy.types.MovieClip) -> Lens:
    """What the clip's tracking camera says about the lens.

    Raises:
        SceneProblem: The distortion is of a kind other than k1, k2, k3, p1, p2.
    """
    camera = clip.tracking.camera
    model = camera.distortion_model
    if model == "POLYNOMIAL":
        distortion = Distortion(camera.k1, camera.k2, camera.k3)
    elif model == "BROWN" and camera.brown_k4 == 0:  # Blender's Brown has y pointing up, and p1 and p2 the other way round
        distortion = Distortion(camera.brown_k1, camera.brown_k2, camera.brown_k3, -camera.brown_p2, camera.brown_p1)
    elif model in _NONE_WHERE_ZERO and all(getattr(camera, name) == 0 for name in _NONE_WHERE_ZERO[model]):
        distortion = Distortion()
    else:
        kind = "Brown with K4" if model == "BROWN" else model.title()
        raise SceneProblem(
            "Movie clip '{clip}' has the lens distortion {kind}: set it to Polynomial, or to Brown with a K4 of 0",
            clip=clip.name,
            kind=kind,
        )
    focal, (right, up) = camera.focal_length_pixels, camera.principal_point_pixels
    return Lens(distortion, np.array([focal, focal * camera.pixel_aspect]), np.array([right, clip.size[1] - up]))


def write_lens(clip: bpy.types.MovieClip, lens: Lens) -> None:
    """Sets the clip's tracking camera: the inverse of ``read_lens``."""
    camera, distortion = clip.tracking.camera, lens.distortion
    camera.pixel_aspect = float(lens.focal_px[1] / lens.focal_px[0])
    camera.focal_length_pixels = float(lens.focal_px[0])
    camera.principal_point_pixels = float(lens.centre_px[0]), clip.size[1] - float(lens.centre_px[1])
    if distortion.p1 == distortion.p2 == 0:
        camera.distortion_model = "POLYNOMIAL"
        camera.k1, camera.k2, camera.k3 = distortion.k1, distortion.k2, distortion.k3
    else:
        camera.distortion_model = "BROWN"
        camera.brown_k1, camera.brown_k2, camera.brown_k3, camera.brown_k4 = distortion.k1, distortion.k2, distortion.k3, 0.0
        camera.brown_p1, camera.brown_p2 = distortion.p2, -distortion.p1
