"""Makes the backend's own Python: which build of torch suits this machine, and the installation in processes of their own. No bpy."""

import os
import platform
import queue
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dr_backend.language import phrase, told

from .environment import (
    NEEDED,
    OPTIONAL,
    RECORD,
    VERSIONS,
    BackendProblem,
    GraphicsCard,
    backend_folder,
    interpreter,
    record_text,
    version_names,
)
from .worker_client import clean_environment, hidden_window

LOG_NAME = "setup.log"
TORCH = OPTIONAL["pytorch3d"][0]  # the version that the tests run with
PIP = "pip>=24.1"  # an older one does not say how far a download is
# What pip and uv say of a network that does not let them through → what that means; their last words are about something else.
_REASONS = (
    (
        "CERTIFICATE_VERIFY_FAILED|UnknownIssuer",
        phrase("pip does not know this network's certificate: name its file in the variable PIP_CERT"),
    ),
    ("NameResolution|name resolution|Failed to establish|unreachable|timed out|dns error", phrase("the package index cannot be reached")),
    ("No space left", phrase("the disk is full")),
)
_DRIVER_CUDA_13, _DRIVER_CUDA_12 = 580, 525  # the oldest NVIDIA drivers that run them
# Free space that an installation needs. With CUDA 5.1 stay, and 2.9 of downloads lie in pip's cache and once more beside it meanwhile;
# for the processor 1.5 stay, and uv unpacks torch aside first.
_GPU_GB, _CPU_GB = 11, 4


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
    what = told("No Python {versions} with venv was found on this machine", versions=version_names())
    raise BackendProblem(what, told("install one (python.org; on Debian and Ubuntu python3-venv), then press Set Up Backend again"))


@dataclass(frozen=True)
class Build:
    """What is installed on a machine: a variant of torch, then the rest."""

    why: str  # in a sentence
    variant: str  # cpu, cu126 or cu130; empty: the one that pip finds is right
    rest: tuple[str, ...]
    space_gb: int
    pips_space_gb: int = 0  # where this variant cannot be had and pip's build has to do


def choose_build(card: GraphicsCard | None, system: str = sys.platform, machine: str = platform.machine()) -> Build:
    """The build of torch for this machine: CUDA where an NVIDIA driver can run it, else the much smaller one for the processor."""
    needed = (*NEEDED.values(), *OPTIONAL["warp"])
    if card is not None and card.driver >= _DRIVER_CUDA_13:
        why = told("{card} will be used, with CUDA 13", card=card.name)
        if system.startswith("linux") and machine == "x86_64":
            return Build(why, "", (*needed, *OPTIONAL["pytorch3d"]), _GPU_GB)  # PyTorch3D's wheels load with this build only
        return Build(why, "cu130", needed, _GPU_GB)
    if card is not None and card.driver >= _DRIVER_CUDA_12:
        return Build(
            told("{card} will be used, with CUDA 12.6 for its driver {driver}", card=card.name, driver=card.driver),
            "cu126",
            needed,
            _GPU_GB,
        )
    why = (
        told("The driver {driver} of {card} is too old for torch", driver=card.driver, card=card.name)
        if card
        else told("No NVIDIA driver answers")
    )
    variant = "" if system == "darwin" else "cpu"
    pips_space = _GPU_GB if system.startswith("linux") else _CPU_GB  # there pip's build brings CUDA along
    return Build(told("{why}: fits will run on the processor", why=why), variant, needed, _CPU_GB, pips_space)


class Setup:
    """Makes the backend's environment in a thread of its own; ``activity`` and ``fraction`` say how far it is.

    The environment grows beside the one in use and takes its place when it is whole; what the tools say is in ``setup.log``.
    """

    def __init__(self, user_folder: Path, system_python: str, build: Build, torch: tuple[str, ...] = (TORCH,)) -> None:
        self.log = Path(user_folder) / LOG_NAME
        self.activity = build.why
        self.fraction: float | None = None  # of the file that is being downloaded
        self.error = ""  # a sentence, once something went wrong
        self._folder = backend_folder(user_folder)
        self._new = self._folder.with_name(self._folder.name + ".new")
        self._python, self._build, self._torch = system_python, build, torch
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="fit-to-photo-setup", daemon=True)
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._failed = False  # the latest step, which need not succeed

    def start(self) -> None:
        """Begins; downloads gigabytes."""
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped

    def poll(self) -> list[str]:
        """Lines of the log since the last call."""
        return [self._lines.get() for _ in range(self._lines.qsize())]

    def stop(self) -> None:
        """Ends the installation; an environment that was in use before stays as it was."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _commands(self) -> Iterator[tuple[str, list[str], bool]]:
        """Title and command of each step, and whether it must succeed."""
        python = str(interpreter(self._new))
        yield told("Making the environment"), [self._python, "-I", "-m", "venv", "--clear", str(self._new)], True
        pip = [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "2"]
        yield told("Renewing pip"), [*pip, "--upgrade", PIP], True
        pip += ["--progress-bar", "raw"]
        if self._build.variant:  # uv knows where PyTorch keeps its other builds; where it cannot reach them, pip's build does too
            uv = [python, "-I", "-m", "uv", "pip", "install", "--python", python, "--no-cache", "--torch-backend", self._build.variant]
            yield told("Fetching what finds the right torch"), [*pip, "uv"], False
            yield told("Installing torch ({variant})", variant=self._build.variant), [*uv, *self._torch], False
            if self._failed:
                self._require_room(self._build.pips_space_gb)
        yield told("Installing torch"), [*pip, *self._torch], True
        yield told("Installing the rest"), [*pip, *self._torch, *self._build.rest], True

    def _run(self) -> None:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._require_room(self._build.space_gb)
            with open(self.log, "w", encoding="utf-8") as log:
                for title, command, needed in self._commands():
                    self._failed = not self._step(title, command, log)
                    if self._failed and (needed or self._stopped):
                        return
                    self.error = ""
            (self._new / RECORD).write_text(record_text(), encoding="utf-8")
            if self._folder.exists():
                shutil.rmtree(self._folder)
            os.replace(self._new, self._folder)
            self.activity = told("The backend is ready")
        except BackendProblem as problem:
            self.error = str(problem)
        except OSError as error:
            self.error = told("The backend could not be put into {folder}: {reason}", folder=self._folder, reason=error.strerror or error)
        finally:
            shutil.rmtree(self._new, ignore_errors=True)  # what could not be removed, the next set-up clears

    def _require_room(self, space_gb: int) -> None:
        """Makes sure that the disk has so many gigabytes.

        Raises:
            BackendProblem: It has not.
        """
        free_gb = shutil.disk_usage(self._folder.parent).free / 1e9
        if free_gb < space_gb:
            what = told(
                "The backend needs {space_gb} GB, {parent} has {free_gb:.1f} free",
                space_gb=space_gb,
                parent=self._folder.parent,
                free_gb=free_gb,
            )
            raise BackendProblem(what, told("make room first"))

    def _step(self, title: str, command: list[str], log: TextIO) -> bool:
        """Runs one command and hears it; whether it succeeded."""
        self.activity, last, reason = title, "", ""
        self._say(title, log)
        self._say(f"$ {shlex.join(command)}", log)
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
            self.error = told("{command} cannot be started: {reason}", command=command[0], reason=error.strerror or error)
            return False
        if self._stopped:  # stop came between two commands
            self._process.terminate()
        for line in self._process.stdout or ():
            if not self._hear(line.strip()) and line.strip():
                last = line.strip()
                self._say(last, log)
                reason = next((told(words) for pattern, words in _REASONS if re.search(pattern, last)), reason)
        self.fraction = None
        if self._process.wait() == 0 and not self._stopped:
            return True
        failed = told("{title} did not succeed: {reason}. The whole log is {log}", title=title, reason=reason or last, log=self.log)
        self.error = told("The set-up was stopped") if self._stopped else failed
        return False

    def _hear(self, line: str) -> bool:
        """Takes the progress out of pip's words; whether the line was nothing but progress."""
        if found := re.fullmatch(r"Progress (\d+) of (\d+)", line):
            self.fraction = int(found[1]) / max(int(found[2]), 1)
            return True
        if found := re.match(r"Downloading (?:\S*/)?([^/\s-]+)-([^-\s]+)\S*\.whl( \(.*\))?$", line):
            self.activity = told("Downloading {what}", what=f"{found[1]} {found[2]}{found[3] or ''}")
        elif line.startswith("Installing collected packages"):
            self.activity, self.fraction = told("Unpacking: this takes a few minutes"), None
        return False

    def _say(self, line: str, log: TextIO) -> None:
        self._lines.put(line)
        print(line, file=log, flush=True)
