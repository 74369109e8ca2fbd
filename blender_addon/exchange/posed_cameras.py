"""Cameras that another program has found → cameras in the scene with photo and lens distortion."""

import os

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Camera

from .cameras import write_camera
from .clips import Lens, write_lens
from .photo_files import load_photo
from .photos import background_images, write_photo
from .poses import PosedPhoto

_WORTH_A_WARNING_PX = 0.5


def add_posed_camera(
    photo: PosedPhoto, path: str, context_scene: bpy.types.Scene, collection: bpy.types.Collection
) -> tuple[bpy.types.Object, list[str]]:
    """A camera with the photo at ``path`` behind it, in the collection, and what could not be carried over.

    A lens with distortion is written to a movie clip of the photo, which then is the background image's source.

    Raises:
        SceneProblem: The photo cannot be read, or does not belong to the camera. Nothing was added then.
    """
    image, _ = load_photo(path, photo.size)
    size = (image.size[0], image.size[1])
    focal, centre = photo.lens(size)
    square = float(np.sqrt(focal[0] * focal[1]))
    name = os.path.splitext(os.path.basename(photo.name))[0]
    obj = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    collection.objects.link(obj)
    write_photo(obj, image)
    write_camera(obj, Camera(photo.camera_from_world, np.array([square, square]), centre, size))
    warnings = []
    off = float(np.abs(focal / square - 1).max() * max(size) / 2)
    if off > _WORTH_A_WARNING_PX:
        warnings.append(
            told(
                "Camera '{name}' has pixels that are not square, which Blender's cameras have not: it is up to {off:.1f} px off",
                name=name,
                off=off,
            )
        )
    if photo.distortion and image.packed_file is not None:
        warnings.append(told("The lens distortion of camera '{name}' is left out: save its photo upright first", name=name))
    elif photo.distortion:
        clip = bpy.data.movieclips.load(image.filepath, check_existing=False)
        clip.frame_start = context_scene.frame_current  # of files with numbers in their names, the clip shows this one now
        write_lens(clip, Lens(photo.distortion, np.array([square, square]), centre))
        background = background_images(obj)[0]
        background.clip, background.source = clip, "MOVIE_CLIP"
    return obj, warnings
