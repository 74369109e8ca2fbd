"""Cameras from COLMAP, NeRF and their like."""

import os
from typing import Any

import bpy

from dr_backend.language import told

from ..exchange.colmap import is_colmap, load_colmap
from ..exchange.posed_cameras import add_posed_camera
from ..exchange.poses import PosedPhoto, find_photos
from ..exchange.problems import SceneProblem
from ..exchange.transforms import load_transforms
from ..photo_list import show_photo

COLLECTION = "Imported Cameras"


def _load(path: str) -> list[PosedPhoto]:
    if is_colmap(path):
        return load_colmap(path if os.path.isdir(path) else os.path.dirname(path))
    if path.lower().endswith(".json"):
        return load_transforms(path)
    raise SceneProblem("{path} holds no cameras: choose cameras.bin or cameras.txt of a COLMAP model, or a transforms.json", path=path)


class FITTOPHOTO_OT_import_cameras(bpy.types.Operator):
    """Adds the cameras of a reconstruction."""

    bl_idname = "fit_to_photo.import_cameras"
    bl_label = "Import Cameras"
    bl_description = (
        "Pick a COLMAP model (cameras.bin or cameras.txt) or a transforms.json: its cameras are added with their photos and lens distortion"
    )
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(
        name="File", description="A COLMAP model's file or folder, or a transforms.json", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    filter_glob: bpy.props.StringProperty(default="*.bin;*.txt;*.json", options={"HIDDEN"})
    photo_folder: bpy.props.StringProperty(
        name="Photo Folder",
        description="Where the photos are; empty: beside the file, in a folder named images, or one or two folders further up",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Any:
        """Opens the file browser."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reads the file and adds the cameras whose photos exist."""
        path = bpy.path.abspath(self.filepath).rstrip("/\\")
        start = path if os.path.isdir(path) else os.path.dirname(path)
        try:
            photos = sorted(_load(path), key=lambda photo: photo.name)
            found = find_photos(photos, start, bpy.path.abspath(self.photo_folder))
            if not found:
                where = self.photo_folder or start
                raise SceneProblem(
                    "None of the {count} photos was found in or around {where}: set Photo Folder", count=len(photos), where=where
                )
        except SceneProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        return self._add(context, photos, found)

    def _add(self, context: bpy.types.Context, photos: list[PosedPhoto], found: dict[str, str]) -> set[str]:
        collection = bpy.data.collections.new(COLLECTION)
        cameras: list[bpy.types.Object] = []
        problems: list[str] = []
        for photo in photos:
            if photo.name in found:
                try:
                    obj, warnings = add_posed_camera(photo, found[photo.name], context.scene, collection)
                except SceneProblem as problem:
                    problems.append(str(problem))
                    continue
                cameras.append(obj)
                problems += warnings
        if missing := len(photos) - len(found):
            problems.append(
                told("{missing} of {count} photos were not found, their cameras are left out", missing=missing, count=len(photos))
            )
        for sentence in problems:
            self.report({"WARNING" if cameras else "ERROR"}, sentence)
        if not cameras:
            bpy.data.collections.remove(collection)
            return {"CANCELLED"}
        context.scene.collection.children.link(collection)
        context.view_layer.update()
        show_photo(context.scene, context.scene.objects.find(cameras[0].name))
        self.report(
            {"INFO"}, told("{count} cameras added, in the collection '{collection}'", count=len(cameras), collection=collection.name)
        )
        return {"FINISHED"}
