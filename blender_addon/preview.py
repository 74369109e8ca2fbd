"""The live preview of one fit in the viewport."""

import sys

import bpy
import numpy as np

from dr_backend.job import JobError, JobFolder
from dr_backend.scene import split_path

from .exchange import preview_texture as texture
from .exchange.identity import describe, find, object_mode
from .exchange.preview import add_preview, has_preview, remove_preview, remove_unused_keys, rest_preview, show_preview
from .exchange.scene import Bindings
from .redraw import redraw_views


class LivePreview:
    """Shows a fit's positions on its meshes, and its images on their materials."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._materials: dict[str, dict[str, object]] = {}  # what describes those that can show an image, by key
        self._shown: dict[str, np.ndarray] = {}  # by leaf path

    def _find(self, name: str) -> bpy.types.Object | None:
        obj = find(bpy.data.objects, self._bindings.meshes[name]["object"])
        return obj if obj is not None and obj.type == "MESH" else None

    def begin(self, *, geometry: bool, texture: bool) -> bool:
        """Prepares meshes and materials and says whether anything can be shown; an undo step should follow then."""
        objects = [obj for name in self._bindings.meshes if (obj := self._find(name)) is not None]
        moving = sum(add_preview(obj) for obj in objects) if geometry else 0
        for key in self._bindings.materials if texture else ():
            self._begin_texture(key)
        return moving > 0 or bool(self._materials)

    def _begin_texture(self, key: str) -> None:
        binding = self._bindings.materials[key]
        users = [(name, obj) for name in binding["objects"] if (obj := self._find(name)) is not None]
        if not users or any(obj.mode != "OBJECT" for _, obj in users):
            return
        material = binding["material"] and find(bpy.data.materials, binding["material"])
        if binding["material"] is None:
            material = texture.lend_material([obj for _, obj in users])
        if material is None or not texture.add_texture_preview(material, binding["extension"]):
            return
        self._materials[key] = describe(material)
        for name, obj in users:
            if (packed := self._bindings.meshes[name]["new_uvs"]) is not None:
                texture.lend_uvs(obj, packed)

    def show_latest(self, job: JobFolder) -> None:
        """Shows what the worker wrote last."""
        try:
            values = job.load_preview() or {}
        except JobError as error:  # the worker may be replacing the file: the next one follows soon
            print(f"Fit to Photo: a preview could not be shown: {error}", file=sys.stderr)
            return
        self._show({path: value for path, value in values.items() if self._can_show(path, value)})

    def _can_show(self, path: str, value: np.ndarray) -> bool:
        if not np.isfinite(value).all() or np.array_equal(value, self._shown.get(path, ())):
            return False
        group, name, leaf = split_path(path)
        if group == "materials":
            return leaf == "base_color_image" and name in self._materials and value.ndim == 3 and value.shape[2] == 3
        return group == "meshes" and leaf == "positions" and name in self._bindings.meshes

    def _show(self, values: dict[str, np.ndarray]) -> None:
        self._shown |= values
        for path, value in values.items():
            group, name, _ = split_path(path)
            if group == "meshes" and (obj := self._find(name)) is not None:
                show_preview(obj, value)
            elif group == "materials" and (material := find(bpy.data.materials, self._materials[name])) is not None:
                texture.show_texture_preview(material, value)
        redraw_views()

    def refresh(self) -> None:
        """Shows the same again, after saving or undo put it to rest."""
        self._show(self._shown)

    def end(self) -> None:
        """Takes every trace away; an undo step should follow."""
        self._shown.clear()
        self._materials.clear()
        remove_all()


def rest_all() -> None:
    """Puts every preview of the file to rest: what is saved, or brought back by undo, looks as without one."""
    for mesh in bpy.data.meshes:
        rest_preview(mesh)
    for material in bpy.data.materials:
        if texture.has_texture_preview(material):
            texture.rest_texture_preview(material)


def remove_all() -> None:
    """Takes every preview out of the file: a fit ended, was undone, or a crash or an automatic save left it in a file just opened."""
    for material in bpy.data.materials:
        if material.library is None and texture.has_texture_preview(material):
            texture.remove_texture_preview(material)
    left = {mesh.name for mesh in bpy.data.meshes if mesh.library is None and (has_preview(mesh) or texture.has_texture_preview(mesh))}
    for obj in bpy.data.objects if left else ():
        if obj.type == "MESH" and obj.library is None and obj.data.library is None and obj.data.name in left:
            remove_preview(obj)
            if texture.has_texture_preview(obj.data):
                with object_mode(obj):
                    texture.take_back(obj)
    remove_unused_keys()
    texture.remove_unused_images()
    texture.remove_unused_materials()
