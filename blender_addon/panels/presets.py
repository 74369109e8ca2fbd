"""The menu of presets."""

import bpy

from dr_backend.language import told

from ..operators.presets import BUILT_IN, MENU, SUBDIR


class FITTOPHOTO_MT_presets(bpy.types.Menu):
    """Presets that come with the add-on, then the user's own."""

    bl_idname = MENU
    bl_label = "Presets"
    preset_subdir = SUBDIR
    preset_operator = "script.execute_preset"

    def draw(self, context: bpy.types.Context) -> None:
        """Draws both kinds."""
        for label in BUILT_IN:
            self.layout.operator("fit_to_photo.use_preset", text=told(label)).name = label
        if bpy.utils.preset_paths(SUBDIR):  # without any, Blender would complain
            self.layout.separator()
            self.draw_preset(context)


def draw_presets(layout: bpy.types.UILayout) -> None:
    """Draws the menu and the buttons that save and remove a preset."""
    row = layout.row(align=True)
    row.menu(MENU, text=FITTOPHOTO_MT_presets.bl_label)
    row.operator("fit_to_photo.add_preset", text="", icon="ADD")
    row.operator("fit_to_photo.add_preset", text="", icon="REMOVE").remove_active = True
