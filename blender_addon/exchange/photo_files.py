"""Photo files → images in Blender, upright: Blender itself does not heed the orientation that phones write into their photos."""

import os
import tempfile

import bpy
import numpy as np

from ..exif import Exif, read_exif, turn_upright
from .images import read_pixels
from .problems import SceneProblem

_TURNED = "fit_to_photo_turned"  # custom property: the file that an upright copy was made from
_JPEG_QUALITY = 97


def load_photo(path: str, made_for: tuple[int, int] | None = None) -> tuple[bpy.types.Image, Exif]:
    """The image of a photo file and the file's EXIF data. A file that is in use already is not loaded again.

    A photo that is stored lying or mirrored becomes an upright copy, packed into the .blend; the file itself is never changed.
    Where a camera of another program was ``made_for`` pictures of a size (width, height), and the photo has that shape as it is
    stored, it stays as it is: that program did not heed the orientation either.

    Raises:
        SceneProblem: There is no such file, or Blender cannot read it as a still image.
    """
    path = os.path.abspath(bpy.path.abspath(path))
    try:
        exif = read_exif(path)
    except OSError as error:
        raise SceneProblem("The photo {path} cannot be opened: {reason}", path=path, reason=error.strerror or error) from error
    if exif.orientation != 1 and made_for is None:
        for image in bpy.data.images:
            if image.get(_TURNED) == path:
                return image, exif
    before = set(bpy.data.images)
    try:
        image = bpy.data.images.load(path, check_existing=exif.orientation == 1)
    except RuntimeError as error:
        raise SceneProblem("The photo {path} cannot be opened by Blender: {reason}", path=path, reason=error) from error
    if image.source != "FILE" or 0 in image.size:
        if image not in before:
            bpy.data.images.remove(image)
        raise SceneProblem("{path} is not a photo that Blender can read: save it as JPEG, PNG, TIFF or OpenEXR", path=path)
    if exif.orientation != 1 and not (made_for and abs(image.size[0] * made_for[1] / (image.size[1] * made_for[0]) - 1) < 0.01):
        image = _turned(image, exif.orientation)
        image[_TURNED] = path
    return image, exif


def _turned(lying: bpy.types.Image, orientation: int) -> bpy.types.Image:
    """An upright copy that takes the lying image's name and place."""
    rgba = turn_upright(read_pixels(lying), orientation)
    height, width = rgba.shape[:2]
    is_jpeg, is_float, alpha = lying.file_format == "JPEG", lying.is_float, lying.depth in (32, 64, 128)
    name, space, alpha_mode = os.path.basename(lying.filepath), lying.colorspace_settings.name, lying.alpha_mode
    bpy.data.images.remove(lying)
    image = bpy.data.images.new(name, width, height, alpha=alpha, float_buffer=is_float)
    if not is_float:  # the others are scene-linear once they are loaded
        image.colorspace_settings.name = space
    image.alpha_mode = alpha_mode
    image.pixels.foreach_set(np.ascontiguousarray(rgba[::-1]).ravel())
    image.update()
    if is_jpeg:
        _pack_jpeg(image)
    else:
        image.pack()
    return image


def _pack_jpeg(image: bpy.types.Image) -> None:
    """Packs a generated image as JPEG; by itself Blender makes a PNG, several times the size."""
    with tempfile.TemporaryDirectory() as folder:
        image.file_format = "JPEG"
        image.filepath_raw = os.path.join(folder, "upright.jpg")
        image.save(quality=_JPEG_QUALITY)
        image.source = "FILE"
        image.pack()
        image.filepath_raw = f"//{image.name}"
