"""The photos of a scene as the panel lists them, and which one is looked at: that of the scene's active camera."""

import bpy

from dr_backend.language import told

from .exchange.photos import background_images, photo_block, photo_size

_DEPTHS_WITH_ALPHA = (32, 64, 128)  # bits per pixel


def has_photo(obj: bpy.types.Object) -> bool:
    """Whether the object is a camera with a visible background image."""
    return obj.type == "CAMERA" and bool(background_images(obj))


def active_camera(context: bpy.types.Context) -> bpy.types.Object | None:
    """The camera that Match Photo and Add Mask mean: the active object if it is one, else the scene's camera."""
    active = context.active_object
    return active if active is not None and active.type == "CAMERA" else context.scene.camera


def photo_index(scene: bpy.types.Scene) -> int:
    """Place of the scene's active camera among ``scene.objects``; -1 without one."""
    return scene.objects.find(scene.camera.name) if scene.camera is not None else -1


def show_photo(scene: bpy.types.Scene, index: int) -> None:
    """Makes the camera at that place the active one, selects it among the cameras, and looks through it.

    The render size takes the photo's shape, for the camera view draws every photo in the render's frame. Other selections stay.
    """
    if not 0 <= index < len(scene.objects) or scene.objects[index].type != "CAMERA":
        return
    camera = scene.objects[index]
    scene.camera = camera
    take_photo_shape(scene, camera)
    layer = bpy.context.view_layer
    for obj in layer.objects:
        if obj.type == "CAMERA":
            obj.select_set(obj == camera, view_layer=layer)
    if camera.name in layer.objects:
        layer.objects.active = camera
    screen = bpy.context.screen
    for area in screen.areas if screen is not None else ():
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


def mask_state(camera: bpy.types.Object) -> str:
    """Where the photo's mask comes from: Mask, Alpha or No Mask. Loads no file, for the panel asks again and again."""
    backgrounds = background_images(camera)
    if len(backgrounds) > 1:
        return told("Mask")
    image = photo_block(camera)
    if not isinstance(image, bpy.types.Image) or image.alpha_mode == "NONE":
        return told("No Mask")
    if image.has_data:
        return told("Alpha") if image.depth in _DEPTHS_WITH_ALPHA else told("No Mask")
    return told("No Mask") if image.filepath.lower().endswith((".jpg", ".jpeg")) else told("Not Loaded")


def take_photo_shape(scene: bpy.types.Scene, camera: bpy.types.Object) -> None:
    """Sets the render size to that of the camera's photo, unless it has its shape already, or the photo is framed by Fit or Crop."""
    size = photo_size(camera)
    if size is None or background_images(camera)[0].frame_method != "STRETCH":
        return
    width, height = size
    render = scene.render
    if abs(width * render.resolution_y / (height * render.resolution_x) - 1) > 1e-3:
        render.resolution_x, render.resolution_y = width, height
