"""Making the backend's own Python: the right build, progress, cancel, and what is left after a failure."""

import sys
import time

import pytest
from addon_files import environment, installation

NOTHING = installation.Build("For a test", "", (), 0)  # pip is told to install only itself, which is there


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_placeholders_on_the_path_are_passed_over(tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    shims.mkdir()
    for major, minor in environment.VERSIONS:
        (shims / f"python{major}.{minor}").write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
        (shims / f"python{major}.{minor}").chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    with pytest.raises(environment.BackendProblem, match="No Python 3.10, 3.11, 3.12, 3.13 with venv was found"):
        installation.find_system_python()
    (shims / "python3").symlink_to(sys.executable)
    assert installation.find_system_python()


def _run(setup) -> list[str]:
    setup.start()
    lines = []
    end = time.monotonic() + 120
    while not setup.finished and time.monotonic() < end:
        lines += setup.poll()
        time.sleep(0.05)
    return lines


def _setup(folder, torch=("pip",), build=NOTHING, python=None):
    return installation.Setup(folder, python or installation.find_system_python(), build, torch)


def test_setup_makes_an_environment_of_its_own(tmp_path):
    """Everything but the download."""
    folder = tmp_path / "new folder"
    setup = _setup(folder)
    lines = _run(setup)
    assert not setup.error
    assert setup.activity == "The backend is ready"
    assert "Installing the rest" in lines
    found = environment.find_backend("", folder)
    assert found.startswith(str(folder))
    assert environment.check_backend(found).parts[0].ok
    assert sorted(path.name for path in folder.iterdir()) == ["backend", "setup.log"]


def test_a_failure_says_why_and_leaves_the_backend_that_was_there(tmp_path):
    before = environment.interpreter(environment.backend_folder(tmp_path))
    before.parent.mkdir(parents=True)
    before.write_text("in use")
    setup = _setup(tmp_path, (f"{tmp_path}/no-such-folder",))
    _run(setup)
    assert "Installing torch did not succeed" in setup.error
    assert "no-such-folder" in setup.error
    assert "no-such-folder" in setup.log.read_text("utf-8")
    assert before.read_text() == "in use"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backend", "setup.log"]
    setup = _setup(tmp_path, python=str(tmp_path / "nobody"))
    _run(setup)
    assert "cannot be started" in setup.error


def test_a_variant_of_torch_that_cannot_be_had_is_replaced_by_pips(tmp_path):
    setup = _setup(tmp_path, build=installation.Build("For a test", "no-such-variant", (), 0))
    lines = _run(setup)
    assert not setup.error
    assert any("no-such-variant" in line for line in lines)
    assert setup.activity == "The backend is ready"


def test_where_only_pips_larger_torch_can_be_had_the_disk_is_asked_again(tmp_path):
    setup = _setup(tmp_path, build=installation.Build("For a test", "no-such-variant", (), 0, 10**9))
    lines = _run(setup)
    assert "make room first" in setup.error
    assert "Installing torch" not in lines
    assert [path.name for path in tmp_path.iterdir()] == ["setup.log"]


def test_a_network_that_lets_nobody_through_is_named(tmp_path, monkeypatch):
    """What pip says last is of something else: that it found no version."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(installation, "PIP", "pip>=999")
    setup = _setup(tmp_path)
    lines = _run(setup)
    assert setup.error.startswith("Renewing pip did not succeed: the package index cannot be reached. The whole log is"), lines


def test_setup_is_stopped_at_once(tmp_path):
    setup = _setup(tmp_path)
    setup.start()
    end = time.monotonic() + 60
    while not (tmp_path / "backend.new").exists() and time.monotonic() < end:
        time.sleep(0.01)
    setup.stop()
    asked = time.monotonic()
    _run_out(setup)
    assert time.monotonic() - asked < 5
    assert setup.error == "The set-up was stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["setup.log"]


def _run_out(setup):
    end = time.monotonic() + 60
    while not setup.finished and time.monotonic() < end:
        time.sleep(0.01)


def test_a_full_disk_is_noticed_before_the_download(tmp_path):
    setup = _setup(tmp_path, build=installation.Build("Far too much", "", (), 10**9))
    _run(setup)
    assert "make room first" in setup.error
    assert not list(tmp_path.iterdir())


def test_pips_words_become_progress(tmp_path):
    setup = _setup(tmp_path)
    assert setup._hear("Progress 50 of 200")
    assert setup.fraction == 0.25
    assert not setup._hear("Downloading https://some.where/torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl (530.6 MB)")
    assert setup.activity == "Downloading torch 2.11.0 (530.6 MB)"
    assert not setup._hear("Installing collected packages: torch")
    assert "Unpacking" in setup.activity
    assert setup.fraction is None


@pytest.mark.parametrize(
    ("driver", "system", "machine", "variant", "pytorch3d", "words"),
    [
        (None, "linux", "x86_64", "cpu", False, "No NVIDIA driver answers: fits will run on the processor"),
        (None, "win32", "AMD64", "cpu", False, "processor"),
        (None, "darwin", "arm64", "", False, "processor"),
        (580, "linux", "x86_64", "", True, "RTX will be used, with CUDA 13"),
        (600, "win32", "AMD64", "cu130", False, "CUDA 13"),
        (600, "linux", "aarch64", "cu130", False, "CUDA 13"),
        (535, "linux", "x86_64", "cu126", False, "CUDA 12.6 for its driver 535"),
        (470, "linux", "x86_64", "cpu", False, "The driver 470 of RTX is too old"),
    ],
)
def test_the_build_follows_the_machine(driver, system, machine, variant, pytorch3d, words):
    card = environment.GraphicsCard("RTX", driver) if driver else None
    build = installation.choose_build(card, system, machine)
    assert build.variant == variant
    assert bool(set(environment.OPTIONAL["pytorch3d"]) & set(build.rest)) == pytorch3d
    assert set(environment.NEEDED.values()) <= set(build.rest)
    assert words in build.why
    assert build.space_gb == (11 if variant.startswith("cu") or pytorch3d else 4)
    assert build.pips_space_gb == (11 if variant == "cpu" and system == "linux" else 4 if build.space_gb == 4 else 0)
