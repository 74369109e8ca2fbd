"""What every panel needs: the place, and labels of several lines."""

import textwrap

import bpy

from ..properties import LABELS


class Tab:
    """Where all panels are, and the button in each header that opens the page about it."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Fit to Photo"
    help_page = "index"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """Draws the help button at the right end of the header."""
        self.layout.operator("fit_to_photo.open_help", text="", icon="HELP", emboss=False).page = self.help_page


def _line_length() -> int:
    """Characters that fit into one line of the panel being drawn."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    return max(20, int((region.width / scale - 85) / 6)) if region else 30


def labelled(name: str) -> str:
    """What a renderer or a device is called in the settings."""
    return bpy.app.translations.pgettext_iface(LABELS.get(name, name))


def wrapped(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """A told text in several lines: Blender's labels cut theirs off."""
    lines = textwrap.wrap(text, _line_length()) or [""]
    column = layout.column(align=True)
    column.label(text=lines[0], icon=icon, translate=False)
    for line in lines[1:]:
        column.label(text=line, icon="NONE" if icon == "NONE" else "BLANK1", translate=False)


def draw_help(layout: bpy.types.UILayout) -> None:
    """A button below an error: what to do about it."""
    layout.operator("fit_to_photo.open_help", text="Troubleshooting", icon="HELP").page = "troubleshooting"
