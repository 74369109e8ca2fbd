"""The button that opens a page of the help."""

import webbrowser

import bpy

from dr_backend.language import told

from .. import manual


class FITTOPHOTO_OT_open_help(bpy.types.Operator):
    """Shows a page in the web browser."""

    bl_idname = "fit_to_photo.open_help"
    bl_label = "Fit to Photo Help"
    bl_description = "Read in the web browser how this works. The pages came with the add-on: no network is needed"

    page: bpy.props.EnumProperty(name="Page", description="What to read about", items=manual.PAGES, options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Opens it."""
        path = manual.page_path(self.page)
        if not path.is_file():
            self.report({"ERROR"}, told("The help page {path} is missing: install the add-on again", path=path))
            return {"CANCELLED"}
        if not webbrowser.open(path.as_uri()):
            self.report({"ERROR"}, told("No web browser was found: open {path} by hand", path=path))
            return {"CANCELLED"}
        return {"FINISHED"}
