"""Finding, checking and making the backend's Python."""

import subprocess
import sys
import time
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


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_placeholders_on_the_path_are_passed_over(tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    shims.mkdir()
    for major, minor in environment.VERSIONS:
        (shims / f"python{major}.{minor}").write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
        (shims / f"python{major}.{minor}").chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    with pytest.raises(environment.BackendProblem, match="No Python 3.10, 3.11, 3.12, 3.13 was found"):
        environment.find_system_python()
    (shims / "python3").symlink_to(sys.executable)
    assert environment.find_system_python()


def _run(setup) -> list[str]:
    setup.start()
    lines = []
    end = time.monotonic() + 120
    while not setup.finished and time.monotonic() < end:
        lines += setup.poll()
        time.sleep(0.05)
    return lines


def test_setup_makes_an_environment_of_its_own(tmp_path):
    """Everything but the download: pip is told to install nothing but itself, which is there."""
    setup = environment.Setup(tmp_path / "new folder", environment.find_system_python(), ("pip",))
    lines = _run(setup)
    assert not setup.error
    assert lines[-1] == "The backend is ready"
    assert environment.find_backend("", tmp_path / "new folder").startswith(str(tmp_path))


def test_setup_that_fails_says_why(tmp_path):
    setup = environment.Setup(tmp_path, str(tmp_path / "nobody"))
    _run(setup)
    assert "cannot be started" in setup.error
    setup = environment.Setup(tmp_path, sys.executable, (f"{tmp_path}/no-such-folder",))
    _run(setup)
    assert "Downloading and installing did not succeed" in setup.error
    assert "no-such-folder" in setup.error
