"""Fit to Photo: meshes and textures of the scene, fitted to the photos behind its cameras by a backend in a process of its own."""

import sys

import bpy

from . import command, handlers, languages, loss_plot, manual, operators, overlay, panels, preferences, properties, session, thumbnails

CLASSES = (
    properties.FITTOPHOTO_PG_scene,
    properties.FITTOPHOTO_PG_object,
    properties.FITTOPHOTO_PG_window,
    preferences.FITTOPHOTO_AP_preferences,
    *operators.CLASSES,
    *panels.CLASSES,
)


def register() -> None:
    """Adds the add-on to Blender."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.fit_to_photo = bpy.props.PointerProperty(type=properties.FITTOPHOTO_PG_scene)
    bpy.types.Object.fit_to_photo = bpy.props.PointerProperty(type=properties.FITTOPHOTO_PG_object)
    bpy.types.WindowManager.fit_to_photo = bpy.props.PointerProperty(type=properties.FITTOPHOTO_PG_window)
    languages.register()
    command.register()
    overlay.register()
    handlers.register()
    manual.register()
    panels.menu.register()


def unregister() -> None:
    """Ends what is running and takes the add-on out of Blender."""
    session.stop()
    operators.setup.stop_setup()
    panels.menu.unregister()
    manual.unregister()
    handlers.unregister()
    overlay.unregister()
    loss_plot.unregister()
    thumbnails.forget_all()
    command.unregister()
    languages.unregister()
    del bpy.types.WindowManager.fit_to_photo
    del bpy.types.Object.fit_to_photo
    del bpy.types.Scene.fit_to_photo
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
    if __package__.startswith("bl_ext."):  # an update brings another dr_backend, and Blender forgets only the add-on's own modules
        for name in [name for name in sys.modules if name.partition(".")[0] == "dr_backend"]:
            del sys.modules[name]
