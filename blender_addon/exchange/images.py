"""Image data-blocks ↔ arrays. Blender's bottom-up rows and 8-bit sRGB stop here: arrays have row 0 at the top."""

import os
import tempfile

import bpy
import numpy as np

from dr_backend.language import phrase, told

from .problems import SceneProblem

_NOT_STILL = {
    "MOVIE": phrase("a movie"),
    "SEQUENCE": phrase("a sequence of images"),
    "TILED": phrase("made of tiles"),
    "VIEWER": phrase("what Blender rendered last"),
}
_LINEAR_SPACES = ("Non-Color", "Linear Rec.709", "Linear")


def to_linear(rgb_srgb: np.ndarray) -> np.ndarray:
    """Linear Rec.709 of display-referred sRGB in [0, 1] (IEC 61966-2-1), float32."""
    rgb = np.asarray(rgb_srgb, np.float32)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR_OF_BYTE = to_linear(np.arange(256) / 255)


def to_srgb(rgb_linear: np.ndarray) -> np.ndarray:
    """Display-referred sRGB of linear Rec.709, clipped to [0, 1]: the inverse of ``to_linear``."""
    rgb = np.clip(np.asarray(rgb_linear, np.float32), 0, 1)
    return np.where(rgb <= 0.0031308, rgb * 12.92, 1.055 * np.maximum(rgb, 0.0031308) ** (1 / 2.4) - 0.055).astype(np.float32)


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """The stored values, (H, W, 4), row 0 at the top: 8-bit images as encoded, float images scene-linear.

    Raises:
        SceneProblem: The file is missing or cannot be read, the image has no pixels, or it is not a still image.
    """
    if image.source not in ("FILE", "GENERATED"):
        raise SceneProblem(
            "Image '{image}' is {what}: save one still image as a file and choose that",
            image=image.name,
            what=told(_NOT_STILL[image.source]),
        )
    width, height = image.size  # loads the file
    if width == 0 or height == 0:
        path = bpy.path.abspath(image.filepath, library=image.library)
        if image.source == "FILE" and image.packed_file is None and not os.path.isfile(path):
            raise SceneProblem(
                "The file of image '{image}' is missing: {path}. Find it with File > External Data",
                image=image.name,
                path=path or told("no path is set"),
            )
        raise SceneProblem(
            "Image '{image}' has no pixels: its file {path} is empty or damaged. Choose another image", image=image.name, path=path
        )
    channels = image.channels
    flat = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(flat)
    values = flat.reshape(height, width, channels)[::-1]
    if channels == 4:
        return np.ascontiguousarray(values)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = values[..., :3] if channels == 3 else values[..., :1]
    if channels == 2:
        rgba[..., 3] = values[..., 1]
    return rgba


def read_image(image: bpy.types.Image) -> tuple[np.ndarray, bool]:
    """Linear Rec.709 with straight alpha, (H, W, 4) float32, row 0 at the top; and whether any pixel is transparent.

    Raises:
        SceneProblem: As ``read_pixels``.
    """
    rgba = read_pixels(image)
    has_alpha = image.alpha_mode != "NONE" and bool((rgba[..., 3] < 1).any())
    space = image.colorspace_settings.name
    if image.is_float:
        if has_alpha and image.alpha_mode in ("STRAIGHT", "PREMUL"):  # float pixels are held premultiplied
            rgba[..., :3] = _straight(rgba)
    elif space == "sRGB":
        rgba[..., :3] = _LINEAR_OF_BYTE[(rgba[..., :3] * 255 + 0.5).astype(np.uint8)]  # large photos would take seconds by powers
    elif space not in _LINEAR_SPACES:
        rgba[..., :3] = _read_converted(image)
    return rgba, has_alpha


def _straight(rgba: np.ndarray) -> np.ndarray:
    """The colours (H, W, 3) of premultiplied pixels (H, W, 4); black where nothing covers."""
    return np.divide(rgba[..., :3], rgba[..., 3:], out=np.zeros_like(rgba[..., :3]), where=rgba[..., 3:] > 0)


def _read_converted(image: bpy.types.Image) -> np.ndarray:
    """Linear Rec.709 (H, W, 3) of an 8-bit image in any other colour space, converted by Blender as it writes an OpenEXR file."""
    scene = bpy.data.scenes.new("Fit to Photo Conversion")
    with tempfile.TemporaryDirectory() as folder:
        try:
            settings = scene.render.image_settings
            settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
            path = os.path.join(folder, "linear.exr")
            image.save_render(path, scene=scene)
            converted = bpy.data.images.load(path)
            rgb = _straight(read_pixels(converted))
            bpy.data.images.remove(converted)
            return rgb
        finally:
            bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window


def read_coverage(image: bpy.types.Image) -> np.ndarray:
    """A mask image as coverage (H, W) in [0, 1]: its alpha where it has one, else its encoded grey value.

    Raises:
        SceneProblem: As ``read_pixels``.
    """
    values = read_pixels(image)
    if image.alpha_mode != "NONE" and (values[..., 3] < 1).any():
        return np.clip(values[..., 3], 0, 1)
    grey = values[..., :3].mean(-1)
    if image.is_float and image.colorspace_settings.name == "sRGB":  # 16-bit files were linearised on loading
        grey = to_srgb(grey)
    return np.clip(grey, 0, 1)


def write_image(name: str, rgb_linear: np.ndarray) -> bpy.types.Image:
    """A new 8-bit sRGB image packed into the file, from linear Rec.709 (H, W, 3), row 0 at the top.

    Blender may number the name if it is taken. ``read_image`` returns the same colours to 8 bits.
    """
    height, width = rgb_linear.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=False, float_buffer=False)
    image.colorspace_settings.name = "sRGB"
    _fill(image, to_srgb(rgb_linear))
    image.pack()
    return image


def write_float_image(name: str, rgb_linear: np.ndarray) -> bpy.types.Image:
    """A new float image packed into the file, from linear Rec.709 (H, W, 3), row 0 at the top; nothing is rounded or clipped."""
    height, width = rgb_linear.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=False, float_buffer=True)
    _fill(image, rgb_linear)
    image.pack()
    return image


def save_png(path: str | os.PathLike[str], rgb_srgb: np.ndarray) -> None:
    """Writes display-referred sRGB (H, W, 3), row 0 at the top, as a PNG file.

    Raises:
        RuntimeError: The path is not writable.
    """
    height, width = rgb_srgb.shape[:2]
    image = bpy.data.images.new("Fit to Photo PNG", width, height, alpha=False, float_buffer=False)
    try:
        _fill(image, rgb_srgb)
        image.filepath_raw = str(path)
        image.file_format = "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)


def load_png(path: str | os.PathLike[str]) -> np.ndarray:
    """The encoded values of an image file, (H, W, 4) with straight alpha, row 0 at the top.

    Raises:
        SceneProblem: The file is empty or damaged.
        RuntimeError: The file does not exist.
    """
    image = bpy.data.images.load(str(path))
    try:
        return read_pixels(image)
    finally:
        bpy.data.images.remove(image)


def _fill(image: bpy.types.Image, rgb: np.ndarray) -> None:
    rgba = np.ones((*rgb.shape[:2], 4), np.float32)
    rgba[..., :3] = rgb[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.update()
