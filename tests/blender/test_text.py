"""What the user reads: labels in Title Case, descriptions as Blender writes them, every operator found by F3, all open to translation."""

import ast
import re
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
from blender_addon import operators, panels  # noqa: E402
from blender_addon.panels import menu  # noqa: E402
from dr_backend.language import told  # noqa: E402

ADDON = Path(blender_addon.__file__).parent
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


def structures():
    """Every class of ours that is drawn or called, with the properties that we gave it."""
    for cls in blender_addon.CLASSES:
        rna = cls.bl_rna
        if issubclass(cls, bpy.types.Operator):
            rna = getattr(bpy.ops.fit_to_photo, cls.bl_idname.partition(".")[2]).get_rna_type()
        yield cls, [p for p in rna.properties if p.identifier in annotations(cls) and not p.is_hidden]


def annotations(cls) -> set[str]:
    return {name for base in cls.__mro__ if base.__module__.startswith("blender_addon") for name in getattr(base, "__annotations__", {})}


def texts():
    """Labels and descriptions, each with the place it is from."""
    for cls, properties in structures():
        if label := getattr(cls, "bl_label", ""):
            yield cls.__name__, label, getattr(cls, "bl_description", None)
        for prop in properties:
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


@pytest.mark.parametrize("path", sorted((ADDON / "panels").glob("*.py")), ids=lambda path: path.stem)
def test_panels_draw_texts_that_can_be_translated(path):
    """A text put together with values cannot be looked up: it goes through ``told``, values apart."""
    tree = ast.parse(path.read_text("utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for keyword in call.keywords:
            if keyword.arg == "text" and isinstance(keyword.value, ast.BinOp):
                pytest.fail(f"{path.name}:{call.lineno} adds texts")


def test_told_puts_values_into_the_translated_text():
    assert told("Step {step} of {steps}", step=3, steps=9) == "Step 3 of 9"


def test_every_panel_is_in_the_tab():
    shown = [cls for cls in panels.CLASSES if issubclass(cls, bpy.types.Panel)]
    assert {(cls.bl_space_type, cls.bl_region_type, cls.bl_category) for cls in shown} == {("VIEW_3D", "UI", "Fit to Photo")}
