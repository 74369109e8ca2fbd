"""Times differentiable rasterizers against each other and measures the goals of the native one.

    python -m benchmarks.rasterizer --quick --json results.json
    python -m benchmarks.rasterizer --markdown docs/benchmarks.md --picture docs/pictures/rasterizer.png
    python -m benchmarks.rasterizer --device cuda
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

import torch

from dr_backend.memory import keep_freed_memory

from .gates import (
    GROWTH,
    SILHOUETTE,
    TEXTURED,
    bandwidth_gate,
    derivative_gates,
    fit_gates,
    growth_gate,
    speed_gates,
    start_gates,
    thread_gates,
)
from .peers import find_peers, own_name
from .picture import draw_growth
from .problem import Case
from .report import gate_table, machine, save_json, timing_rows, timing_table, write_between_markers
from .timing import measure

QUICK_ROUNDS, ROUNDS = 3, 5
SIZES = (256, 512, 1024)
FACES = {"cpu": (1_000, 10_000, 100_000, 1_000_000), "cuda": (1_000, 10_000, 100_000)}


def say(words: str) -> None:
    """Progress, kept apart from the result."""
    print(words, file=sys.stderr, flush=True)


def cases(quick: bool, device: str) -> list[Case]:
    """The whole grid, or on a processor only what the goals need."""
    if quick and device == "cpu":
        return [TEXTURED, SILHOUETTE, *GROWTH]
    views = (1,) if quick else (1, 4)
    return [Case(*case) for case in product(("silhouette", "textured"), FACES[device], SIZES, views)]


def main() -> int:
    """Measures, prints and saves; returns the exit code: 0 also where goals are missed, for that is a result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what the goals need, in under five minutes")
    parser.add_argument("--device", choices=FACES, default="cpu")
    parser.add_argument("--json", type=Path, help="write every figure into this file")
    parser.add_argument("--markdown", type=Path, help="put the tables between the marker lines of this page")
    parser.add_argument("--picture", type=Path, help="draw time over faces into this PNG file")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here. Run without --device to time the processor.")

    keep_freed_memory()  # as the worker does, for all peers alike
    peers, missing = find_peers(options.device)
    name = own_name()
    timings = {}
    for case in cases(options.quick, options.device):
        say(str(case))
        timings[case] = measure(case, peers, options.device, QUICK_ROUNDS if options.quick else ROUNDS)
    tables = [machine(options.device), *missing, f"Medians in ms; in brackets how many times that of {name}."]
    tables += [f"**{task.capitalize()}**\n\n{timing_table(timings, task, name)}" for task in ("silhouette", "textured")]
    print("\n\n".join(tables), flush=True)
    gates = []
    if options.device == "cpu":
        gates += speed_gates(timings, name)
        for gate in (growth_gate, thread_gates, bandwidth_gate, derivative_gates, start_gates, fit_gates):
            say((gate.__doc__ or "").splitlines()[0])
            gates += gate(name)
        tables.append(f"**Goals**\n\n{gate_table(gates)}")
        print(f"\n{tables[-1]}")
    if options.json:
        save_json(timing_rows(timings) + gates, options.json)
    if options.markdown:
        write_between_markers(options.markdown, "\n\n".join(tables))
    if options.picture:
        draw_growth(timings, options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
