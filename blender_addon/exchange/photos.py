"""Photos: the background images of cameras. The first visible one is the photo, the second its mask."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Camera, Photo
from dr_backend.scene.lens import folds_in_picture, measures

from .cameras import read_camera, write_camera
from .clips import Lens, read_clip_frame, read_lens, write_lens
from .distortion import Distortion
from .framing import Framing
from .identity import is_foreign
from .images import read_coverage, read_image
from .problems import SceneProblem

_MOVES = ("offset", "scale", "rotation", "use_flip_x", "use_flip_y")


def shown(background: bpy.types.CameraBackgroundImage) -> bpy.types.Image | bpy.types.MovieClip | None:
    """The image or movie clip that a background image shows; both have a name and a size."""
    if background.source == "IMAGE":
        return background.image
    return bpy.context.scene.active_clip if background.use_camera_clip else background.clip


def background_images(obj: bpy.types.Object) -> list[bpy.types.CameraBackgroundImage]:
    """The camera's visible background images that show something: photo first, then mask."""
    return [b for b in obj.data.background_images if b.show_background_image and shown(b) is not None]


def photo_block(obj: bpy.types.Object) -> bpy.types.Image | bpy.types.MovieClip | None:
    """The image or movie clip that is the camera's photo; None without one."""
    return next((shown(background) for background in background_images(obj)), None)


def thumbnail(obj: bpy.types.Object) -> bpy.types.Image | None:
    """The image to draw small in lists; also that which an imported movie clip belongs to. None: Blender has no preview of other clips."""
    return next((background.image for background in background_images(obj)), None)


def photo_clip(obj: bpy.types.Object) -> bpy.types.MovieClip:
    """The movie clip that is the camera's photo, to write its lens to.

    Raises:
        SceneProblem: The photo is an image, or the clip belongs to another file.
    """
    block = photo_block(obj)
    if not isinstance(block, bpy.types.MovieClip):
        raise SceneProblem("The photo of camera '{name}' is an image, which has no lens distortion: show it as a movie clip", name=obj.name)
    if is_foreign(block):
        raise SceneProblem("Movie clip '{name}' is linked from another file: make it local first", name=block.name)
    return block


def photo_size(obj: bpy.types.Object) -> tuple[int, int] | None:
    """Width and height of the camera's photo in pixels; None without one that can be read. Loads the file."""
    block = photo_block(obj)
    width, height = (0, 0) if block is None else block.size
    return (width, height) if width and height else None


def _framing(background: bpy.types.CameraBackgroundImage, context_scene: bpy.types.Scene) -> Framing:
    render, aspect = context_scene.render, shown(background).display_aspect
    return Framing(
        background.frame_method,
        tuple(background.offset),
        background.scale,
        background.rotation,
        aspect[0] / aspect[1],
        render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y),
    )


def photo_rotation(obj: bpy.types.Object) -> float:
    """By how much the camera's photo is turned clockwise in the frame, in radians: ``read_photo_camera`` is rolled by that."""
    return next((background.rotation for background in background_images(obj)), 0.0)


def read_photo_camera(obj: bpy.types.Object, context_scene: bpy.types.Scene) -> Camera:
    """The camera as it projects onto its photo, which lies in its frame as the camera view of this scene shows it.

    Raises:
        SceneProblem: As ``read_camera``, or the photo is scaled to nothing or has no pixels.
    """
    background, size = background_images(obj)[0], photo_size(obj)
    if background.scale < 1e-6 or size is None:
        raise SceneProblem("The photo of camera '{name}' has no size: set its Scale to 1 under Camera > Background Images", name=obj.name)
    render = context_scene.render
    camera = read_camera(obj, size, (render.pixel_aspect_x, render.pixel_aspect_y), _framing(background, context_scene))
    try:
        lens = _read_lens(background)
    except SceneProblem as problem:
        raise SceneProblem("Camera '{name}': {problem}", name=obj.name, problem=problem) from problem
    if lens is None:
        return camera
    distortion, focal, centre = (np.array(value, np.float32) for value in (astuple(lens.distortion), lens.focal_px, lens.centre_px))
    return replace(camera, distortion=distortion, distortion_focal_px=focal, distortion_centre_px=centre)


def _flipped(lens: Lens, background: bpy.types.CameraBackgroundImage) -> Lens:
    """The lens of the photo as it is flipped, from that of the clip; and back."""
    flips, distortion = np.array([background.use_flip_x, background.use_flip_y]), lens.distortion
    right, down = np.where(flips, -1.0, 1.0).tolist()
    centre = np.where(flips, np.array(shown(background).size) - lens.centre_px, lens.centre_px)
    return Lens(replace(distortion, p1=distortion.p1 * down, p2=distortion.p2 * right), lens.focal_px, centre)


def _read_lens(background: bpy.types.CameraBackgroundImage) -> Lens | None:
    """The lens of the photo as it is flipped; None where it keeps lines straight, as the lens of an image does."""
    block = shown(background)
    lens = read_lens(block) if isinstance(block, bpy.types.MovieClip) else None
    return _flipped(lens, background) if lens is not None and lens.distortion else None


def write_photo_camera(obj: bpy.types.Object, camera: Camera, context_scene: bpy.types.Scene) -> None:
    """Lets the camera project onto its photo, where that lies in the frame, as ``camera`` says: the inverse of ``read_photo_camera``.

    Distortion is written to the tracking camera of the movie clip, and only where it is another than before.

    Raises:
        SceneProblem: As ``photo_clip``, where distortion changes. Nothing was changed then.
    """
    background = background_images(obj)[0]
    lens = Lens(Distortion(), *(np.asarray(value, np.float64) for value in measures(camera)))
    if camera.distortion is not None:
        lens = replace(lens, distortion=Distortion(*camera.distortion.tolist()))
    before = _read_lens(background)
    moved = (before is not None or bool(lens.distortion)) and (before is None or not before.equals(lens))
    clip = photo_clip(obj) if moved else None
    write_camera(obj, camera, _framing(background, context_scene))
    if clip is not None:
        write_lens(clip, _flipped(lens, background))


def framing_warnings(cameras: Sequence[bpy.types.Object], context_scene: bpy.types.Scene) -> list[str]:
    """What may surprise about photos that have another shape than the scene's render size."""
    filling, framed = [], []
    for obj in cameras:
        framing, (width, height) = _framing(background_images(obj)[0], context_scene), photo_size(obj)
        if abs(width * framing.display_aspect / height / framing.frame_aspect - 1) > 0.01:
            (filling if framing.method == "STRETCH" else framed).append(f"'{obj.name}' ({width} × {height})")
    size = {"width": context_scene.render.resolution_x, "height": context_scene.render.resolution_y}
    warnings = []
    if filling:
        warnings.append(
            told(
                "The scene renders {width} × {height}, the photos of {names} have another shape, which is used",
                names=", ".join(filling),
                **size,
            )
        )
    if framed:
        warnings.append(
            told(
                "The scene renders {width} × {height}, the photos of {names} have another shape and are compared where the camera view "
                "shows them. If these cameras were not lined up there but come from another program, set the Frame Method of their "
                "background images to Stretch",
                names=", ".join(framed),
                **size,
            )
        )
    return warnings


def lens_warnings(cameras: Mapping[str, Camera]) -> list[str]:
    """What may surprise about the lenses of cameras, by name."""
    folding = [f"'{name}'" for name, camera in cameras.items() if folds_in_picture(camera)]
    if not folding:
        return []
    return [
        told(
            "The lens distortion of {names} folds the photo's corners: check K1, K2 and K3 of the movie clip's lens",
            names=", ".join(folding),
        )
    ]


def _flip(array: np.ndarray, background: bpy.types.CameraBackgroundImage) -> np.ndarray:
    if background.use_flip_x:
        array = array[:, ::-1]
    if background.use_flip_y:
        array = array[::-1]
    return np.ascontiguousarray(array)


def _read_pixels(background: bpy.types.CameraBackgroundImage) -> tuple[np.ndarray, bool]:
    """Linear (H, W, 4), and whether any pixel is transparent."""
    block = shown(background)
    return read_image(block) if isinstance(block, bpy.types.Image) else read_clip_frame(block, bpy.context.scene.frame_current)


def _read_mask(photo: bpy.types.CameraBackgroundImage, mask: bpy.types.CameraBackgroundImage) -> np.ndarray:
    image = shown(mask)
    if not isinstance(image, bpy.types.Image):
        raise SceneProblem("The mask is a movie clip: choose an image")
    for setting in _MOVES:
        one, other = (np.asarray(getattr(background, setting)) for background in (photo, mask))
        if not (np.allclose(one, other, atol=1e-6) if one.dtype.kind == "f" else one == other):
            label = told(setting.removeprefix("use_").replace("_", " ").title())
            raise SceneProblem("The mask has another {label} than its photo: give both the same", label=label)
    return _flip(read_coverage(image), mask)


def read_photo(obj: bpy.types.Object) -> tuple[Photo, list[str]]:
    """The camera's photo with its mask, flipped as the background image is and otherwise untouched; and warnings.

    The mask is the second visible background image, or else the photo's own alpha.

    Raises:
        SceneProblem: No photo, a missing or damaged file, or a mask that is empty, of another size or otherwise framed.
    """
    backgrounds = background_images(obj)
    if not backgrounds:
        raise SceneProblem("Camera '{name}' has no photo: press Match Photo, or add one under Camera > Background Images", name=obj.name)
    warnings = []
    if len(backgrounds) > 2:
        warnings.append(
            told(
                "Camera '{name}' has {count} background images: only the first two, photo and mask, are used",
                name=obj.name,
                count=len(backgrounds),
            )
        )
    try:
        rgba, has_alpha = _read_pixels(backgrounds[0])
        mask = _read_mask(backgrounds[0], backgrounds[1]) if len(backgrounds) > 1 else None
    except SceneProblem as problem:
        raise SceneProblem("Camera '{name}': {problem}", name=obj.name, problem=problem) from problem
    rgba = _flip(rgba, backgrounds[0])
    if mask is None and has_alpha:
        mask = np.ascontiguousarray(rgba[..., 3])
    if mask is not None:
        _check_mask(obj, mask, rgba)
        if mask.min() >= 0.5:
            warnings.append(
                told("The mask of camera '{name}' is white all over, as if the object filled the photo: check or remove it", name=obj.name)
            )
    if not np.isfinite(rgba).all():
        raise SceneProblem(
            "The photo of camera '{name}' holds pixels that are not numbers: save it again from an image editor", name=obj.name
        )
    held_out = bool(getattr(getattr(obj, "fit_to_photo", None), "held_out", False))
    return Photo(obj.name, np.ascontiguousarray(rgba[..., :3]), mask, held_out), warnings


def _check_mask(obj: bpy.types.Object, mask: np.ndarray, rgba: np.ndarray) -> None:
    if mask.shape != rgba.shape[:2]:
        sizes = {"mask": f"{mask.shape[1]} × {mask.shape[0]}", "photo": f"{rgba.shape[1]} × {rgba.shape[0]}"}
        raise SceneProblem(
            "The mask of camera '{name}' is {mask} pixels, its photo {photo}: make them the same size", name=obj.name, **sizes
        )
    if not np.isfinite(mask).all() or mask.max() < 0.5:
        raise SceneProblem("The mask of camera '{name}' is empty: paint the object white, or remove the mask", name=obj.name)


def write_photo(obj: bpy.types.Object, photo: bpy.types.Image, mask: bpy.types.Image | None = None) -> None:
    """Makes these images the camera's only background images, filling its frame: what ``read_photo`` then reads."""
    data = obj.data
    data.background_images.clear()
    background = data.background_images.new()
    background.image, background.frame_method = photo, "STRETCH"  # the default became Fit in Blender 5
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
        for name in ("frame_method", *_MOVES):
            setattr(background, name, getattr(photo, name))
