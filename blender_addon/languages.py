"""The languages that the add-on speaks: one file of ``translations/`` each, named as Blender names the language (de.po, pt_BR.po)."""

from pathlib import Path
from typing import Any

import bpy

from dr_backend.language import load_po, speak

FOLDER = Path(__file__).parent / "translations"


def po_file() -> Path | None:
    """The file with the language of Blender's interface; None for English and for languages that nobody wrote yet."""
    language, _country, _variant, *mixed = bpy.app.translations.locale_explode(bpy.app.translations.locale)
    names = (bpy.app.translations.locale, *mixed, language)
    return next((path for name in names if name and (path := FOLDER / f"{name}.po").is_file()), None)


def register() -> None:
    """Gives Blender the translations of labels and descriptions; sentences are looked up there from now on."""
    texts: dict[str, Any] = {path.stem: load_po(path) for path in sorted(FOLDER.glob("*.po"))}
    bpy.app.translations.register(str(__package__), texts)
    speak(bpy.app.translations.pgettext_rpt)  # our threads ask it, too: it reads a table and nothing else


def unregister() -> None:
    """Takes them back."""
    speak()
    bpy.app.translations.unregister(str(__package__))
