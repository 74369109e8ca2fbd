"""Masks onto cameras: one for the active camera's photo, or many at once by the names of their files."""

import os
from collections.abc import Iterable

import bpy

from dr_backend.language import told

from ..exchange.identity import is_foreign
from ..exchange.photo_files import load_photo
from ..exchange.photos import background_images, photo_block, photo_size, write_mask
from ..exchange.problems import SceneProblem
from ..photo_list import active_camera, has_photo
from .photos import OneCamera, PickedFiles

_AFFIXES = ("_mask", "-mask", ".mask", "mask_", "mask-")


def _key(name: str) -> str:
    """What a photo and its mask have in common: ``a/IMG_1.jpg``, ``IMG_1.jpg.png`` and ``img_1_mask.png`` are all ``img_1``."""
    stem = os.path.basename(name.replace("\\", "/")).lower()
    while os.path.splitext(stem)[1] in bpy.path.extensions_image:
        stem = os.path.splitext(stem)[0]
    for affix in _AFFIXES:
        stem = stem.removesuffix(affix).removeprefix(affix)
    return stem


def _cameras_by_key(objects: Iterable[bpy.types.Object]) -> dict[str, bpy.types.Object]:
    """Cameras with a photo by what their masks may be called: as the photo's file, or as the camera."""
    cameras = [obj for obj in objects if has_photo(obj) and not is_foreign(obj.data)]
    named = {_key(camera.name): camera for camera in cameras}
    return named | {_key(block.filepath or block.name): camera for camera in cameras if (block := photo_block(camera)) is not None}


def _put(path: str, camera: bpy.types.Object) -> None:
    """Loads the mask and puts it behind the camera's photo.

    Raises:
        SceneProblem: It cannot be read, or has another size than the photo.
    """
    size = photo_size(camera)
    mask, _ = load_photo(path)
    if tuple(mask.size) != size:
        sizes = {"mask": f"{mask.size[0]} × {mask.size[1]}", "photo": f"{size[0]} × {size[1]}" if size else told("cannot be read")}
        if not mask.users:
            bpy.data.images.remove(mask)
        raise SceneProblem("The mask is {mask} pixels, its photo {photo}: make them the same size", **sizes)
    mask.colorspace_settings.name = "Non-Color"  # type: ignore[assignment]  # names from the colour configuration
    write_mask(camera, mask)


class FITTOPHOTO_OT_add_mask(PickedFiles, OneCamera, bpy.types.Operator):
    """Puts mask images onto cameras."""

    bl_idname = "fit_to_photo.add_mask"
    bl_label = "Add Mask"
    bl_description = "Pick the mask of the active camera's photo, white where the object is; or several, each named as its photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available for a camera that has a photo."""
        if not super().poll(context):
            return False
        if not background_images(active_camera(context)):
            cls.poll_message_set(told("The camera has no photo yet: press Match Photo first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Loads the masks and puts them behind their photos."""
        paths = self.paths()
        cameras = _cameras_by_key(context.scene.objects)
        done, problems = 0, []
        for path in paths:
            camera = active_camera(context) if len(paths) == 1 else cameras.get(_key(path))
            name = os.path.basename(path)
            try:
                if camera is None:
                    raise SceneProblem("no photo has its name")
                _put(path, camera)
                done += 1
            except SceneProblem as problem:
                problems.append(str(problem) if len(paths) == 1 else told("{file}: {problem}", file=name, problem=problem))
        if not paths:
            problems.append(told("No mask was picked: mark one or several in the file browser"))
        for sentence in problems:
            self.report({"WARNING" if done else "ERROR"}, sentence)
        if len(paths) > 1 and done:
            self.report({"INFO"}, told("{done} of {count} masks were added", done=done, count=len(paths)))
        return {"FINISHED" if done else "CANCELLED"}
