"""The command line in a real bpy, with a fake worker in a real process."""

import json
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import command  # noqa: E402
from tests.blender.operators.conftest import heights, lifted  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")


def test_the_command_saves_a_fitted_scene(tmp_path, capsys):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "in.blend"))
    output, numbers = tmp_path / "deep" / "out.blend", tmp_path / "report.json"
    assert command.run(["--output", str(output), "--report", str(numbers), "--no-texture", "--quality", "draft", "--cameras", "Front"]) == 0
    said = capsys.readouterr().out
    assert "step 5 of 5" in said
    assert said.splitlines()[-1] == f"Fit to Photo: saved as {output}"
    assert json.loads(numbers.read_text())["status"] == "done"
    bpy.ops.wm.open_mainfile(filepath=str(output))
    assert lifted()
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert np.allclose(np.sort(heights()), [-1] * 4 + [1] * 4)


def test_the_command_saves_beside_the_scene(tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "in.blend"))
    untouched = (tmp_path / "in.blend").read_bytes()
    assert command.run([]) == 0
    assert (tmp_path / "in_fitted.blend").exists()
    assert (tmp_path / "in.blend").read_bytes() == untouched


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Exit code"),
        (["--quality", "best"], 2, "invalid choice"),
        (["--nonsense"], 2, "unrecognized"),
        ([], 1, "never saved"),
        (["--output", "x.blend", "--cameras", "Nobody"], 1, "no camera named 'Nobody'"),
        (["--output", "x.blend", "--stiffness", "0"], 1, "Stiffness must lie"),
        (["--output", "x.blend", "--python", "/nowhere/python"], 1, "cannot be started"),
    ],
)
def test_wrong_commands(arguments, code, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.run(arguments) == code
    said = capsys.readouterr()
    assert words in said.out + said.err
    assert not list(tmp_path.glob("*.blend"))


def test_a_failed_command_says_so_in_its_exit_code_and_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAKE_WORKER", "refuse")
    assert command.run(["--output", str(tmp_path / "x.blend"), "--report", str(tmp_path / "r.json")]) == 1
    assert not (tmp_path / "x.blend").exists()
    assert json.loads((tmp_path / "r.json").read_text())["status"] == "failed"
    assert capsys.readouterr().out.splitlines()[-1] == "Fit to Photo: nothing was saved"


def test_the_command_draws_a_sheet(tmp_path):
    sheet = tmp_path / "sheet.png"
    arguments = ["--output", str(tmp_path / "x.blend"), "--sheet", str(sheet), "--render-report", "--cameras", "Front", "--lights", "Lamp"]
    assert command.run(arguments) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
