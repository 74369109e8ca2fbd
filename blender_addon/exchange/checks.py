"""Checks on the chosen objects together: nothing chosen, nothing in view, meshes and materials shared with others."""

from collections.abc import Mapping, Sequence

import bpy
import numpy as np

from dr_backend.scene import Camera, Mesh

from .problems import SceneProblem

_GRID = 128  # cells along a side when looking for overlapping UVs
_MAX_OVERLAP = 0.05  # of the smaller layout's cells: neighbours on a shared atlas touch


def check_lists(scene: bpy.types.Scene, meshes: Sequence[bpy.types.Object], cameras: Sequence[bpy.types.Object]) -> None:
    """Makes sure that there is something to fit.

    Raises:
        SceneProblem: With what to choose.
    """
    if not meshes:
        raise SceneProblem(f"Scene '{scene.name}' has no mesh to fit: select at least one mesh object")
    if not cameras:
        raise SceneProblem(f"Scene '{scene.name}' has no camera with a photo: add a camera and give it a background image")
    wrong = next((obj for obj in cameras if obj.type != "CAMERA"), None)
    if wrong is not None:
        raise SceneProblem(f"'{wrong.name}' is not a camera: choose cameras with photos")


def _outside(positions_camera: np.ndarray, camera: Camera) -> bool:
    """Whether all points (V, 3) lie beyond one side of the camera's view."""
    x, y, depth = positions_camera[:, 0], positions_camera[:, 1], -positions_camera[:, 2]
    scale = depth if camera.projection == "perspective" else np.ones_like(depth)
    column = camera.centre_px[0] * scale + camera.focal_px[0] * x  # pixel coordinates times scale: no division by what is behind
    row = camera.centre_px[1] * scale - camera.focal_px[1] * y
    sides = (column < 0, column > camera.size[0] * scale, row < 0, row > camera.size[1] * scale, depth < camera.near)
    return any(bool(side.all()) for side in sides)


def check_seen(name: str, mesh: Mesh, cameras: Sequence[Camera]) -> None:
    """Makes sure that at least one camera may see the mesh.

    Raises:
        SceneProblem: It lies wholly outside every camera's view.
    """
    used = mesh.positions[np.unique(mesh.faces)].astype(np.float64)
    world = used @ mesh.world_from_object[:3, :3].T + mesh.world_from_object[:3, 3]
    for camera in cameras:
        if not _outside(world @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3], camera):
            return
    raise SceneProblem(f"'{name}' is outside the view of every camera: look through the cameras and move it into the picture")


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
            warnings.append(f"Other objects share the mesh of '{obj.name}' and change with it")
    for key, block in materials.items():
        if block is not None:
            others = [o.name for o in bpy.data.objects if o.name not in fitted and any(s.material == block for s in o.material_slots)]
            if others:
                warnings.append(
                    f"Material '{block.name}' is also used by {', '.join(repr(o) for o in others[:3])}, which will show the new texture"
                )
        cells = [(name, _cells(mesh, key)) for name, mesh in meshes.items() if key in mesh.materials and mesh.uvs is not None]
        for index, (first, a) in enumerate(cells):
            for second, b in cells[index + 1 :]:
                if len(np.intersect1d(a, b)) > _MAX_OVERLAP * max(min(len(a), len(b)), 1):
                    warnings.append(
                        f"'{first}' and '{second}' use the same places of material '{key}': give them separate UVs or materials, or one "
                        "texture has to serve both"
                    )
    return warnings
