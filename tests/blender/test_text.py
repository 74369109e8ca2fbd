"""What the user reads: labels in Title Case, descriptions as Blender writes them, every operator found by F3, all of it translated."""

import ast
import re
import string
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
import build_texts  # noqa: E402
from blender_addon import operators, panels  # noqa: E402
from blender_addon.exchange.problems import SceneProblem  # noqa: E402
from blender_addon.panels import menu  # noqa: E402
from blender_addon.progress import Progress, duration  # noqa: E402
from blender_addon.selection import Wanted, select  # noqa: E402
from dr_backend.language import DEFAULT_CONTEXT, load_po, speak, speak_as  # noqa: E402

ROOT = build_texts.ROOT
FILES = [path for package in ("blender_addon", "dr_backend") for path in sorted((ROOT / package).rglob("*.py"))]
GERMAN = build_texts.FOLDER / "de.po"
LANGUAGES = sorted(build_texts.FOLDER.glob("*.po"))
# Calls whose arguments a user reads, and the first of those.
SAID = {"report": 1, "poll_message_set": 0, "status_text_set": 0, "wrapped": 1, "JobError": 1}
SAID |= dict.fromkeys(("CannotStart", "BackendProblem", "SceneProblem"), 0)
SMALL = {"a", "and", "as", "by", "for", "from", "in", "into", "of", "on", "or", "the", "to", "with"}
UNITS = {"mm", "px"}


@pytest.fixture(scope="module", autouse=True)
def registered():
    blender_addon.register()
    yield
    blender_addon.unregister()  # bpy hangs at exit with classes still registered


def is_title_case(label: str) -> bool:
    words = re.findall(r"[^\W\d_][\w'’]*", label)
    return all(w[0].isupper() or (i and w in SMALL) or w in UNITS for i, w in enumerate(words)) and not label.endswith((".", "…", " "))


def texts():
    """Labels and descriptions, each with the place it is from."""
    for cls in blender_addon.CLASSES:
        if label := getattr(cls, "bl_label", ""):
            yield cls.__name__, label, getattr(cls, "bl_description", None)
        for prop in build_texts.own_properties(cls):
            yield f"{cls.__name__}.{prop.identifier}", prop.name, prop.description
            for item in getattr(prop, "enum_items", ()):
                yield f"{cls.__name__}.{prop.identifier}.{item.identifier}", item.name, None


def test_labels_are_title_case():
    labels = [(place, label) for place, label, _ in texts()]
    assert len(labels) > 80
    assert not [(place, label) for place, label in labels if not is_title_case(label)]


@pytest.mark.parametrize("label", ["fit to photo", "Fit To photo", "Add photos", "Keep Fit.", "Pause or continue"])
def test_what_is_not_title_case(label):
    assert not is_title_case(label)


def test_descriptions_are_as_blender_writes_them():
    described = [(place, text) for place, _, text in texts() if text is not None]
    assert len(described) > 40
    wrong = [(place, text) for place, text in described if not text or not text[0].isupper() or text.endswith(".") or len(text) > 160]
    assert not wrong


def test_every_operator_is_in_the_menu_that_f3_searches():
    listed = [operator for group in menu.MENU for operator, _ in group]
    public = {cls.bl_idname for cls in operators.CLASSES if "INTERNAL" not in getattr(cls, "bl_options", ())}
    assert sorted(listed) == sorted(public)
    assert menu._draw_entry in bpy.types.VIEW3D_MT_view._dyn_ui_initialize()
    for operator, choice in (entry for group in menu.MENU for entry in group):
        rna = getattr(bpy.ops.fit_to_photo, operator.partition(".")[2]).get_rna_type()
        assert not choice or rna.properties[choice].type == "ENUM"


def test_the_menu_goes_with_the_addon():
    blender_addon.unregister()
    try:
        assert menu._draw_entry not in bpy.types.VIEW3D_MT_view._dyn_ui_initialize()
    finally:
        blender_addon.register()


def spoken(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that a user will read."""
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    positional = call.args[SAID[name] :] if name in SAID else []
    return [*positional, *(keyword.value for keyword in call.keywords if keyword.arg == "text")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_said_untold(path):
    """A sentence that is put together with values, or that Blender does not show by itself, is translated only by ``told``."""
    for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
        for argument in spoken(call):
            assert not isinstance(argument, (ast.JoinedStr, ast.BinOp)), f"{path.name}:{argument.lineno} puts a text together"
            plain = isinstance(argument, ast.Constant) and isinstance(argument.value, str) and " " in argument.value
            told_by_blender = any(argument is keyword.value for keyword in call.keywords)
            assert not plain or told_by_blender or call.func.id == "SceneProblem", f"{path.name}:{argument.lineno} says a text untold"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_text_with_values_stands_in_its_call(path):
    """For there ``dev.py texts`` finds it."""
    for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", "") in build_texts.TELLERS and any(keyword.arg for keyword in call.keywords):
            assert list(build_texts.constants(call.args[0])), f"{path.name}:{call.lineno} tells a text that stands elsewhere"


@pytest.mark.parametrize("text", ["report({'INFO'}, 'All is well')", "CannotStart(f'No {name}')", "layout.label(text='a ' + name)"])
def test_what_would_be_untold(text, tmp_path):
    path = ROOT / "untold.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_: text)
        with pytest.raises(AssertionError):
            test_nothing_is_said_untold(path)


@pytest.mark.parametrize("path", [build_texts.LIST, *LANGUAGES], ids=lambda path: path.name)
def test_lists_of_texts_are_up_to_date(path):
    texts = build_texts.catalogue()
    assert len(texts) > 500
    assert path.read_text("utf-8") == build_texts.updated(path, texts), "run: python3.11 dev.py texts"


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_translations_keep_their_placeholders(path):
    found = load_po(path)
    assert any(placeholders(text) for _, text in found)
    assert not [(text, german) for (_, text), german in found.items() if placeholders(text) != placeholders(german)]


def test_german_is_complete():
    missing = sorted(text for _, text in build_texts.catalogue().keys() - load_po(GERMAN).keys())
    assert not missing, f"run python3.11 dev.py texts, and translate in {GERMAN.name}: {missing}"


def test_german_descriptions_are_as_blender_writes_them():
    german = load_po(GERMAN)
    described = [german[DEFAULT_CONTEXT, text] for _, _, text in texts() if text]
    assert not [text for text in described if text.endswith(".") or len(text) > 170]


@pytest.fixture
def speaking_german():
    speak_as(GERMAN)
    yield
    speak(bpy.app.translations.pgettext_rpt)


@pytest.mark.usefixtures("speaking_german")
def test_a_german_hears_german():
    scene = bpy.data.scenes.new("Leer")
    assert select(scene, scene.view_layers[0]).problem == "Es gibt keine Masche zum Anpassen: eine hinzufügen oder einblenden"
    wanted = Wanted(cameras=("Vorn",))
    assert select(scene, scene.view_layers[0], wanted).problem == "Die Szene 'Leer' hat nichts namens 'Vorn' (Kamera)"
    bpy.data.scenes.remove(scene)
    with pytest.raises(RuntimeError, match="Die Szene hat keine Kamera 'Vorn': Sie wurde seit der Anpassung umbenannt oder gelöscht"):
        bpy.ops.fit_to_photo.look_through(camera="Vorn")
    assert str(SceneProblem("'{name}' has no faces: choose a mesh with faces, or fill it", name="Kugel")).startswith(
        "'Kugel' hat keine Flächen"
    )
    progress = Progress()
    progress.hear("stage", {"name": "Rough Outline", "index": 0, "count": 4, "renderer": "native", "device": "cpu", "why": ""})
    assert progress.line() == "Grobe Umrandung (1 von 4)"
    assert duration(3700) == "1 h 1 min"


def test_every_panel_is_in_the_tab():
    shown = [cls for cls in panels.CLASSES if issubclass(cls, bpy.types.Panel)]
    assert {(cls.bl_space_type, cls.bl_region_type, cls.bl_category) for cls in shown} == {("VIEW_3D", "UI", "Fit to Photo")}
