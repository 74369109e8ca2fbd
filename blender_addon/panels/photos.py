"""The lists of what takes part: meshes, photos, lights."""

import bpy

from dr_backend.language import told

from ..exchange.photos import thumbnail
from ..photo_list import has_photo, mask_state
from ..selection import Selection
from ..thumbnails import icon_of
from .tab import Tab

_THUMBNAIL_SCALE = 6.0


class FITTOPHOTO_UL_photos(bpy.types.UIList):
    """The cameras with a photo, one a row."""

    bl_idname = "FITTOPHOTO_UL_photos"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: object,
        camera: bpy.types.Object,
        icon: int,
        active_data: object,
        active_property: str,
    ) -> None:
        """Draws include toggle, thumbnail, name, mask and hold-out toggle of one photo."""
        row = layout.row(align=True)
        row.prop(camera.fit_to_photo, "include", text="")
        parts = row.row(align=True)
        parts.active = camera.fit_to_photo.include
        image = thumbnail(camera)
        picture = icon_of(image) if image is not None else 0
        if picture:
            parts.label(text=camera.name, icon_value=picture, translate=False)
        else:
            parts.label(text=camera.name, icon="FILE_MOVIE" if image is None else "IMAGE_DATA", translate=False)
        state = parts.row()
        state.alignment = "RIGHT"
        state.label(text=mask_state(camera))
        icon_name = "HOLDOUT_ON" if camera.fit_to_photo.held_out else "HOLDOUT_OFF"
        parts.prop(camera.fit_to_photo, "held_out", text="", icon=icon_name, emboss=False)

    def filter_items(self, context: bpy.types.Context, data: object, property: str) -> tuple[list[int], list[int]]:
        """Shows cameras with a photo only, by name."""
        objects = getattr(data, property)
        names = bpy.types.UI_UL_list.filter_items_by_name(self.filter_name, self.bitflag_filter_item, objects, "name")
        shown = names or [self.bitflag_filter_item] * len(objects)
        flags = [flag if has_photo(obj) else 0 for flag, obj in zip(shown, objects, strict=True)]
        return flags, bpy.types.UI_UL_list.sort_items_by_name(objects, "name")


class FITTOPHOTO_PT_photos(Tab, bpy.types.Panel):
    """Which photos there are."""

    bl_idname = "FITTOPHOTO_PT_photos"
    bl_label = "Photos"
    help_page = "photos"

    def draw(self, context: bpy.types.Context) -> None:
        """Draws the list, the photo that is looked at, and the buttons that add photos."""
        layout, scene = self.layout, context.scene
        if any(has_photo(obj) for obj in scene.objects):
            layout.template_list(FITTOPHOTO_UL_photos.bl_idname, "", scene, "objects", scene.fit_to_photo, "photo_index", rows=3)
        image = thumbnail(scene.camera) if scene.camera is not None and has_photo(scene.camera) else None
        if image is not None and (picture := icon_of(image)):
            layout.template_icon(picture, scale=_THUMBNAIL_SCALE)
        layout.operator("fit_to_photo.add_photos", icon="ADD")
        layout.operator("fit_to_photo.import_cameras", icon="IMPORT")
        row = layout.row(align=True)
        row.operator("fit_to_photo.match_photo", icon="IMAGE_DATA")
        row.operator("fit_to_photo.add_mask", icon="MOD_MASK")
        layout.operator("fit_to_photo.place_mesh", icon="PIVOT_BOUNDBOX")


def draw_objects(layout: bpy.types.UILayout, scene: bpy.types.Scene, chosen: Selection) -> None:
    """Draws which meshes, photos and lights a fit would use, and which cameras it leaves out."""
    box = layout.box().column(align=True)
    for name in chosen.meshes:
        box.label(text=name, icon="MESH_DATA", translate=False)
    if chosen.cameras:
        count = len(chosen.cameras)
        held_out = sum(camera.fit_to_photo.held_out for camera in chosen.objects(scene, chosen.cameras))
        words = told(
            "{count} photos, {held_out} held out" if held_out else "{count} photos" if count > 1 else "1 photo",
            count=count,
            held_out=held_out,
        )
        box.label(text=words, icon="CAMERA_DATA")
    for name in chosen.without_photo:
        box.label(text=told("{name}: no photo, left out", name=name), icon="ERROR")
    for name in chosen.lights:
        box.label(text=name, icon="LIGHT", translate=False)
    if not chosen.lights:
        box.label(text="No light selected:", icon="LIGHT")
        box.label(text="light stays in the texture", icon="BLANK1")
