"""The backend's own Python: find it and check it. No bpy, and Blender's Python is never touched."""

import functools
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dr_backend.language import told

from .worker_client import clean_environment, doctor_command, hidden_window

VARIABLE = "FIT_TO_PHOTO_PYTHON"
VERSIONS = ((3, 12), (3, 11), (3, 13), (3, 10))  # of Python; the first one found on the machine makes the environment
# Module → what installs it; the same as in pyproject.toml, which a test compares.
NEEDED = {
    "numpy": "numpy",
    "torch": "torch>=2.6",
    "cholespy": "cholespy>=2.2",
    "jaxtyping": "jaxtyping>=0.3",
    "PIL": "pillow>=10",
    "psutil": "psutil>=5.9",
}
OPTIONAL = {"warp": ("warp-lang>=1.19,<1.20",), "pytorch3d": ("torch==2.11.0", "easypytorch3d==0.7.9.post1")}
RECORD = "fit_to_photo_requirements.txt"  # in an environment made here: what it was made for
_MODULES = (*NEEDED, *OPTIONAL)

# Run by the backend's Python: JSON in its last line; a part that fails to import gives its error.
_PROBE = f"""
import importlib, json, sys
parts = {{}}
for name in {_MODULES!r}:
    try:
        parts[name] = [str(getattr(importlib.import_module(name), "__version__", "")), ""]
    except Exception as error:
        parts[name] = ["", str(error) or type(error).__name__]
print("\\n" + json.dumps({{"python": sys.version.split()[0], "parts": parts}}))
"""


class BackendProblem(Exception):
    """No usable backend: ``what`` is wrong, and what to do. ``by_setup``: whether Set Up Backend helps, else it is the preferences."""

    def __init__(self, what: str, remedy: str, *, by_setup: bool = True) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what, self.by_setup = what, by_setup


@dataclass(frozen=True)
class Part:
    """One part of the backend: whether it works, in a sentence, and the command that would repair it."""

    name: str
    ok: bool
    needed: bool
    sentence: str
    command: str = ""

    @property
    def mark(self) -> str:
        """A tick, a cross, or a dash for something that a fit does without."""
        return "✓" if self.ok else "✗" if self.needed else "–"


@dataclass(frozen=True)
class Check:
    """What was found out about a backend."""

    python: str
    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        """Whether a fit can run."""
        return all(part.ok for part in self.parts if part.needed)

    def sentences(self) -> list[str]:
        """One line per part, repairs included."""
        return [f"{p.mark} {p.sentence}" + (f"  →  {p.command}" if p.command else "") for p in self.parts]


def backend_folder(user_folder: Path) -> Path:
    """Where Set Up Backend makes its environment."""
    return Path(user_folder) / "backend"


def interpreter(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def record_text() -> str:
    """What an environment of this version of the add-on was made for."""
    return "\n".join(NEEDED.values()) + "\n"


@functools.lru_cache(maxsize=8)
def _has_torch(python: str) -> bool:
    """Whether that Python could import torch, asked in a process of its own without importing it."""
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    try:
        run = subprocess.run([python, "-I", "-c", code], env=clean_environment(), timeout=30, check=False, **hidden_window())
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def find_backend(preferred: str, user_folder: Path, module_python: str = "") -> str:
    """Path of the backend's Python: the preference, else the environment variable, else the environment made here.

    Args:
        preferred: The preference; empty when it was never set.
        user_folder: The add-on's own folder.
        module_python: Under ``pip install bpy`` the Python that runs us: used last, if it has torch.

    Raises:
        BackendProblem: There is none, or the one asked for does not exist.
    """
    named = {
        told("Backend Python in the preferences"): preferred,
        told("The environment variable {name}", name=VARIABLE): os.environ.get(VARIABLE, ""),
    }
    for origin, path in named.items():
        if path:
            if os.path.isfile(path):
                return path
            what = told("{origin} names {path}, which does not exist", origin=origin, path=path)
            raise BackendProblem(what, told("choose the Python that has torch installed"), by_setup=False)
    own = interpreter(backend_folder(user_folder))
    if own.is_file():
        record = backend_folder(user_folder) / RECORD
        if record.is_file() and record.read_text("utf-8") == record_text():
            return str(own)
        raise BackendProblem(told("The fitting backend was made for another version of this add-on"), told("press Set Up Backend"))
    if module_python and _has_torch(module_python):
        return module_python
    raise BackendProblem(
        told("The fitting backend is not installed"), told("press Set Up Backend, or set Backend Python in the add-on's preferences")
    )


def check_backend(python: str, language: Path | None = None, timeout_s: float = 180) -> Check:
    """What works in that Python and what is missing, each with the command that installs it. Takes seconds: it imports torch.

    ``language`` is the ``.po`` file with the language that the backend itself answers in; None is English.
    """
    answer = _ask([python, "-I", "-c", _PROBE], timeout_s)
    if not isinstance(answer, dict) or "parts" not in answer:
        return Check(
            python, (Part("Python", False, True, told("{python} does not work as a Python: {answer}", python=python, answer=answer)),)
        )
    parts = [_python_part(python, answer["python"]), *_package_parts(python, answer["parts"])]
    if Check(python, tuple(parts)).ready:
        parts += _machine_parts(python, language, timeout_s)
    return Check(python, tuple(parts))


def _package_parts(python: str, found: dict[str, tuple[str, str]]) -> list[Part]:
    """Torch, one line for the small packages that work, and one for each that does not, with the command that installs it."""
    works, parts = [], []
    for name in _MODULES:
        version, reason = found[name]
        requirements = (NEEDED[name],) if name in NEEDED else OPTIONAL[name]
        command = " ".join([f'"{python}" -m pip install', *(f'"{requirement}"' for requirement in requirements)])
        if not reason and name == "torch":
            parts.append(Part(name, True, True, f"torch {version}"))
        elif not reason:
            works.append(f"{name} {version}".rstrip())
        elif name in NEEDED:
            parts.append(Part(name, False, True, told("{name} does not work: {reason}", name=name, reason=reason), command))
        else:
            parts.append(Part(name, False, False, told("{name} is not installed (optional, a further renderer)", name=name), command))
    return [*parts, Part("Packages", True, True, ", ".join(works))] if works else parts


def _ask(command: list[str], timeout_s: float) -> Any:
    """The JSON in the last line that a command says; a string, why, if there is none."""
    try:
        run = subprocess.run(command, env=clean_environment(), capture_output=True, timeout=timeout_s, check=False, **hidden_window())
    except OSError as error:
        return told("it cannot be started ({reason})", reason=error.strerror or error)
    except subprocess.TimeoutExpired:
        return told("no answer within {seconds:.0f} seconds", seconds=timeout_s)
    said, complained = (stream.decode("utf-8", errors="replace").strip().splitlines() for stream in (run.stdout, run.stderr))
    try:
        return json.loads(said[-1])
    except (IndexError, ValueError):
        return complained[-1] if complained else told("no answer")


def _machine_parts(python: str, language: Path | None, timeout_s: float) -> list[Part]:
    """Graphics card, memory and renderers, as the backend itself sees them."""
    findings = _ask(doctor_command(python, language), timeout_s)
    if not isinstance(findings, list):
        return [Part("Backend", False, True, told("The backend itself does not start: {findings}", findings=findings))]
    parts = [Part(f["part"], f["ok"], f["part"] == "Choice", f["sentence"]) for f in findings if f["part"] not in ("Python", *_MODULES)]
    card = find_graphics_card()
    if card is None:
        return parts
    unused = told(
        "This torch cannot use {card} (driver {driver}): fits run on the processor. Set Up Backend chooses one that can",
        card=card.name,
        driver=card.driver,
    )
    return [replace(part, sentence=unused) if part.name == "GPU" and not part.ok else part for part in parts]


@dataclass(frozen=True)
class GraphicsCard:
    """An NVIDIA card: its name, and the first number of its driver's version."""

    name: str
    driver: int


def find_graphics_card() -> GraphicsCard | None:
    """What the NVIDIA driver says about the first card; None without a driver that answers."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(command, env=clean_environment(), capture_output=True, timeout=30, check=False, **hidden_window())
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(.+), *(\d+)\.", run.stdout.decode("utf-8", errors="replace"))
    return GraphicsCard(found[1], int(found[2])) if run.returncode == 0 and found else None


def _python_part(python: str, version: str) -> Part:
    numbers = tuple(int(n) for n in version.split(".")[:2])
    if numbers in VERSIONS:
        return Part("Python", True, True, told("Python {version} at {python}", version=version, python=python))
    return Part(
        "Python",
        False,
        True,
        told(
            "Python {version} at {python} is not supported: use one of {versions}",
            version=version,
            python=python,
            versions=version_names(),
        ),
    )


def version_names() -> str:
    """The Pythons that will do, for sentences."""
    return ", ".join(f"{major}.{minor}" for major, minor in sorted(VERSIONS))
