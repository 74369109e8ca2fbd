"""Checks on the chosen objects together: nothing chosen, nothing in view, meshes and materials shared with others."""

from collections.abc import Mapping, Sequence

import bpy
import numpy as np

from dr_backend.language import told
from dr_backend.scene import Camera, Light, Material, Mesh, World
from dr_backend.scene.lens import straight_bounds

from .identity import is_foreign
from .problems import SceneProblem

_GRID = 128  # cells along a side when looking for overlapping UVs
_MAX_OVERLAP = 0.05  # of the smaller layout's cells: neighbours on a shared atlas touch
_PROBES = 32  # places at which a UV map is asked whether faces lie over one another
_MAX_PROBES_OVERLAPPED = 0.25


def check_lists(scene: bpy.types.Scene, meshes: Sequence[bpy.types.Object], cameras: Sequence[bpy.types.Object]) -> None:
    """Makes sure that there is something to fit.

    Raises:
        SceneProblem: With what to choose.
    """
    if not meshes:
        raise SceneProblem("Scene '{scene}' has no mesh to fit: select at least one mesh object", scene=scene.name)
    if not cameras:
        raise SceneProblem("Scene '{scene}' has no camera with a photo: add a camera and give it a background image", scene=scene.name)
    wrong = next((obj for obj in cameras if obj.type != "CAMERA"), None)
    if wrong is not None:
        raise SceneProblem("'{name}' is not a camera: choose cameras with photos", name=wrong.name)


def check_mesh_object(obj: bpy.types.Object) -> None:
    """Makes sure that a fit may move this object's mesh.

    Raises:
        SceneProblem: It is no mesh, belongs to another file, has no faces, bad coordinates, or shape keys that do not simply add up.
    """
    if obj.type != "MESH":
        raise SceneProblem(
            "'{name}' is a {type}, not a mesh: convert it with Object > Convert > Mesh", name=obj.name, type=obj.type.lower()
        )
    if is_foreign(obj) or is_foreign(obj.data):
        raise SceneProblem("'{name}' is linked from another file: make it local with Object > Relations > Make Local > All", name=obj.name)
    if obj.data.shape_keys is not None:
        if not obj.data.shape_keys.use_relative:
            raise SceneProblem("'{name}' has absolute shape keys: turn on Relative in its Shape Keys panel", name=obj.name)
        if obj.show_only_shape_key:
            raise SceneProblem("'{name}' shows only one shape key: turn off the pin in its Shape Keys panel", name=obj.name)
    matrix = np.array(obj.matrix_world, np.float64)
    if not np.isfinite(matrix).all():
        raise SceneProblem("'{name}' is at a place that is not a number: check its location, constraints and drivers", name=obj.name)
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-18:
        raise SceneProblem("'{name}' is scaled to nothing: give it a scale other than 0", name=obj.name)


def _outside(positions_camera: np.ndarray, camera: Camera) -> bool:
    """Whether all points (V, 3) lie beyond one side of the camera's view."""
    x, y, depth = positions_camera[:, 0], positions_camera[:, 1], -positions_camera[:, 2]
    scale = depth if camera.projection == "perspective" else np.ones_like(depth)
    column = camera.centre_px[0] * scale + camera.focal_px[0] * x  # pixel coordinates times scale: no division by what is behind
    row = camera.centre_px[1] * scale - camera.focal_px[1] * y
    left, top, right, bottom = straight_bounds(camera)
    sides = (column < left * scale, column > right * scale, row < top * scale, row > bottom * scale, depth < camera.near)
    return any(bool(side.all()) for side in sides)


def check_seen(meshes: Mapping[str, Mesh], cameras: Mapping[str, Camera]) -> list[str]:
    """Makes sure that each mesh may be seen by a camera; a warning for every camera that can see none of them.

    Raises:
        SceneProblem: A mesh lies wholly outside every camera's view.
    """
    idle = dict.fromkeys(cameras)
    for name, mesh in meshes.items():
        used = mesh.positions[np.unique(mesh.faces)].astype(np.float64)
        world = used @ mesh.world_from_object[:3, :3].T + mesh.world_from_object[:3, 3]
        seeing = [
            camera for camera, c in cameras.items() if not _outside(world @ c.camera_from_world[:3, :3].T + c.camera_from_world[:3, 3], c)
        ]
        if not seeing:
            raise SceneProblem(
                "'{name}' is outside the view of every camera: look through the cameras and move it into the picture, or press Place Mesh",
                name=name,
            )
        for camera in seeing:
            idle.pop(camera, None)
    return [
        told("Camera '{camera}' looks past what is fitted: line it up with its photo, or leave the photo out", camera=camera)
        for camera in idle
    ]


def check_light(lights: Mapping[str, Light], world: World | None) -> None:
    """Makes sure that a lit scene is not black.

    Raises:
        SceneProblem: Neither a lamp nor the world shines.
    """
    shines = any(float(light.power) > 0 and np.max(light.color) > 0 for light in lights.values())
    if not shines and (world is None or np.max(world.radiance) <= 0):
        names = ", ".join(f"'{name}'" for name in lights) or told("The world")
        raise SceneProblem("{names} gives no light: raise its Power, or deselect the lamps, and light stays in the texture", names=names)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Cross product of vectors in a plane, (…, 2) → (…)."""
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def overlap_warning(name: str, mesh: Mesh) -> str:
    """What to say where faces of a mesh lie over one another in its UV map, asked at a few places on it; empty where they do not."""
    if mesh.uvs is None:
        return ""
    a, b, c = (mesh.uvs[:, corner].astype(np.float64) for corner in range(3))
    double = _cross(b - a, c - a)  # twice the signed area
    if not np.abs(double).sum() > 1e-12:
        return told(
            "The UV map of '{name}' gives its faces no room to be painted: unwrap it in Edit Mode with U > Smart UV Project", name=name
        )
    places = np.random.default_rng(0).choice(len(double), _PROBES, p=np.abs(double) / np.abs(double).sum())
    overlapped = 0
    for place in ((a + b + c) / 3)[places]:
        sides = np.stack([_cross(q - p, place - p) for p, q in ((a, b), (b, c), (c, a))])
        overlapped += int(((sides > 0).all(0) | (sides < 0).all(0)).sum() > 1)
    if overlapped <= _MAX_PROBES_OVERLAPPED * _PROBES:
        return ""
    return told(
        "Faces of '{name}' lie over one another in its UV map and will show the same paint: unwrap it again if they should not", name=name
    )


def _cells(mesh: Mesh, key: str) -> np.ndarray:
    """Grid cells (N,) that the material's faces cover in UV space, judged by points inside each triangle."""
    slots = [index for index, name in enumerate(mesh.materials) if name == key]
    corners = mesh.uvs[np.isin(mesh.face_material, slots)]
    weights = np.array([(i, j, 8 - i - j) for i in range(1, 7) for j in range(1, 8 - i)], np.float32) / 8
    points = np.einsum("pk,fkc->fpc", weights, corners).reshape(-1, 2)
    grid = np.floor((points % 1) * _GRID).astype(np.int64)
    return np.unique(grid[:, 0] * _GRID + grid[:, 1])


def shared_material_warnings(
    objects: Sequence[bpy.types.Object], meshes: Mapping[str, Mesh], materials: Mapping[str, bpy.types.Material | None]
) -> list[str]:
    """Warnings about textures and meshes that show up elsewhere, or that two objects paint in the same place."""
    warnings = []
    fitted = {obj.name for obj in objects}
    for obj in objects:
        if obj.data.users - bool(obj.data.use_fake_user) > sum(other.data == obj.data for other in objects):
            warnings.append(told("Other objects share the mesh of '{name}' and change with it", name=obj.name))
    for key, block in materials.items():
        if block is not None:
            others = [o.name for o in bpy.data.objects if o.name not in fitted and any(s.material == block for s in o.material_slots)]
            if others:
                warnings.append(
                    told(
                        "Material '{name}' is also used by {others}, which will show the new texture",
                        name=block.name,
                        others=", ".join(repr(o) for o in others[:3]),
                    )
                )
        users = [name for name, mesh in meshes.items() if key in mesh.materials and mesh.uvs is not None]
        cells = [(name, _cells(meshes[name], key)) for name in users] if len(users) > 1 else []
        for index, (first, a) in enumerate(cells):
            for second, b in cells[index + 1 :]:
                if len(np.intersect1d(a, b)) > _MAX_OVERLAP * max(min(len(a), len(b)), 1):
                    warnings.append(
                        told(
                            "'{first}' and '{second}' use the same places of material '{key}': give them separate UVs or materials, "
                            "or one texture has to serve both",
                            first=first,
                            second=second,
                            key=key,
                        )
                    )
    return warnings


_UNSEEN = {"visible_camera": False, "is_holdout": True, "is_shadow_catcher": True}


def visibility_warnings(meshes: Sequence[bpy.types.Object], lights: Sequence[bpy.types.Object]) -> list[str]:
    """What the renders of the artist's scene would hide and a fit sees all the same; each object is named with its settings."""
    warnings = []
    for obj in meshes:
        names = [obj.bl_rna.properties[name].name for name, value in _UNSEEN.items() if getattr(obj, name) == value]
        if names:
            warnings.append(
                told("'{name}' is fitted as if it were plainly visible, whatever its {names} says", name=obj.name, names=", ".join(names))
            )
    linked = [obj.name for obj in lights if obj.light_linking.receiver_collection or obj.light_linking.blocker_collection]
    if linked:
        warnings.append(
            told("Light linking of {names} is not carried: in the fit each light shines on everything", names=", ".join(map(repr, linked)))
        )
    hidden = [obj.name for obj in lights if not (obj.visible_diffuse and obj.visible_glossy)]
    if hidden:
        warnings.append(
            told(
                "The Ray Visibility of {names} is not carried: in the fit a light shines on matte and glossy surfaces alike",
                names=", ".join(map(repr, hidden)),
            )
        )
    portals = [obj.name for obj in lights if getattr(getattr(obj.data, "cycles", None), "is_portal", False)]
    return warnings + [
        told("'{name}' is a portal, which gives no light of its own; in the fit it is a lamp: deselect it", name=name) for name in portals
    ]


def glow_warnings(objects: Sequence[bpy.types.Object], meshes: Mapping[str, Mesh], materials: Mapping[str, Material]) -> list[str]:
    """A warning for each mesh that gives light to others, which no fit sees."""
    warnings = []
    for obj in objects if len(objects) > 1 else ():
        mesh = meshes[obj.name]
        shown = [materials[mesh.materials[index]] for index in set(mesh.face_material.tolist())]
        glows = any(m.emission_image is not None or (m.emission is not None and np.any(m.emission > 0)) for m in shown)
        if glows and obj.visible_diffuse:
            warnings.append(told("The light that '{name}' gives to other meshes is not carried: put a lamp there instead", name=obj.name))
    return warnings
