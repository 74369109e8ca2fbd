"""Small pictures of photos for the panel, made from files and copied pixels.

Blender's own preview of an image is made by a thread that reads the image: if a script removes it meanwhile, Blender crashes.
"""

import os

import bpy
import bpy.utils.previews
import numpy as np

SIDE = 128  # pixels of a picture made from copied pixels
MAX_COPIED = 8_000_000  # pixels of an image without file that are copied for it: more would take too long while the panel is drawn

_pictures: "bpy.utils.previews.ImagePreviewCollection | None" = None


def icon_of(image: bpy.types.Image) -> int:
    """Icon id for ``icon_value`` and ``template_icon``; 0 where there is nothing to show."""
    global _pictures
    if _pictures is None:
        _pictures = bpy.utils.previews.new()
    path = bpy.path.abspath(image.filepath, library=image.library)
    in_file = image.source == "FILE" and image.packed_file is None
    name = path if in_file else f"{image.session_uid} {tuple(image.size)}"
    if name not in _pictures:
        if in_file and os.path.isfile(path):
            _pictures.load(name, path, "IMAGE")
        elif not in_file and 0 < image.size[0] * image.size[1] <= MAX_COPIED:
            _copy(image, _pictures.new(name))
        else:
            return 0
    return _pictures[name].icon_id


def _copy(image: bpy.types.Image, picture: bpy.types.ImagePreview) -> None:
    """Fills the picture with every so many pixels of the image."""
    width, height = image.size
    flat = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(flat)
    step = -(-max(width, height) // SIDE)
    seen = flat.reshape(height, width, image.channels)[::step, ::step]
    rgba = np.ones((*seen.shape[:2], 4), np.float32)
    rgba[..., :3] = seen[..., :3] if image.channels >= 3 else seen[..., :1]
    picture.image_size = rgba.shape[1], rgba.shape[0]
    picture.image_pixels_float.foreach_set(rgba.ravel())


def forget_all() -> None:
    """Frees the pictures: another file was opened, or the add-on is switched off."""
    global _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = None
