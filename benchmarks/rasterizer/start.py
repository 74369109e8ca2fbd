"""How long a new process takes to its first image and gradient. As a program it prints the seconds for the renderer it is told."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parents[2]
ATTEMPTS = 3


def start_seconds(name: str) -> tuple[float, float]:
    """Medians from an empty kernel cache and from a filled one, in turns; importing torch and its first backward pass are not counted."""
    cold, warm = [], []
    for _ in range(ATTEMPTS):
        with TemporaryDirectory() as folder:
            for seconds in (cold, warm):
                command = [sys.executable, "-m", __name__, name]
                environment = {**os.environ, "WARP_CACHE_PATH": folder}
                done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                seconds.append(float(done.stdout.split()[-1]))
    return median(cold), median(warm)


def main(name: str) -> None:
    """Renders a small textured view and differentiates it."""
    import torch

    from .problem import Case, make

    problem = make(Case("textured", 1000, 64))
    torch.zeros(1, requires_grad=True).backward(torch.ones(1))  # torch's own first time takes up to half a second
    gc.freeze()  # as the worker does when it has imported torch
    start = perf_counter()
    from .peers import ours, torch_threads

    torch.set_num_threads(torch_threads(name))
    ours(name)(problem, "cpu")()
    print(perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
