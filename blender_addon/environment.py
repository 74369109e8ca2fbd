"""The backend's own Python: find it, check it, make it. No bpy, and Blender's Python is never touched."""

import functools
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .worker_client import clean_environment, hidden_window

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
OPTIONAL = {"pytorch3d": ("torch==2.11.0", "easypytorch3d==0.7.9.post1")}
# What a new environment gets: PyTorch3D's wheels load with one torch only, and that is the one the tests run with.
TESTED = (*NEEDED.values(), *OPTIONAL["pytorch3d"])
_MODULES = (*NEEDED, *OPTIONAL)

# Run by the backend's Python: one JSON line; a part that fails to import gives its error.
_PROBE = f"""
import importlib, json, sys
parts = {{}}
for name in {_MODULES!r}:
    try:
        parts[name] = [str(getattr(importlib.import_module(name), "__version__", "")), ""]
    except Exception as error:
        parts[name] = ["", str(error) or type(error).__name__]
gpu = ""
if parts["torch"][0]:
    import torch
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
print("\\nPROBE " + json.dumps({{"python": sys.version.split()[0], "parts": parts, "gpu": gpu}}))
"""


class BackendProblem(Exception):
    """No usable backend, in words that say what to do."""


@dataclass(frozen=True)
class Part:
    """One part of the backend: whether it works, in a sentence, and the command that would repair it."""

    name: str
    ok: bool
    needed: bool
    sentence: str
    command: str = ""


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
        marks = {True: "✓", False: "✗"}
        return [f"{marks[p.ok]} {p.sentence}" + (f"  →  {p.command}" if p.command else "") for p in self.parts]


def backend_folder(user_folder: Path) -> Path:
    """Where Set Up Backend makes its environment."""
    return Path(user_folder) / "backend"


def interpreter(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


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
    named = {"Backend Python in the preferences": preferred, f"The environment variable {VARIABLE}": os.environ.get(VARIABLE, "")}
    for origin, path in named.items():
        if path:
            if os.path.isfile(path):
                return path
            raise BackendProblem(f"{origin} names {path}, which does not exist: choose the Python that has torch installed")
    own = interpreter(backend_folder(user_folder))
    if own.is_file():
        return str(own)
    if module_python and _has_torch(module_python):
        return module_python
    raise BackendProblem("The fitting backend is not installed: press Set Up Backend, or set Backend Python in the add-on's preferences")


def check_backend(python: str, timeout_s: float = 180) -> Check:
    """What works in that Python and what is missing, each with the command that installs it. Takes seconds: it imports torch."""
    install = f'"{python}" -m pip install'
    command = [python, "-I", "-c", _PROBE]
    try:
        run = subprocess.run(command, env=clean_environment(), capture_output=True, timeout=timeout_s, check=False, **hidden_window())
    except OSError as error:
        return Check(python, (Part("Python", False, True, f"{python} cannot be started: {error.strerror or error}"),))
    except subprocess.TimeoutExpired:
        return Check(python, (Part("Python", False, True, f"{python} did not answer within {timeout_s:.0f} seconds"),))
    lines = [line for line in run.stdout.decode("utf-8", errors="replace").splitlines() if line.startswith("PROBE ")]
    if not lines:
        words = run.stderr.decode("utf-8", errors="replace").strip().splitlines()
        return Check(python, (Part("Python", False, True, f"{python} does not work as a Python: {words[-1] if words else 'no answer'}"),))
    found = json.loads(lines[-1].removeprefix("PROBE "))
    parts = [_python_part(python, found["python"])]
    for name in _MODULES:
        version, reason = found["parts"][name]
        needed = name in NEEDED
        wanted = " ".join(f'"{requirement}"' for requirement in ([NEEDED[name]] if needed else OPTIONAL[name]))
        if not reason:
            parts.append(Part(name, True, needed, f"{name} {version}".rstrip()))
        elif needed:
            parts.append(Part(name, False, True, f"{name} does not work: {reason}", f"{install} {wanted}"))
        else:
            parts.append(Part(name, False, False, f"{name} is not installed (optional, a further renderer)", f"{install} {wanted}"))
    parts.append(Part("GPU", bool(found["gpu"]), False, found["gpu"] or "No CUDA graphics card: fits run on the processor"))
    return Check(python, tuple(parts))


def _python_part(python: str, version: str) -> Part:
    numbers = tuple(int(n) for n in version.split(".")[:2])
    if numbers in VERSIONS:
        return Part("Python", True, True, f"Python {version} at {python}")
    return Part("Python", False, True, f"Python {version} at {python} is not supported: use one of {_versions()}")


def _versions() -> str:
    return ", ".join(f"{major}.{minor}" for major, minor in sorted(VERSIONS))


def find_system_python() -> str:
    """A Python on this machine that can make the environment.

    Raises:
        BackendProblem: None of a suitable version was found.
    """
    names = [f"python{major}.{minor}" for major, minor in VERSIONS] + ["python3", "python"]
    candidates = [[path] for name in names if (path := shutil.which(name))]
    if sys.platform == "win32" and (launcher := shutil.which("py")):
        candidates = [[launcher, f"-{major}.{minor}"] for major, minor in VERSIONS] + candidates
    code = f"import sys, venv, ensurepip; print(sys.executable if sys.version_info[:2] in {VERSIONS!r} else '')"
    for candidate in candidates:
        command = [*candidate, "-I", "-c", code]
        try:
            run = subprocess.run(command, env=clean_environment(), capture_output=True, timeout=30, check=False, **hidden_window())
        except (OSError, subprocess.TimeoutExpired):
            continue  # found is not the same as usable: version managers and the Windows store put placeholders on the path
        if run.returncode == 0 and (found := run.stdout.decode("utf-8", errors="replace").strip()):
            return found
    raise BackendProblem(f"No Python {_versions()} was found on this machine: install one from python.org, then press Set Up Backend again")


class Setup:
    """Makes the backend's environment in a thread of its own; ``poll`` gives the lines to show."""

    def __init__(self, user_folder: Path, system_python: str, requirements: Sequence[str] = TESTED) -> None:
        self._folder = backend_folder(user_folder)
        self._python, self._requirements = system_python, requirements
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="fit-to-photo-setup", daemon=True)
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self.error = ""  # a sentence, once something went wrong

    def start(self) -> None:
        """Begins; downloads gigabytes."""
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive() and self._lines.empty()

    def poll(self) -> list[str]:
        """Lines since the last call."""
        return [self._lines.get() for _ in range(self._lines.qsize())]

    def stop(self) -> None:
        """Ends the installation; what was downloaded so far stays and is replaced by the next one."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _commands(self) -> Iterator[tuple[str, list[str]]]:
        python = str(interpreter(self._folder))
        yield "Making the environment", [self._python, "-I", "-m", "venv", "--clear", str(self._folder)]
        pip = [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        yield "Downloading and installing", [*pip, *self._requirements]

    def _run(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for title, command in self._commands():
            self._lines.put(title)
            last = ""
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=clean_environment(),
                    **hidden_window(),
                )
            except OSError as error:
                self.error = f"{command[0]} cannot be started: {error.strerror or error}"
                return
            for line in self._process.stdout or ():
                if line.strip():
                    last = line.strip()
                    self._lines.put(last)
            if self._process.wait() != 0 or self._stopped:
                words = "it was stopped" if self._stopped else last
                self.error = f"{title} did not succeed: {words}. The command was: {' '.join(command)}"
                return
        self._lines.put("The backend is ready")
