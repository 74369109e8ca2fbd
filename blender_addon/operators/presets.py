"""Presets of what is fitted and how: three to begin with, and the user's own, kept by Blender's preset system."""

from dataclasses import fields

import bpy
from bl_operators.presets import AddPresetBase

from dr_backend.job import FitSettings
from dr_backend.parameters import PARAMETERS

MENU = "FITTOPHOTO_MT_presets"
SUBDIR = "fit_to_photo"
BUILT_IN = {  # label: the parameters that are fitted
    "Geometry": ("geometry",),
    "Texture Only": ("texture",),
    "Geometry and Texture": ("geometry", "texture"),
}
_OF_THE_MACHINE = ("device", "seed")  # what another scene or machine would not want


class FITTOPHOTO_OT_use_preset(bpy.types.Operator):
    """Sets what is fitted."""

    bl_idname = "fit_to_photo.use_preset"
    bl_label = "Use Preset"
    bl_description = "Fit what this preset names, with everything else at its default"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.EnumProperty(
        name="Preset", description="One of the presets that come with the add-on", items=[(label, label, "") for label in BUILT_IN]
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Sets the switches, and the other settings of a preset to their defaults."""
        settings = context.scene.fit_to_photo
        for name in preset_settings():
            settings.property_unset(name)
        for parameter in PARAMETERS:
            setattr(settings, parameter.key, parameter.key in BUILT_IN[self.name])
        return {"FINISHED"}


def preset_settings() -> list[str]:
    """Names of the scene's settings that a preset holds."""
    known = bpy.types.Scene.bl_rna.properties["fit_to_photo"].fixed_type.properties.keys()
    wanted = [field.name for field in fields(FitSettings) if field.name not in _OF_THE_MACHINE]
    return [name for name in (*wanted, "render_report") if name in known]


class FITTOPHOTO_OT_add_preset(AddPresetBase, bpy.types.Operator):
    """Saves or removes a preset of the user's; the file is in Blender's own folder for presets."""

    bl_idname = "fit_to_photo.add_preset"
    bl_label = "Add Preset"
    bl_description = "Save what is fitted and how as a preset for every scene, or remove the preset of that name"
    bl_options = {"REGISTER"}  # Blender's own are hidden from its search

    preset_menu = MENU
    preset_subdir = SUBDIR

    @property
    def preset_values(self) -> list[str]:
        """What Blender writes into the preset's file; in full, for short names of presets are lost in Blender 4.3 with Python 3.13."""
        return [f"bpy.context.scene.fit_to_photo.{name}" for name in preset_settings()]
