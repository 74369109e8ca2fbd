"""Runs inside Blender, where the built extension is installed: what a German sees of it.

``blender -b --python speak_german.py -- FILE`` writes FILE, JSON; the checks are made outside, by run.py.
"""

import importlib
import json
import sys
from pathlib import Path

import addon_utils
import bpy

NAME = "bl_ext.user_default.fit_to_photo"


def seen() -> dict[str, str]:
    """Texts of every kind, as Blender shows them now."""
    texts = bpy.app.translations
    button = bpy.ops.fit_to_photo.add_photos.get_rna_type()
    quality = bpy.types.Scene.bl_rna.properties["fit_to_photo"].fixed_type.properties["quality"]
    try:
        bpy.ops.fit_to_photo.look_through(camera="Vorn")
        report = ""
    except RuntimeError as error:
        report = str(error).strip().partition(": ")[2]
    return {
        "button": texts.pgettext_iface(button.name, button.translation_context),
        "description": texts.pgettext_tip(button.description),
        "choice": texts.pgettext_iface(quality.enum_items["draft"].name, quality.translation_context),
        "panel": texts.pgettext_iface(bpy.types.FITTOPHOTO_PT_result.bl_label),
        "report": report,
    }


def main(file: Path) -> None:
    """Asks in German, in English, and for what is left when the add-on is gone."""
    view = bpy.context.preferences.view
    view.language = "de_DE"
    found: dict[str, object] = {"german": seen(), "po": str(importlib.import_module(f"{NAME}.languages").po_file())}
    view.language = "en_US"
    found["english"] = seen()
    view.language = "de_DE"
    addon_utils.disable(NAME)
    found["gone"] = bpy.app.translations.pgettext_iface("Add Photos", "Operator")
    file.write_text(json.dumps(found), "utf-8")


main(Path(sys.argv[sys.argv.index("--") + 1]))
