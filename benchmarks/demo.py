"""Times a fit with the renderers ``native`` and ``reference``, taking turns of ten steps in one run.

    python -m benchmarks.demo JOB [--quality standard]

JOB is a job folder, as the add-on leaves them with Keep Jobs in its preferences: that of the quick start's demo, for the published ratio.
Nothing is photographed or rendered by Blender meanwhile. Prints seconds by the clock, and of all processors together, for every stage.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

import torch

from dr_backend.fit import Fit, Progress
from dr_backend.job import QUALITIES, FitSettings, JobFolder
from dr_backend.memory import keep_freed_memory
from dr_backend.problem import make_problem
from dr_backend.scene import Photo, Scene

RENDERERS = ("native", "reference")
TURN = 10  # steps


def turn(steps: Iterator[Progress], seconds: dict[str, tuple[float, float]]) -> bool:
    """Makes some steps, adds their time by the clock and on processors to their stage's; whether the fit goes on."""
    clock, busy = perf_counter(), process_time()
    made = 0
    for progress in islice(steps, TURN):
        made += 1
        before = seconds[progress.stage.name]
        seconds[progress.stage.name] = (before[0] + perf_counter() - clock, before[1] + process_time() - busy)
        clock, busy = perf_counter(), process_time()
    return made == TURN


def measure(scene: Scene, photos: list[Photo], settings: FitSettings) -> dict[str, dict[str, tuple[float, float]]]:
    """Seconds by renderer and stage."""
    seconds: dict[str, dict[str, tuple[float, float]]] = {}
    fits = {}
    for name in RENDERERS:
        seconds[name] = defaultdict(lambda: (0.0, 0.0))
        fits[name] = Fit(make_problem(scene, photos, replace(settings, renderer=name))).run()
    while fits:
        fits = {name: steps for name, steps in fits.items() if turn(steps, seconds[name])}
    return seconds


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", type=Path)
    parser.add_argument("--quality", choices=QUALITIES, default="standard")
    options = parser.parse_args()
    keep_freed_memory()  # as the worker does
    torch.set_num_threads(1)
    scene, photos, settings = JobFolder(options.job).load()
    seconds = measure(scene, photos, replace(settings, quality=options.quality, device="cpu"))
    lines = [(stage, *(seconds[name][stage] for name in RENDERERS)) for stage in seconds[RENDERERS[0]]]
    whole = (tuple(map(sum, zip(*seconds[name].values(), strict=True))) for name in RENDERERS)
    lines.append(("the whole fit", *whole))
    print(f"{'seconds (of processors)':24}" + "".join(f"{name:>18}" for name in RENDERERS) + "   times")
    for stage, ours, theirs in lines:
        cells = "".join(f"{clock:9.1f} ({busy:6.1f})" for clock, busy in (ours, theirs))
        print(f"{stage:24}{cells}   {theirs[0] / ours[0]:.2f} ({theirs[1] / ours[1]:.2f})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
