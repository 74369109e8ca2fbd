"""One command for each job in this checkout; it makes its own Python environment in ``.venv`` first.

    python3.11 dev.py demo               fit a ball to twelve photographs, into fit_to_photo_demo/
    python3.11 dev.py test [ARGUMENTS]   run the tests; the arguments go to pytest
    python3.11 dev.py lint               check style and types
    python3.11 dev.py blender NAMES      check the built extension in real Blenders (trixie, sid)
    python3.11 dev.py texts              bring the lists of texts to translate up to date
    python3.11 dev.py zip                make the extension for Blender; needs no more than a few megabytes
    python3.11 dev.py setup              only make the environment

Standard library only, and readable by any Python from 3.6 on, which says in one sentence which Python is needed.
"""

import hashlib
import os
import subprocess
import sys

if sys.version_info[:2] != (3, 11):
    print("Fit to Photo's checkout needs Python 3.11 (this is %d.%d): run it as python3.11 dev.py." % sys.version_info[:2])  # noqa: UP031
    raise SystemExit(1)

from collections import deque  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "fit_to_photo_requirements.txt"
TYPES = ROOT / ".types"
TYPE_STUBS = "fake-bpy-module-4.5"
EXTRAS = "native,pytorch3d,blender,build,test,lint"
COMMANDS = ("build_addon.py", "build_help.py", "build_texts.py", "dev.py")
TYPED_ROOMS = ("dr_backend/scene", "dr_backend/job", "dr_backend/parameters", "dr_backend/language.py", *COMMANDS)
ATTEMPTS = 2  # a download of this size breaks off now and then


class SetupError(Exception):
    """The environment could not be made; the text says what to do."""


def read_project() -> "dict[str, dict[str, Any]]":
    """What pyproject.toml says."""
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def requirements_hash() -> str:
    """A hash of everything in pyproject.toml that decides which packages belong into the environment."""
    project = read_project()
    wanted = [project["project"]["dependencies"], project["project"]["optional-dependencies"], project["build-system"], EXTRAS]
    return hashlib.sha256(repr(wanted).encode()).hexdigest()


def run_pip(arguments: "list[str]") -> None:
    """Runs pip in the environment and tells its downloads in plain words.

    Raises:
        SetupError: With the end of pip's output.
    """
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    for _attempt in range(ATTEMPTS):
        tail = deque(maxlen=15)  # type: deque[str]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            assert process.stdout is not None
            for line in process.stdout:
                words = line.split()
                tail.append(line.rstrip())
                if words[:1] == ["Downloading"] and not words[1].endswith(".metadata"):
                    print("  downloading", words[1].split("/")[-1], *words[2:], flush=True)
                elif words[:1] == ["Installing"]:
                    print("  installing (a few minutes) ...", flush=True)
        if process.returncode == 0:
            return
    last_words = "\n  ".join(tail)
    raise SetupError("Installing the packages failed. pip's last words:\n  %s\nCheck the network, then run this again." % last_words)  # noqa: UP031


def works(python: Path) -> bool:
    """Whether this interpreter starts and is a Python 3.11: a moved or half-made environment does not."""
    if not python.exists():
        return False
    check = [str(python), "-c", "import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))"]
    return subprocess.run(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def make_environment() -> None:
    """Makes ``.venv`` without packages, unless there is one.

    Raises:
        SetupError: Python could not.
    """
    if works(PYTHON):
        return
    print("Making a Python environment in .venv ...", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False).returncode != 0:
        raise SetupError("Python could not make .venv. On Debian or Ubuntu install python3.11-venv, then run this again.")


def set_up_zip() -> None:
    """Makes ``.venv`` with what building the extension needs: gigabytes less than ``set_up``.

    Raises:
        SetupError: The environment could not be made.
    """
    if not STAMP.exists():
        make_environment()
        run_pip(read_project()["project"]["optional-dependencies"]["build"])


def set_up() -> None:
    """Makes ``.venv`` and installs what pyproject.toml asks for; returns at once when nothing changed.

    Raises:
        SetupError: The environment could not be made.
    """
    wanted = requirements_hash()
    if STAMP.exists() and STAMP.read_text("utf-8") == wanted and works(PYTHON):
        return
    make_environment()
    print("Installing the packages of Fit to Photo into .venv (about 6 GB, only this once) ...", flush=True)
    pinned = read_project()["project"]["optional-dependencies"]["pytorch3d"]  # said first: pip would download the newest torch as well
    run_pip([*pinned, "--editable", ".[%s]" % EXTRAS])  # noqa: UP031
    STAMP.write_text(wanted, "utf-8")
    print("The environment is ready.", flush=True)


def run(*command: "str | Path", types: bool = False) -> int:
    """Exit code of a command in the environment's Python, run from the checkout."""
    environment = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH"):
        environment.pop(name, None)
    if types:
        environment["MYPYPATH"] = str(TYPES)
    return subprocess.run([str(PYTHON), *map(str, command)], cwd=ROOT, env=environment, check=False).returncode


def lint() -> int:
    """Exit code of ruff and mypy: strict over the add-on, plain over the torch-free rooms."""
    if not (TYPES / "bpy").exists():
        print("Installing Blender's type stubs into .types ...", flush=True)
        run_pip(["--upgrade", "--target", str(TYPES), "--no-deps", TYPE_STUBS])
        for stubs in TYPES.glob("*-stubs"):  # mypy looks for that ending in site-packages only
            stubs.rename(stubs.with_name(stubs.name[: -len("-stubs")]))
    results = (
        run("-m", "ruff", "check", "."),
        run("-m", "mypy", "--strict", "-p", "blender_addon", types=True),
        run("-m", "mypy", *TYPED_ROOMS, types=True),
    )
    print("lint: %d passed, %d failed" % (results.count(0), len(results) - results.count(0)), flush=True)  # noqa: UP031
    return max(results)


def main(arguments: "list[str]") -> int:
    """Runs the job that the first argument names and returns its exit code."""
    jobs = {
        "demo": lambda rest: run(ROOT / "demo" / "run.py", *rest),
        "test": lambda rest: run("-m", "pytest", *rest),
        "lint": lambda rest: lint(),
        "blender": lambda rest: run(ROOT / "tests" / "real_blender" / "run.py", *rest),
        "texts": lambda rest: run(ROOT / "build_texts.py"),
        "zip": lambda rest: run(ROOT / "build_addon.py"),
        "setup": lambda rest: 0,
    }
    if not arguments or arguments[0] not in jobs:
        print(__doc__)
        return 2
    try:
        (set_up_zip if arguments[0] == "zip" else set_up)()
        return jobs[arguments[0]](arguments[1:])
    except SetupError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        print("Stopped.")
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
