"""Which objects a fit uses: one answer for the panel, the operator and the command line."""

from collections.abc import Iterable
from dataclasses import dataclass

import bpy

from .exchange.photos import background_images


@dataclass(frozen=True)
class Selection:
    """Names of the objects of a fit. ``problem`` is a sentence where no fit is possible, else empty."""

    meshes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    without_photo: tuple[str, ...] = ()  # selected cameras that are left out
    problem: str = ""

    def objects(self, scene: bpy.types.Scene, names: Iterable[str]) -> list[bpy.types.Object]:
        """The objects with these names; those that left the scene are missing from the list."""
        return [obj for name in names if (obj := scene.objects.get(name)) is not None]


@dataclass(frozen=True)
class Wanted:
    """Objects named on the command line; an empty tuple means: as selected in the scene."""

    meshes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()


def has_photo(camera: bpy.types.Object) -> bool:
    """Whether the camera has a visible background image."""
    return bool(background_images(camera))


def select(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, wanted: Wanted | None = None) -> Selection:
    """What a fit of this scene would use.

    Meshes: the selected ones, else the only visible one. Cameras: the selected ones with a photo, else every visible one with a
    photo. Lights: the selected ones, else none, and light stays in the texture.
    """
    wanted = wanted or Wanted()
    if unknown := _first_unknown(scene, wanted):
        return Selection(problem=unknown)
    visible = [obj for obj in view_layer.objects if obj.visible_get(view_layer=view_layer)]
    selected = [obj for obj in visible if obj.select_get(view_layer=view_layer)]

    meshes = wanted.meshes or _names(selected, "MESH")
    visible_meshes = _names(visible, "MESH")
    if not meshes and len(visible_meshes) == 1:
        meshes = visible_meshes
    lights = wanted.lights or _names(selected, "LIGHT")
    cameras = wanted.cameras or _names(selected, "CAMERA") or _names((o for o in visible if o.type == "CAMERA" and has_photo(o)), "CAMERA")
    with_photo = tuple(name for name in cameras if has_photo(scene.objects[name]))
    without = tuple(name for name in cameras if name not in with_photo)
    return Selection(meshes, with_photo, lights, without, _problem(scene, meshes, len(visible_meshes), with_photo, without))


def _names(objects: Iterable[bpy.types.Object], kind: str) -> tuple[str, ...]:
    return tuple(obj.name for obj in objects if obj.type == kind)


def _first_unknown(scene: bpy.types.Scene, wanted: Wanted) -> str:
    for kind, names in (("MESH", wanted.meshes), ("CAMERA", wanted.cameras), ("LIGHT", wanted.lights)):
        for name in names:
            obj = scene.objects.get(name)
            if obj is None or obj.type != kind:
                return f"The scene '{scene.name}' has no {kind.lower()} named '{name}'"
    return ""


def _problem(scene: bpy.types.Scene, meshes: tuple[str, ...], visible: int, cameras: tuple[str, ...], without: tuple[str, ...]) -> str:
    if not meshes:
        return "Several meshes are visible: select the one to fit" if visible else "There is no mesh to fit: add or unhide one"
    if not cameras and without:
        return f"Camera '{without[0]}' has no photo: add one under Camera > Background Images"
    if not cameras:
        return "No visible camera has a photo: add one as a background image of a camera"
    if all(scene.objects[name].fit_to_photo.held_out for name in cameras):
        return "All photos are held out: turn off Hold Out for at least one camera"
    return ""
