"""Sentences in other languages: what ``told`` does with them, and how ``.po`` files are read."""

import subprocess
import sys
from pathlib import Path

import pytest

from dr_backend.job import parse_event
from dr_backend.language import load_po, phrase, speak, speak_as, told

ROOT = Path(__file__).parents[2]
GERMAN = ROOT / "blender_addon" / "translations" / "de.po"
PO = r'''
# a translator's note
msgid ""
msgstr ""
"Language: de\n"

#: somewhere.py
msgid "Step {step} of {steps}"
msgstr "{steps} Schritte, dies ist Nummer {step}"

msgctxt "Operator"
msgid "Fit"
msgstr "Anpassen"

msgid "Fit"
msgstr "Anpassung"

msgid ""
"A \"long\" text "
"in two lines\n"
msgstr ""
"Ein „langer“ Text "
"in zwei Zeilen\n"

msgid "Nobody came to this yet"
msgstr ""

#~ msgid "Gone"
#~ msgstr "Weg"
'''


@pytest.fixture
def po(tmp_path):
    path = tmp_path / "de.po"
    path.write_text(PO, "utf-8")
    yield path
    speak()


def test_english_is_told_as_it_stands():
    assert told("Step {step} of {steps}", step=3, steps=9) == "Step 3 of 9"
    assert told("{loss:.4g}, {name!r}", loss=0.123456, name="a") == "0.1235, 'a'"


def test_a_name_in_braces_is_no_placeholder():
    assert told("{curly}") == "{curly}"
    assert told("Camera '{name}'", name="{curly}") == "Camera '{curly}'"


def test_another_language_may_order_the_values_as_it_likes(po):
    speak_as(po)
    assert told("Step {step} of {steps}", step=3, steps=9) == "9 Schritte, dies ist Nummer 3"
    assert told("Fit") == "Anpassung"
    assert told("Nobody came to this yet") == "Nobody came to this yet"
    assert phrase("Fit") == "Fit"
    speak()
    assert told("Fit") == "Fit"


def test_po_files_are_read(po):
    assert load_po(po) == {
        ("*", "Step {step} of {steps}"): "{steps} Schritte, dies ist Nummer {step}",
        ("Operator", "Fit"): "Anpassen",
        ("*", "Fit"): "Anpassung",
        ("*", 'A "long" text in two lines\n'): "Ein „langer“ Text in zwei Zeilen\n",
    }


def test_the_worker_speaks_the_language_of_a_file(tmp_path):
    command = [sys.executable, "-m", "dr_backend", "fit", str(tmp_path), "--language", str(GERMAN)]
    worker = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    failed = parse_event(worker.stdout.decode("utf-8").splitlines()[-1])
    assert failed.kind == "failed"
    assert failed.data["message"].startswith(f"{tmp_path / 'job.json'} lässt sich nicht lesen")
    assert failed.data["hint"] == "Erneut anpassen"
