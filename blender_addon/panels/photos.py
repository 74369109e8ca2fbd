"""The lists of what takes part: meshes, photos, lights."""

import bpy

from ..selection import Selection


def draw_objects(layout: bpy.types.UILayout, scene: bpy.types.Scene, chosen: Selection) -> None:
    """Draws which meshes, photos and lights a fit would use, and which cameras it leaves out."""
    box = layout.box().column(align=True)
    for name in chosen.meshes:
        box.label(text=name, icon="MESH_DATA")
    for camera in chosen.objects(scene, chosen.cameras):
        row = box.row()
        row.label(text=camera.name, icon="CHECKMARK")
        row.prop(camera.fit_to_photo, "held_out")
    for name in chosen.without_photo:
        box.label(text=f"{name}: no photo, left out", icon="ERROR")
    for name in chosen.lights:
        box.label(text=name, icon="LIGHT")
    if not chosen.lights:
        box.label(text="No light selected:", icon="LIGHT")
        box.label(text="light stays in the texture", icon="BLANK1")
