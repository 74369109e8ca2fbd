"""The menu View > Fit to Photo. Blender's search (F3) finds what is in a menu, and this one is there in every mode."""

import bpy

# Groups of operators; one that lets the user choose comes with the name of what is chosen.
MENU = (
    (("fit_to_photo.run", ""), ("fit_to_photo.pause", ""), ("fit_to_photo.cancel", "")),
    (("fit_to_photo.resume", ""), ("fit_to_photo.discard", "")),
    (
        ("fit_to_photo.add_photos", ""),
        ("fit_to_photo.import_cameras", ""),
        ("fit_to_photo.match_photo", ""),
        ("fit_to_photo.add_mask", ""),
        ("fit_to_photo.place_mesh", ""),
    ),
    (("fit_to_photo.render_view", ""), ("fit_to_photo.copy_report", "format")),
    (("fit_to_photo.keep", ""), ("fit_to_photo.revert", "")),
    (("fit_to_photo.use_preset", "name"), ("fit_to_photo.add_preset", "")),
    (("fit_to_photo.check_setup", ""), ("fit_to_photo.setup_backend", ""), ("fit_to_photo.cancel_setup", "")),
    (("fit_to_photo.open_help", "page"),),
)


class FITTOPHOTO_MT_view(bpy.types.Menu):
    """Everything that the tab's buttons do."""

    bl_idname = "FITTOPHOTO_MT_view"
    bl_label = "Fit to Photo"

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the groups."""
        for index, group in enumerate(MENU):
            if index:
                self.layout.separator()
            for operator, choice in group:
                if choice:
                    self.layout.operator_menu_enum(operator, choice)
                else:
                    self.layout.operator(operator)


def _draw_entry(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu(FITTOPHOTO_MT_view.bl_idname)


def register() -> None:
    """Adds it to the menu View of the 3D view."""
    bpy.types.VIEW3D_MT_view.append(_draw_entry)


def unregister() -> None:
    """Takes it away again."""
    bpy.types.VIEW3D_MT_view.remove(_draw_entry)
