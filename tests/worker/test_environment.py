"""Finding, checking and making the backend's Python."""

import subprocess
import sys
from pathlib import Path

import pytest
from addon_files import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv(environment.VARIABLE, raising=False)


def _make_interpreter(folder: Path) -> Path:
    path = environment.interpreter(environment.backend_folder(folder))
    path.parent.mkdir(parents=True)
    path.write_text("")
    (environment.backend_folder(folder) / environment.RECORD).write_text(environment.record_text())
    return path


def test_the_preference_comes_first(tmp_path, monkeypatch):
    own = _make_interpreter(tmp_path)
    other = tmp_path / "other"
    other.write_text("")
    monkeypatch.setenv(environment.VARIABLE, str(other))
    assert environment.find_backend(sys.executable, tmp_path) == sys.executable
    assert environment.find_backend("", tmp_path) == str(other)
    monkeypatch.delenv(environment.VARIABLE)
    assert environment.find_backend("", tmp_path) == str(own)


def test_a_wrong_preference_is_not_passed_over(tmp_path):
    _make_interpreter(tmp_path)
    with pytest.raises(environment.BackendProblem, match="preferences names .*nobody, which does not exist"):
        environment.find_backend(str(tmp_path / "nobody"), tmp_path)


def test_without_a_backend_it_says_what_to_do(tmp_path):
    with pytest.raises(environment.BackendProblem, match="press Set Up Backend"):
        environment.find_backend("", tmp_path)


def test_a_backend_of_another_version_is_set_up_again(tmp_path, monkeypatch):
    _make_interpreter(tmp_path)
    monkeypatch.setitem(environment.NEEDED, "tea", "tea>=2")
    with pytest.raises(environment.BackendProblem, match="another version of this add-on: press Set Up Backend"):
        environment.find_backend("", tmp_path)


def test_pips_bpy_may_lend_its_python(tmp_path):
    assert environment.find_backend("", tmp_path, sys.executable) == sys.executable
    with pytest.raises(environment.BackendProblem):
        environment.find_backend("", tmp_path, str(tmp_path / "nobody"))


def test_this_python_is_ready():
    check = environment.check_backend(sys.executable)
    assert check.ready, check.sentences()
    named = {part.name: part for part in check.parts}
    assert named["torch"].sentence.startswith("torch 2.")
    assert not named["torch"].command
    assert "GiB of memory free" in named["Memory"].sentence
    assert named["Renderer reference"].ok
    assert {part.mark for part in check.parts if part.name != "GPU"} <= {"✓", "–"}
    assert "graphics card" in named["GPU"].sentence or named["GPU"].ok


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_the_card_is_asked_for_its_name_and_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.find_graphics_card() is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA RTX A2000, 12GB, 535.183.01'\n")
    tool.chmod(0o755)
    assert environment.find_graphics_card() == environment.GraphicsCard("NVIDIA RTX A2000, 12GB", 535)
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert environment.find_graphics_card() is None


def test_a_missing_part_comes_with_its_command(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    python = environment.interpreter(tmp_path / "empty")
    check = environment.check_backend(str(python))
    assert not check.ready
    named = {part.name: part for part in check.parts}
    assert named["Python"].ok
    assert named["torch"].command == f'"{python}" -m pip install "torch>=2.6"'
    assert "No module named 'torch'" in named["torch"].sentence
    assert not named["pytorch3d"].needed


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
@pytest.mark.parametrize("script", ["#!/bin/sh\necho hello\n", "not a program"])
def test_something_else_than_python(tmp_path, script):
    path = tmp_path / "python"
    path.write_text(script)
    path.chmod(0o755)
    check = environment.check_backend(str(path))
    assert not check.ready
    assert str(path) in check.sentences()[0]


def test_requirements_are_those_of_the_package():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(environment.NEEDED.values()) == set(project["dependencies"])
    assert set(environment.OPTIONAL["pytorch3d"]) == set(project["optional-dependencies"]["pytorch3d"])
