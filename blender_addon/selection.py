"""Which objects a fit uses: one answer for the panel, the operator and the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

from dr_backend.language import phrase, told

from .photo_list import has_photo

_LIKE_MESHES = {"CURVE": phrase("curve"), "SURFACE": phrase("surface"), "META": phrase("metaball"), "FONT": phrase("text")}


@dataclass(frozen=True)
class Selection:
    """Names of the objects of a fit. ``problem`` is a sentence where no fit is possible, else empty."""

    meshes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    without_photo: tuple[str, ...] = ()  # selected or named cameras, which are left out
    problem: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Selection":
        """The selection of ``dataclasses.asdict`` after its way through JSON."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        return cls(**values)

    def objects(self, scene: bpy.types.Scene, names: Iterable[str]) -> list[bpy.types.Object]:
        """The objects with these names; those that left the scene are missing from the list."""
        return [obj for name in names if (obj := scene.objects.get(name)) is not None]


@dataclass(frozen=True)
class Wanted:
    """Objects named on the command line; an empty tuple means: as selected in the scene."""

    meshes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()


def select(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, wanted: Wanted | None = None) -> Selection:
    """What a fit of this scene would use.

    Meshes: the selected ones, else the only visible one. Cameras: every visible one with a photo, unless its photo is left out in
    the list. Lights: the selected ones, else none, and light stays in the texture.
    """
    wanted = wanted or Wanted()
    if unknown := _first_unknown(scene, wanted):
        return Selection(problem=unknown)
    present = (obj for obj in view_layer.objects if obj is not None)  # a deleted object leaves None until Blender's next update
    visible = [obj for obj in present if obj.visible_get(view_layer=view_layer)]
    selected = [obj for obj in visible if obj.select_get(view_layer=view_layer)]

    meshes = wanted.meshes or _names(selected, "MESH")
    visible_meshes = _names(visible, "MESH")
    if not meshes and len(visible_meshes) == 1:
        meshes = visible_meshes
    lights = wanted.lights or _names(selected, "LIGHT")
    cameras = wanted.cameras or _names((obj for obj in visible if has_photo(obj) and obj.fit_to_photo.include), "CAMERA")
    with_photo = tuple(name for name in cameras if has_photo(scene.objects[name]))
    without = tuple(name for name in wanted.cameras or _names(selected, "CAMERA") if not has_photo(scene.objects[name]))
    return Selection(meshes, with_photo, lights, without, _problem(scene, meshes, len(visible_meshes), with_photo, without))


def _names(objects: Iterable[bpy.types.Object], kind: str) -> tuple[str, ...]:
    return tuple(obj.name for obj in objects if obj.type == kind)


def _first_unknown(scene: bpy.types.Scene, wanted: Wanted) -> str:
    for kind, names in (("MESH", wanted.meshes), ("CAMERA", wanted.cameras), ("LIGHT", wanted.lights)):
        for name in names:
            obj = scene.objects.get(name)
            if obj is None or obj.type != kind:
                return told("The scene '{scene}' has no {kind} named '{name}'", scene=scene.name, kind=told(kind.lower()), name=name)
    return ""


def _problem(scene: bpy.types.Scene, meshes: tuple[str, ...], visible: int, cameras: tuple[str, ...], without: tuple[str, ...]) -> str:
    if not meshes:
        return told("Several meshes are visible: select the one to fit") if visible else _no_mesh(scene)
    if not cameras and without:
        return told("Camera '{name}' has no photo: press Match Photo", name=without[0])
    if not cameras:
        return _no_photo(scene)
    if all(scene.objects[name].fit_to_photo.held_out for name in cameras):
        return told("All photos are held out: turn off Hold Out for at least one camera")
    return ""


def _no_mesh(scene: bpy.types.Scene) -> str:
    other = next((obj for obj in scene.objects if obj.type in _LIKE_MESHES and obj.select_get()), None)
    if other is not None:
        return told(
            "'{name}' is a {type}, not a mesh: convert it with Object > Convert > Mesh",
            name=other.name,
            type=told(_LIKE_MESHES[other.type]),
        )
    instance = next((obj for obj in scene.objects if obj.instance_collection is not None and obj.select_get()), None)
    if instance is not None:
        return told(
            "'{name}' shows the collection '{collection}' without being a mesh: use Object > Apply > Make Instances Real",
            name=instance.name,
            collection=instance.instance_collection.name,
        )
    return told("There is no mesh to fit: add or unhide one")


def _no_photo(scene: bpy.types.Scene) -> str:
    """Why no photo takes part."""
    photos = [obj for obj in scene.objects if has_photo(obj)]
    if not photos:
        return told("No visible camera has a photo: press Add Photos")
    if any(obj.visible_get() for obj in photos):
        return told("No photo takes part: turn on the box of at least one in the list Photos")
    return told("All cameras with photos are hidden: show at least one in the Outliner")
