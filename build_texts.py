"""Makes ``blender_addon/translations/fit_to_photo.pot``, the list of every text that a user reads, and brings the languages up to date.

A language is a ``.po`` file beside the list. New texts are added to it, empty; texts that are gone leave it; what is translated stays.
Labels and descriptions are asked of Blender, which has them registered; sentences are read in the code, where they stand in ``told``,
``phrase`` or ``SceneProblem``, or as the text of a button or label. ``python3.11 dev.py texts`` runs it with what it needs.
"""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bpy

import blender_addon
from blender_addon.languages import FOLDER
from dr_backend.language import DEFAULT_CONTEXT, load_po

ROOT = Path(__file__).resolve().parent
LIST = FOLDER / "fit_to_photo.pot"
TELLERS = ("told", "phrase", "SceneProblem")
OPERATOR_CONTEXT = "Operator"  # Blender keeps the names of buttons apart from other texts: "Copy" is a verb there
_BUTTONS = ("operator", "operator_menu_enum")
_HEADER = """\
msgid ""
msgstr ""
"Project-Id-Version: Fit to Photo\\n"
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""

Key = tuple[str, str]  # context and English text


def rna_of(cls: type) -> Any:
    """What Blender knows of a registered class."""
    if not issubclass(cls, bpy.types.Operator):
        return cls.bl_rna  # type: ignore[attr-defined]
    ops: Any = bpy.ops
    return getattr(ops.fit_to_photo, cls.bl_idname.partition(".")[2]).get_rna_type()


def own_properties(cls: type) -> list[Any]:
    """The properties that the class, or ours among its bases, gives the user."""
    ours = {name for base in cls.__mro__ if base.__module__.startswith("blender_addon") for name in getattr(base, "__annotations__", {})}
    return [prop for prop in rna_of(cls).properties if prop.identifier in ours and not prop.is_hidden]


def label_texts() -> Iterator[tuple[Key, str]]:
    """Labels and descriptions of the registered add-on, each with its place."""
    for cls in blender_addon.CLASSES:
        context = getattr(cls, "bl_translation_context", OPERATOR_CONTEXT if issubclass(cls, bpy.types.Operator) else DEFAULT_CONTEXT)
        yield (context, getattr(cls, "bl_label", "")), cls.__name__
        yield (DEFAULT_CONTEXT, getattr(cls, "bl_description", "")), cls.__name__
        for prop in own_properties(cls):
            for described in (prop, *getattr(prop, "enum_items", ())):
                yield (DEFAULT_CONTEXT, described.name), f"{cls.__name__}.{prop.identifier}"
                yield (DEFAULT_CONTEXT, described.description), f"{cls.__name__}.{prop.identifier}"


def constants(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def texts_of(tree: ast.AST) -> Iterator[Key]:
    """The sentences, and the texts of buttons and labels, in a file's source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id in TELLERS and call.args:
            yield from ((DEFAULT_CONTEXT, text) for text in constants(call.args[0]))
        elif isinstance(call.func, ast.Attribute):
            context = OPERATOR_CONTEXT if call.func.attr in _BUTTONS else DEFAULT_CONTEXT
            for keyword in call.keywords:
                if keyword.arg in ("text", "placeholder"):
                    yield from ((context, text) for text in constants(keyword.value))


def code_texts() -> Iterator[tuple[Key, str]]:
    """Those of all files, each with the file's path."""
    for package in ("blender_addon", "dr_backend"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for key in texts_of(ast.parse(path.read_text("utf-8"))):
                yield key, path.relative_to(ROOT).as_posix()


def catalogue() -> dict[Key, list[str]]:
    """Every text and the places where it is used; the add-on has to be registered."""
    found: dict[Key, list[str]] = {}
    for key, place in (*label_texts(), *code_texts()):
        if key[1] and place not in (places := found.setdefault(key, [])):
            places.append(place)
    return found


def to_po(texts: Mapping[Key, list[str]], header: str, translations: Mapping[Key, str]) -> str:
    """The contents of a ``.po`` file; without translations it is the list of what to translate."""
    entries = [header]
    for (context, text), places in texts.items():
        lines = [f"#: {' '.join(places)}"]
        if context != DEFAULT_CONTEXT:
            lines.append(f"msgctxt {_quoted(context)}")
        lines += [f"msgid {_quoted(text)}", f"msgstr {_quoted(translations.get((context, text), ''))}"]
        entries.append("\n".join(lines) + "\n")
    return "\n".join(entries)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def updated(path: Path, texts: Mapping[Key, list[str]]) -> str:
    """What should stand in this file: the list, or a language with the translations that it has."""
    if path.suffix == ".pot":
        return to_po(texts, _HEADER.format(language=""), {})
    before = path.read_text("utf-8")
    header = before.partition("\n\n")[0] + "\n" if before.strip() else _HEADER.format(language=path.stem)
    return to_po(texts, header, load_po(path))


def main() -> None:
    """Writes the list and all languages, and says what is left to translate."""
    blender_addon.register()
    try:
        texts = catalogue()
    finally:
        blender_addon.unregister()
    for path in (LIST, *sorted(FOLDER.glob("*.po"))):
        path.write_text(updated(path, texts), "utf-8")
        missing = f", {len(texts.keys() - load_po(path).keys())} to be translated" if path != LIST else ""
        print(f"{path.relative_to(ROOT)}: {len(texts)} texts{missing}")


if __name__ == "__main__":
    main()
