"""Photos: the background images of cameras. The first visible one is the photo, the second its mask."""

import bpy
import numpy as np

from dr_backend.scene import Photo

from .images import read_coverage, read_image
from .problems import SceneProblem

FRAMING = ("frame_method", "offset", "scale", "rotation", "use_flip_x", "use_flip_y")


def background_images(obj: bpy.types.Object) -> list[bpy.types.CameraBackgroundImage]:
    """The camera's visible background images that hold an image: photo first, then mask."""
    return [b for b in obj.data.background_images if b.show_background_image and b.source == "IMAGE" and b.image is not None]


def _refuse_moved(obj: bpy.types.Object, background: bpy.types.CameraBackgroundImage) -> None:
    moved = {
        "Offset": any(abs(v) > 1e-6 for v in background.offset),
        "Scale": abs(background.scale - 1) > 1e-6,
        "Rotation": abs(background.rotation) > 1e-6,
    }
    for setting, changed in moved.items():
        if changed:
            default = "1" if setting == "Scale" else "0"
            raise SceneProblem(
                f"The background image of camera '{obj.name}' has its {setting} changed: set {setting} back to {default} "
                "and use the camera's own Shift or transform instead"
            )


def _flip(array: np.ndarray, background: bpy.types.CameraBackgroundImage) -> np.ndarray:
    if background.use_flip_x:
        array = array[:, ::-1]
    if background.use_flip_y:
        array = array[::-1]
    return np.ascontiguousarray(array)


def read_photo(obj: bpy.types.Object) -> tuple[Photo, list[str]]:
    """The camera's photo with its mask, flipped as the background image is, and warnings.

    The mask is the second visible background image, or else the photo's own alpha.

    Raises:
        SceneProblem: No photo, a missing or damaged file, a moved or scaled background image, or a mask that is empty or does
            not have the photo's size.
    """
    backgrounds = background_images(obj)
    if not backgrounds:
        raise SceneProblem(f"Camera '{obj.name}' has no photo: add one under Camera > Background Images")
    for background in backgrounds[:2]:
        _refuse_moved(obj, background)
    warnings = []
    if len(backgrounds) > 2:
        warnings.append(f"Camera '{obj.name}' has {len(backgrounds)} background images: only the first two, photo and mask, are used")
    try:
        rgba, has_alpha = read_image(backgrounds[0].image)
        mask = read_coverage(backgrounds[1].image) if len(backgrounds) > 1 else None
    except SceneProblem as problem:
        raise SceneProblem(f"Camera '{obj.name}': {problem}") from problem
    rgba = _flip(rgba, backgrounds[0])
    if mask is not None:
        mask = _flip(mask, backgrounds[1])
    elif has_alpha:
        mask = np.ascontiguousarray(rgba[..., 3])
    if mask is not None:
        _check_mask(obj, mask, rgba)
    if not np.isfinite(rgba).all():
        raise SceneProblem(f"The photo of camera '{obj.name}' holds pixels that are not numbers: save it again from an image editor")
    held_out = bool(getattr(getattr(obj, "fit_to_photo", None), "held_out", False))
    return Photo(obj.name, np.ascontiguousarray(rgba[..., :3]), mask, held_out), warnings


def _check_mask(obj: bpy.types.Object, mask: np.ndarray, rgba: np.ndarray) -> None:
    if mask.shape != rgba.shape[:2]:
        sizes = f"{mask.shape[1]} × {mask.shape[0]}", f"{rgba.shape[1]} × {rgba.shape[0]}"
        raise SceneProblem(f"The mask of camera '{obj.name}' is {sizes[0]} pixels, its photo {sizes[1]}: make them the same size")
    if not np.isfinite(mask).all() or mask.max() < 0.5:
        raise SceneProblem(f"The mask of camera '{obj.name}' is empty: paint the object white, or remove the mask")


def write_photo(obj: bpy.types.Object, photo: bpy.types.Image, mask: bpy.types.Image | None = None) -> None:
    """Makes these images the camera's only background images: what ``read_photo`` then reads."""
    data = obj.data
    data.background_images.clear()
    data.background_images.new().image = photo
    data.show_background_images = True
    if mask is not None:
        write_mask(obj, mask)


def write_mask(obj: bpy.types.Object, mask: bpy.types.Image | None) -> None:
    """Makes this image the mask of the camera's photo, framed as the photo is, or takes the mask away."""
    photo, *others = background_images(obj)
    for background in others:
        obj.data.background_images.remove(background)
    if mask is not None:
        background = obj.data.background_images.new()
        background.image = mask
        background.alpha = 0  # it is not to be looked at
        for name in FRAMING:
            setattr(background, name, getattr(photo, name))
