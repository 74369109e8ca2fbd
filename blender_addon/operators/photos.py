"""Photos onto cameras: new cameras for many photos, or another photo or mask for one camera."""

import os
import re
from typing import Any

import bpy

from dr_backend.language import told

from ..exchange.cameras import write_focal_px
from ..exchange.photo_files import load_photo
from ..exchange.photos import background_images, shown, write_mask, write_photo
from ..exchange.placement import bounding_sphere, filling_distance, ring_matrix
from ..exchange.problems import SceneProblem
from ..exif import Exif
from ..photo_list import active_camera, show_photo, take_photo_shape


def _natural(name: str) -> list[str | int]:
    """A sort key by which photo 2 comes before photo 10."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def _target(context: bpy.types.Context) -> list[bpy.types.Object]:
    """What the cameras look at: the selected meshes, else all visible ones."""
    meshes = [obj for obj in context.view_layer.objects if obj.type == "MESH" and obj.visible_get()]
    return [obj for obj in meshes if obj.select_get()] or meshes


def _set_lens(camera: Any, image: bpy.types.Image, exif: Exif) -> bool:
    """Sets the lens from the EXIF data; False where they do not tell it."""
    width, height = image.size
    focal_px = exif.focal_px(width, height)
    if focal_px is not None:
        write_focal_px(camera.data, focal_px, (width, height))
    return focal_px is not None


def _unknown_lens(cameras: list[bpy.types.Object]) -> str:
    """What to say about cameras whose photos do not tell the focal length."""
    if len(cameras) == 1:
        return told(
            "The photo of camera '{name}' does not tell its focal length: set the lens that it was taken with", name=cameras[0].name
        )
    return told(
        "{count} photos do not tell their focal length: set the lens that they were taken with on their cameras", count=len(cameras)
    )


class PhotoPicker:
    """A file browser that shows images."""

    filepath: bpy.props.StringProperty(name="File", description="The picked file", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Any:
        """Opens the file browser."""
        context.window_manager.fileselect_add(self)  # type: ignore[arg-type]  # the classes below are operators
        return {"RUNNING_MODAL"}


class PickedFiles(PhotoPicker):
    """A picker of several files."""

    files: bpy.props.CollectionProperty(
        name="Photos", description="The picked files", type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )
    directory: bpy.props.StringProperty(
        name="Folder", description="Where the picked files are", subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}
    )

    def paths(self) -> list[str]:
        """The picked files in the order of their numbers."""
        folder = bpy.path.abspath(self.directory) or os.path.dirname(self.filepath)
        names = [file.name for file in self.files if file.name] or [os.path.basename(self.filepath)]
        return [os.path.join(folder, name) for name in sorted(names, key=_natural) if name]


class FITTOPHOTO_OT_add_photos(PickedFiles, bpy.types.Operator):
    """Adds a camera for each picked photo."""

    bl_idname = "fit_to_photo.add_photos"
    bl_label = "Add Photos"
    bl_description = "Pick photos: each gets a camera with it as background image, standing around the selected meshes"
    bl_options = {"REGISTER", "UNDO"}

    use_exif_lens: bpy.props.BoolProperty(
        name="Focal Length from Photo",
        description="Take the lens from the photo's EXIF data where they tell the focal length as 35 mm equivalent",
        default=True,
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Loads the photos and places their cameras."""
        paths = self.paths()
        if not paths:
            self.report({"ERROR"}, told("No photo was picked: mark one or several in the file browser"))
            return {"CANCELLED"}
        loaded, problems = [], []
        for path in paths:
            try:
                loaded.append((_stem(path), *load_photo(path)))
            except SceneProblem as problem:
                problems.append(str(problem))
        for sentence in problems:
            self.report({"WARNING" if loaded else "ERROR"}, sentence)
        if not loaded:
            return {"CANCELLED"}
        context.view_layer.update()
        centre, radius = bounding_sphere(_target(context))
        cameras, unknown = [], []
        for index, (name, image, exif) in enumerate(loaded):
            camera = _new_camera(context, name, image)
            cameras.append(camera)
            if self.use_exif_lens and not _set_lens(camera, image, exif):
                unknown.append(camera)
            size = (image.size[0], image.size[1])
            distance = filling_distance(radius, camera.data.lens / camera.data.sensor_width * max(size), size)
            camera.matrix_world = ring_matrix(index, len(loaded), centre, distance)
            camera.data.clip_end = max(camera.data.clip_end, 2 * (distance + radius))
            camera.data.clip_start = min(camera.data.clip_start, distance / 100)
        context.view_layer.update()
        show_photo(context.scene, context.scene.objects.find(cameras[0].name))
        if unknown:
            self.report({"INFO"}, _unknown_lens(unknown))
        self.report(
            {"INFO"},
            told(
                "1 camera added: move it until the mesh lines up"
                if len(cameras) == 1
                else "{count} cameras added: move them until the mesh lines up",
                count=len(cameras),
            ),
        )
        return {"FINISHED"}


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _new_camera(context: bpy.types.Context, name: str, image: bpy.types.Image) -> bpy.types.Object:
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    context.collection.objects.link(camera)
    write_photo(camera, image)
    return camera


class OneCamera(PhotoPicker):
    """A picker of one file for the active camera."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Available where there is a camera to put a photo on."""
        camera = active_camera(context)
        if camera is None:
            cls.poll_message_set(told("There is no camera: press Add Photos, or add a camera and make it active"))
            return False
        if camera.data.library is not None or camera.data.override_library is not None:
            cls.poll_message_set(told("The camera belongs to another file: make it local with Object > Relations > Make Local"))
            return False
        return True


class FITTOPHOTO_OT_match_photo(OneCamera, bpy.types.Operator):
    """Puts a photo onto the active camera."""

    bl_idname = "fit_to_photo.match_photo"
    bl_label = "Match Photo"
    bl_description = (
        "Pick the photo of the active camera. It replaces the one that the camera has; a camera without one gets the photo's focal length"
    )
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Loads the photo; the camera stays where it is, and so does a mask of the same size."""
        camera = active_camera(context)
        try:
            image, exif = load_photo(self.filepath)
        except SceneProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        backgrounds = background_images(camera)
        if backgrounds:  # somebody has lined this camera up: only the picture changes
            backgrounds[0].source, backgrounds[0].image = "IMAGE", image
        else:
            write_photo(camera, image)
            if not _set_lens(camera, image, exif):
                self.report({"INFO"}, _unknown_lens([camera]))
        for mask in (shown(background) for background in backgrounds[1:2]):
            if tuple(mask.size) != tuple(image.size):
                write_mask(camera, None)
                self.report(
                    {"WARNING"}, told("The mask '{name}' has another size than the photo and was taken off the camera", name=mask.name)
                )
        if camera == context.scene.camera:
            take_photo_shape(context.scene, camera)
        return {"FINISHED"}
