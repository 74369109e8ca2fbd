"""What is redrawn when something of ours changed."""

import bpy


def redraw_sidebars() -> None:
    """Redraws the 3D views' sidebars only: whole windows take a tenth of a second each."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
