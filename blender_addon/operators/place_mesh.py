"""A start for the fit: the mesh is moved and scaled to where the photos show the object."""

import bpy
import numpy as np
from mathutils import Matrix

from dr_backend.language import told

from ..exchange.outlines import mask_box, placement
from ..exchange.photos import read_photo, read_photo_camera
from ..exchange.problems import SceneProblem, memory_problems
from ..selection import select


def _positions(obj: bpy.types.Object) -> np.ndarray:
    """Vertices (V, 3) in the world, before modifiers."""
    obj.update_from_editmode()
    positions = np.empty(len(obj.data.vertices) * 3, np.float32)
    obj.data.vertices.foreach_get("co", positions)
    matrix = np.array(obj.matrix_world, float)
    return positions.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


class FITTOPHOTO_OT_place_mesh(bpy.types.Operator):
    """Moves and scales the selected mesh."""

    bl_idname = "fit_to_photo.place_mesh"
    bl_label = "Place Mesh"
    bl_description = "Move and scale the mesh to where the masks show the object, so that a fit can start from there; it is not turned"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reads the masks and moves the mesh."""
        chosen = select(context.scene, context.view_layer)
        if chosen.problem:
            self.report({"ERROR"}, chosen.problem)
            return {"CANCELLED"}
        try:
            if len(chosen.meshes) > 1:
                raise SceneProblem("Several meshes are selected: select the one to place")
            self._place(context.scene, context.scene.objects[chosen.meshes[0]], chosen.objects(context.scene, chosen.cameras))
        except SceneProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}

    @memory_problems()
    def _place(self, scene: bpy.types.Scene, obj: bpy.types.Object, cameras: list[bpy.types.Object]) -> None:
        views = []
        for camera in cameras:
            mask = read_photo(camera)[0].mask
            if mask is not None:
                views.append((read_photo_camera(camera, scene), mask_box(mask)))
        if len(views) < 2:
            raise SceneProblem("Masks of two photos are needed to see where the object is: press Add Mask, or use photos with transparency")
        points = _positions(obj)
        if not len(points):
            raise SceneProblem("'{name}' has no vertices: choose another mesh", name=obj.name)
        middle, scale = placement(points, views)
        before = (points.min(0) + points.max(0)) / 2
        moved = Matrix.Translation(middle.tolist()) @ Matrix.Scale(scale, 4) @ Matrix.Translation((-before).tolist())
        obj.matrix_world = moved @ obj.matrix_world
        self.report({"INFO"}, told("'{name}' was placed by {count} masks", name=obj.name, count=len(views)))
