"""The proof: Blender's own Cycles render of every camera beside its photo, in numbers and on one sheet."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from dr_backend.scene import Camera, Photo
from dr_backend.scene.lens import measures

from .exchange.alpha import find_alpha
from .exchange.cameras import write_camera
from .exchange.distortion import Distortion, undistort
from .exchange.identity import uses_nodes
from .exchange.images import load_png, save_png, to_srgb
from .exchange.materials import DEFAULT_COLOR, base_color_socket, find_shader
from .exchange.photos import photo_block, read_photo_camera
from .exchange.resize import resize
from .exchange.showing import show_input

SCENE = "Fit to Photo Report"
UNLIT_SAMPLES, LIT_SAMPLES = 8, 16
_BOUNCES = ("max_bounces", "diffuse_bounces", "glossy_bounces", "transmission_bounces", "transparent_max_bounces")
_MAX_PSNR = 99.0  # equal pictures: JSON has no infinity
_TILE = 320  # longest side of a picture on the contact sheet, in pixels
_GAP = 4
SHOWN_SIDE = 1280  # of photos that are shown, or whose lens distortion was taken out, in pixels: twice that of renders; nothing blurs


@dataclass(frozen=True)
class CameraScore:
    """How well a render matches its photo."""

    psnr: float  # dB in display-referred sRGB, inside the photo's mask; without one where the model is; 0 where it is nowhere
    mask_iou: float | None  # coverage against the mask at 0.5; None without a mask


class _Temporary:
    """Data-blocks made for one report, and their removal."""

    def __init__(self) -> None:
        self.blocks: list[bpy.types.ID] = []

    def keep(self, block: Any) -> Any:
        """The same block, to be removed at the end."""
        self.blocks.append(block)
        return block

    def remove(self) -> None:
        """Removes every block."""
        bpy.data.batch_remove(self.blocks)


def render_views(
    context_scene: bpy.types.Scene,
    exported_cameras: Sequence[bpy.types.Object],
    meshes: Sequence[bpy.types.Object],
    *,
    unlit: bool,
    lights: Sequence[bpy.types.Object] = (),
    max_side: int = 640,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Cycles renders by camera name: (H, W, 4) display-referred sRGB with straight alpha, row 0 at the top, on a transparent film.

    Each has the shape of its camera's photo, ``max_side`` pixels at most. Unlit surfaces show their base colour; otherwise ``lights`` and
    the scene's world shine. ``progress`` is called with (views done, views). The scene, its materials and the window stay as they are,
    except Blender's one "Render Result".

    Raises:
        RuntimeError: Blender cannot render here.
    """
    images: dict[str, np.ndarray] = {}
    with (
        _report_scene(context_scene, meshes, () if unlit else lights, unlit) as (scene, temporary),
        tempfile.TemporaryDirectory() as folder,
    ):
        for index, obj in enumerate(exported_cameras):
            if progress is not None:
                progress(index, len(exported_cameras))
            scene.camera = _bare_copy(obj, scene, temporary)
            scene.camera.data = temporary.keep(obj.data.copy())
            scene.camera.data.dof.use_dof = False  # a fit knows no depth of field
            _look_as_photo(scene, obj, context_scene, max_side)
            path = os.path.join(folder, f"{index}.png")
            scene.render.filepath = path
            bpy.ops.render.render(write_still=True, scene=scene.name)
            images[obj.name] = load_png(path)
        if progress is not None:
            progress(len(exported_cameras), len(exported_cameras))
    return images


@contextmanager
def _report_scene(
    context_scene: bpy.types.Scene, meshes: Sequence[bpy.types.Object], lights: Sequence[bpy.types.Object], unlit: bool
) -> Iterator[tuple[bpy.types.Scene, _Temporary]]:
    temporary = _Temporary()
    scene = bpy.data.scenes.new(SCENE)
    try:
        _set_render(scene, context_scene, unlit)
        for obj in meshes:
            copy = _bare_copy(obj, scene, temporary)
            if obj.mode == "EDIT":
                obj.update_from_editmode()
                copy.data = temporary.keep(obj.data.copy())
            if unlit:
                _make_unlit(copy, temporary)
        if not unlit:
            scene.world = context_scene.world
            for obj in lights:
                _bare_copy(obj, scene, temporary)
        yield scene, temporary
    finally:
        bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window
        temporary.remove()


def _bare_copy(obj: bpy.types.Object, scene: bpy.types.Scene, temporary: _Temporary) -> bpy.types.Object:
    """A copy that stands where the object stands, without parent, constraints or animation."""
    copy = temporary.keep(obj.copy())
    matrix = obj.matrix_world.copy()
    copy.animation_data_clear()
    copy.constraints.clear()
    copy.parent = None
    copy.hide_render = False
    scene.collection.objects.link(copy)
    copy.matrix_world = matrix
    return copy


def _set_render(scene: bpy.types.Scene, context_scene: bpy.types.Scene, unlit: bool) -> None:
    source, render = context_scene.render, scene.render
    scene.frame_current = context_scene.frame_current
    render.engine = "CYCLES"  # type: ignore[assignment]  # the stubs know only what is built in
    render.resolution_percentage = 100
    render.pixel_aspect_x, render.pixel_aspect_y = source.pixel_aspect_x, source.pixel_aspect_y
    render.film_transparent = True
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0.0
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode, render.image_settings.color_depth = "RGBA", "8"
    scene.display_settings.display_device = "sRGB"  # type: ignore[assignment]  # names from the colour configuration
    view = scene.view_settings
    view.view_transform, view.look = "Standard", "None"  # type: ignore[assignment]
    view.exposure, view.gamma = 0.0, 1.0
    cycles = scene.cycles
    cycles.samples = UNLIT_SAMPLES if unlit else LIT_SAMPLES
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    cycles.seed, cycles.use_animated_seed = 0, False
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 1.0
    if unlit:
        cycles.max_bounces = 0
    else:
        for name in _BOUNCES:
            setattr(cycles, name, getattr(context_scene.cycles, name))


def _look_as_photo(scene: bpy.types.Scene, camera: bpy.types.Object, context_scene: bpy.types.Scene, max_side: int) -> None:
    """Lets the scene's camera, a copy of ``camera``, see what the photo shows, wherever the photo lies in the camera's frame."""
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    if photo_block(camera) is not None:
        read = read_photo_camera(camera, context_scene)
        write_camera(scene.camera, read)
        width, height = read.size
        ratio = float(read.focal_px[0] / read.focal_px[1])  # of a pixel's height and width
        render.pixel_aspect_x, render.pixel_aspect_y = max(1 / ratio, 1), max(ratio, 1)
    scale = min(1.0, max_side / max(width, height))
    render.resolution_x, render.resolution_y = max(round(width * scale), 4), max(round(height * scale), 4)


def _make_unlit(copy: bpy.types.Object, temporary: _Temporary) -> None:
    """Gives the object's slots emission materials that show what feeds the base colour, as see-through as it is; the artist's stay."""
    if not copy.material_slots:
        copy.data = temporary.keep(copy.data.copy())
        copy.data.materials.append(None)
    for slot in copy.material_slots:
        original = slot.material
        slot.link = "OBJECT"
        slot.material = _emission_material(original, temporary)


def _emission_material(original: bpy.types.Material | None, temporary: _Temporary) -> bpy.types.Material:
    material = temporary.keep(bpy.data.materials.new(SCENE) if original is None else original.copy())
    if original is not None and uses_nodes(original):
        found = find_shader(material)
        if found is not None:  # else there is no base colour to show: its own shader is the best there is
            for group in show_input(material, base_color_socket(found.node), found.around, find_alpha(material, found)):
                temporary.keep(group)
        return material
    if not uses_nodes(material):
        material.use_nodes = True
    tree = material.node_tree
    output = tree.get_output_node("CYCLES") or tree.nodes.new("ShaderNodeOutputMaterial")
    emission = tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = (*DEFAULT_COLOR, 1.0) if original is None else original.diffuse_color
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def straightened(photo: Photo, camera: Camera, side: int = SHOWN_SIDE) -> Photo:
    """The photo and its mask as a lens without distortion would have taken them, as Blender renders; the same photo where there is none.

    Straightened photos have at most ``side`` pixels along their longer side.
    """
    if camera.distortion is None:
        return photo
    shrink = min(1.0, side / max(camera.size))
    width, height = (max(round(pixels * shrink), 1) for pixels in camera.size)
    focal, centre = (np.asarray(value, np.float64) * (width, height) / camera.size for value in measures(camera))
    distortion = Distortion(*camera.distortion.tolist())

    def straight(image: np.ndarray) -> np.ndarray:
        return undistort(resize(np.asarray(image, np.float32), height, width), focal, centre, distortion)

    return replace(photo, rgb=straight(photo.rgb), mask=None if photo.mask is None else straight(photo.mask[..., None])[..., 0])


def photo_at(photo: Photo, height: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The photo in display-referred sRGB and its mask (H, W), at a render's size."""
    rgb = to_srgb(resize(np.asarray(photo.rgb, np.float32), height, width))
    mask = None if photo.mask is None else resize(np.asarray(photo.mask, np.float32)[..., None], height, width)[..., 0]
    return rgb, mask


def compare(photo: Photo, render: np.ndarray) -> CameraScore:
    """Scores a render (H, W, 4) of ``render_views``, against its photo, averaged down to the render's size; both lie over black."""
    rgb, mask = photo_at(photo, *render.shape[:2])
    shown = render[..., 3] if mask is None else mask
    error = ((render[..., :3] * render[..., 3:] - rgb * shown[..., None]) ** 2).mean(-1)
    inside = shown > 0.5
    mean = float(error[inside].mean()) if inside.any() else 1.0
    psnr = min(-10 * float(np.log10(max(mean, 1e-12))), _MAX_PSNR)
    if mask is None:
        return CameraScore(psnr, None)
    covered = render[..., 3] > 0.5
    union = float((covered | inside).sum())
    return CameraScore(psnr, float((covered & inside).sum()) / union if union else 1.0)


def build_report(photos: Sequence[Photo], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Scores of every photo before and after the fit, JSON-ready; ``worst`` names the camera whose render matches least afterwards."""
    cameras: list[dict[str, Any]] = []
    for photo in photos:
        old, new = compare(photo, before[photo.camera]), compare(photo, after[photo.camera])
        cameras.append(
            {
                "name": photo.camera,
                "held_out": photo.held_out,
                "psnr_before": old.psnr,
                "psnr_after": new.psnr,
                "mask_iou_before": old.mask_iou,
                "mask_iou_after": new.mask_iou,
            }
        )
    return {"cameras": cameras, "worst": min(cameras, key=lambda c: c["psnr_after"])["name"] if cameras else None}


def contact_sheet(
    path: str | os.PathLike[str], photos: Sequence[Photo], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> None:
    """Writes a PNG with a row per camera: photo, render before, render after, and the difference of the last from the photo.

    Renders are laid over black; the difference is the absolute one in display-referred sRGB, inside the mask or where the model is.

    Raises:
        RuntimeError: The path is not writable.
    """
    rows = [_row(photo, before[photo.camera], after[photo.camera]) for photo in photos]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=0.2) for row in rows]
    save_png(path, np.concatenate(padded))


def _row(photo: Photo, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    height, width = after.shape[:2]
    scale = min(1.0, _TILE / max(height, width))
    height, width = max(round(height * scale), 1), max(round(width * scale), 1)
    rgb, mask = photo_at(photo, height, width)
    old, new = (resize(image[..., :3] * image[..., 3:], height, width) for image in (before, after))
    shown = resize(after[..., 3:], height, width) if mask is None else mask[..., None]
    difference = np.abs(new - rgb * shown) * shown
    tiles = [np.pad(tile, ((0, 0), (0, _GAP), (0, 0)), constant_values=0.2) for tile in (rgb, old, new, difference)]
    return np.concatenate(tiles, 1)
