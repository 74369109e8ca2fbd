"""The button that opens a page of the help."""

import webbrowser

import bpy

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
            self.report({"ERROR"}, f"The help page {path} is missing: install the add-on again")
            return {"CANCELLED"}
        if not webbrowser.open(path.as_uri()):
            self.report({"ERROR"}, f"No web browser was found: open {path} by hand")
            return {"CANCELLED"}
        return {"FINISHED"}
