"""redner as a peer: in a process of its own, since its last release is for Python 3.7."""

from __future__ import annotations

import os
import subprocess
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .peers import Peer
from .problem import Case, Problem

PLACE = "REDNER_PYTHON"  # in the environment: a Python that has it
PROGRAM = Path(__file__).with_name("redner_program.py")
MOST_PIXELS = 512**2  # a pass then takes some seconds


def find_redner() -> tuple[list[Peer], str | None]:
    """redner, or a sentence why not."""
    python = os.environ.get(PLACE)
    if not python:
        return [], f"redner is left out: its last release is for Python 3.7. Set {PLACE} to one that has it (see docs/benchmarks.md)."
    try:
        subprocess.run([python, "-c", "import pyredner"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [], f"redner is left out: {python} cannot import pyredner (see docs/benchmarks.md)."
    return [Peer("redner", lambda problem, device: RednerPass(problem, python), _takes)], None


def _takes(case: Case, device: str) -> bool:
    return case.task == "textured" and case.views * case.size**2 <= MOST_PIXELS


class RednerPass:
    """Asks the other process, and waits for it; that costs a tenth of a millisecond."""

    def __init__(self, problem: Problem, python: str) -> None:
        self._folder = TemporaryDirectory(prefix="redner_")
        path = Path(self._folder.name) / "problem.npz"
        cameras = {name: np.stack([getattr(each, name) for each in problem.cameras]) for name in ("camera_from_world", "focal_px")}
        arrays = {name: getattr(problem, name) for name in ("positions", "faces", "uvs", "image", "weights")}
        np.savez(path, **arrays, **cameras)
        self._process = subprocess.Popen(
            [python, str(PROGRAM), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        weakref.finalize(self, _end, self._process)

    def __call__(self) -> None:
        self._ask("pass")

    def picture(self) -> np.ndarray:
        path = Path(self._folder.name) / "picture.npy"
        self._ask(f"picture {path}")
        return np.load(path)

    def _ask(self, what: str) -> None:
        asking, answering = self._process.stdin, self._process.stdout
        assert asking is not None
        assert answering is not None
        print(what, file=asking, flush=True)
        if answering.readline().strip() != "done":
            raise RuntimeError(f"redner's process ended with {self._process.wait()}")


def _end(process: subprocess.Popen[str]) -> None:
    """Its input ends, and so does the program."""
    process.communicate()
