"""What a user reads, in the user's language: every sentence goes through ``told``. Imports nothing of ours.

The code holds English, and English is told until ``speak`` brings another language: in Blender its own lookup, in the worker the file that
the add-on names. Translations are files that translators' programs write, ``.po``: see docs/translating.md.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

DEFAULT_CONTEXT = "*"  # Blender's name for what a .po file gives no msgctxt
_PO_LINE = re.compile(r'(?:(msgctxt|msgid|msgstr) +)?("(?:[^"\\]|\\.)*")$')


def _english(text: str) -> str:
    return text


_translate: Callable[[str], str] = _english


def told(text: str, /, **values: object) -> str:
    """A text in the user's language, then the values in it: ``told("Step {step} of {steps}", step=3, steps=9)``.

    ``dev.py texts`` finds what is to be translated by reading these calls: the text stands in the call itself, and holds all of the
    sentence, for other languages have other orders of words.
    """
    known = _translate(text)
    return known.format(**values) if values else known  # a name out of the file, told without values, may hold braces


def phrase(text: str) -> str:
    """The same text. It marks one that stands in a table, to be told when it is shown."""
    return text


def speak(translate: Callable[[str], str] = _english) -> None:
    """From now on ``told`` looks its texts up there; without an argument it tells them in English again."""
    global _translate
    _translate = translate


def speak_as(path: Path) -> None:
    """From now on ``told`` speaks the language of this ``.po`` file."""
    found = {text: translation for (context, text), translation in load_po(path).items() if context == DEFAULT_CONTEXT}
    speak(lambda text: found.get(text, text))


def load_po(path: Path) -> dict[tuple[str, str], str]:
    """The translations in a ``.po`` file by context and English text; those that are missing are left out."""
    found = {}
    for entry in re.split(r"\n\s*\n", Path(path).read_text("utf-8")):
        fields = {"msgctxt": "", "msgid": "", "msgstr": ""}
        field = ""
        for line in map(str.strip, entry.splitlines()):
            if match := _PO_LINE.match(line):
                field = match[1] or field
                fields[field] += json.loads(match[2])
        if fields["msgid"] and fields["msgstr"]:
            found[fields["msgctxt"] or DEFAULT_CONTEXT, fields["msgid"]] = fields["msgstr"]
    return found
