"""A mesh as it renders: modifiers, shape keys and drivers applied with their render settings, on a copy in a scene of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from dr_backend.language import told

_NAME = "Fit to Photo As Rendered"


def _use_render_settings(obj: bpy.types.Object) -> None:
    """Makes the viewport's evaluation, the only one that scripts can ask for, show what renders."""
    for modifier in obj.modifiers:
        modifier.show_viewport = modifier.show_render
        if modifier.type in ("SUBSURF", "MULTIRES"):
            modifier.levels = modifier.render_levels


@contextmanager
def as_rendered(obj: bpy.types.Object) -> Iterator[bpy.types.Mesh]:
    """The object's mesh after all that acts on it in a render, in object space; it is gone afterwards. The object stays as it is."""
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    source = bpy.context.scene
    scene = bpy.data.scenes.new(_NAME)
    copy = obj.copy()
    try:
        scene.frame_current = source.frame_current
        scene.render.use_simplify = source.render.use_simplify
        scene.render.simplify_subdivision = source.render.simplify_subdivision_render
        copy.hide_viewport = False
        _use_render_settings(copy)
        scene.collection.objects.link(copy)
        layer = scene.view_layers[0]
        layer.update()
        evaluated = copy.evaluated_get(layer.depsgraph)
        yield evaluated.to_mesh(preserve_all_data_layers=True, depsgraph=layer.depsgraph)
        evaluated.to_mesh_clear()
    finally:
        bpy.data.batch_remove((scene,))  # scenes.remove crashes Blender 4.3 where there is no window
        bpy.data.objects.remove(copy)


def instance_warnings(obj: bpy.types.Object) -> list[str]:
    """A warning where the object shows copies of something (particles, instances of Geometry Nodes), which its own mesh does not hold."""
    shown = bpy.context.evaluated_depsgraph_get().object_instances
    if not any(i.is_instance and i.parent is not None and i.parent.original == obj for i in shown):
        return []
    return [
        told(
            "'{name}' shows instances, which the fit does not see: use Realize Instances, or Object > Apply > Make Instances Real",
            name=obj.name,
        )
    ]
