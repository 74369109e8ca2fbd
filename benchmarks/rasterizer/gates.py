"""The goals of the native rasterizer, one function for each kind of measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from time import perf_counter

import torch

from .derivative import derivative_errors
from .peers import THREADS, ours, torch_threads
from .problem import Case, Problem, make
from .rows import Row, at_least, at_most
from .shape_fit import GOALS, race
from .start import start_seconds

Timings = Mapping[Case, Mapping[str, float]]  # seconds by case and peer

TEXTURED = Case("textured", 10_000, 512)
SILHOUETTE = Case("silhouette", 10_000, 256)
GROWTH = tuple(Case("silhouette", faces, 512) for faces in (1_000, 10_000, 100_000, 1_000_000))
AGAINST = (
    (TEXTURED, "PyTorch3D hard, K=1", 500.0),
    (SILHOUETTE, "PyTorch3D soft, K=8", 3000.0),
    (TEXTURED, "Mitsuba direct", 15.0),
    (TEXTURED, "redner", 150.0),
)
COPY_FLOATS = 1 << 26
FORWARD_ROUNDS = 15
GROWTH_ROUNDS = 30
SHORT_PASSES = 10  # of few faces, for one of many
THREAD_ROUNDS = 300
FEWEST_TURNS = 20  # that can be told anything from
CORE_TOLERANCE = 0.05  # if threads that multiply side by side take more than that longer, or less long, than one, not each had a core
PRODUCT_SIDE = 640  # of a matrix; the product of two takes as long as a pass, nearly all of it within the caches


def speed_gates(timings: Timings, name: str) -> list[Row]:
    """How many times faster than its peers the renderer ``name`` is."""
    return [
        at_least(bound, str(case), f"{name} faster than {peer}, times", _ratio(timings, case, peer, name)) for case, peer, bound in AGAINST
    ]


def _ratio(timings: Timings, case: Case, slow: str, fast: str) -> float | None:
    seconds = timings.get(case, {})
    return seconds[slow] / seconds[fast] if slow in seconds and fast in seconds else None


def growth_gate(name: str) -> list[Row]:
    """Passes of many faces and of few, in turns."""
    torch.set_num_threads(torch_threads(name))
    many, few = (ours(name)(make(case), "cpu") for case in (GROWTH[-1], GROWTH[0]))

    def short_passes() -> None:  # follow each other, as those of many faces do: half of the time these are only Python
        for _ in range(SHORT_PASSES):
            few()

    growth = _gain([_turn([many, short_passes]) for _ in range(GROWTH_ROUNDS)])
    case, what = "silhouette 512², 1k to 1M faces, 1 view", f"{name}, time for 1,000 times the faces, times"
    return [at_most(20, case, what, None if growth is None else SHORT_PASSES * growth)]


def traffic_bytes(problem: Problem) -> int:
    """What a textured forward pass cannot do without, each once and in 4-byte words: positions, vertex indices, UVs per corner and
    the texture are read; colour, coverage, face and depth of every pixel are written. Nothing in between is counted.
    """
    inputs = problem.positions.size + problem.faces.size + problem.uvs.size + problem.image.size
    return 4 * (inputs + problem.case.views * problem.case.size**2 * (3 + 1 + 1 + 1))


def bandwidth_gate(name: str) -> list[Row]:
    """The textured forward pass beside a copy of 256 MB, in turns; the copy counts what it reads and what it writes."""
    torch.set_num_threads(torch_threads(name))
    problem = make(TEXTURED)
    run = ours(name)(problem, "cpu")
    source, sink = torch.ones(COPY_FLOATS), torch.zeros(COPY_FLOATS)
    copies: list[float] = []
    forwards: dict[bool, list[float]] = {False: [], True: []}  # with a texture that moves, and one that stands still
    for still, seconds in forwards.items():
        run.forward(still)
        for _ in range(FORWARD_ROUNDS):
            copies.append(_seconds(lambda: sink.copy_(source)))
            run.forward(still)  # finds the caches full of the copy
            seconds.append(_seconds(lambda still=still: run.forward(still)))
    bandwidth = 8 * COPY_FLOATS / median(copies)
    moved, stood = (median(seconds) for seconds in forwards.values())
    case = str(TEXTURED)
    return [
        Row("memory", "copy bandwidth, GB/s", bandwidth / 1e9),
        Row(case, f"{name} forward only, ms", 1e3 * moved),
        Row(case, f"{name} forward only, the texture stands still, ms", 1e3 * stood),
        Row(case, "least traffic of a forward pass, MB", traffic_bytes(problem) / 1e6),
        at_most(6, case, f"{name} forward, times its traffic at copy bandwidth", moved * bandwidth / traffic_bytes(problem)),
    ]


def _seconds(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def thread_gates(name: str) -> list[Row]:
    """One thread and several, pass by pass, beside what threads gain that do nothing but multiply."""
    what = f"{name}, {THREADS} threads faster than one, times"
    if name != "native":  # others have no threads of their own
        return [at_least(1.6, str(case), what, None) for case in (TEXTURED, SILHOUETTE)]
    torch.set_num_threads(1)
    rows = []
    matrix = torch.ones(PRODUCT_SIDE, PRODUCT_SIDE)
    with ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def multiply(threads: int) -> None:
            for product in [pool.submit(torch.mm, matrix, matrix) for _ in range(threads)]:
                product.result()

        for case in (TEXTURED, SILHOUETTE):
            problem = make(case)
            passes = [ours(name, threads)(problem, "cpu") for threads in (1, THREADS)]
            turns = [_turn([*passes, partial(multiply, 1), partial(multiply, THREADS)]) for _ in range(THREAD_ROUNDS)]
            given = [turn for turn in turns if abs(turn[2] / turn[3] - 1) < CORE_TOLERANCE]
            rows += [
                at_least(1.6, str(case), what, _gain(given)),
                Row(str(case), f"{what}, in all turns", _gain(turns)),
                Row(str(case), "turns in which each thread had a core, %", 100 * len(given) / len(turns)),
            ]
    return rows


def _turn(actions: Sequence[Callable[[], object]]) -> list[float]:
    """Seconds of each action, one after the other."""
    seconds = []
    for action in actions:
        action()  # finds other data in the caches, and threads that sleep or look for the work of another
        seconds.append(_seconds(action))
    return seconds


def _gain(turns: Sequence[Sequence[float]]) -> float | None:
    """How many times faster the second action is than the first; unknown if there are but a few turns."""
    if len(turns) < FEWEST_TURNS:
        return None
    single, several, *_ = zip(*turns, strict=True)
    return median(single) / median(several)


def derivative_gates(name: str) -> list[Row]:
    """Silhouette gradients against supersampled truth."""
    case = "silhouette 256², 5,120 faces, sphere and bumpy body"
    return [
        at_most(2, case, f"{name}, error of the derivative, {motion}, %", 100 * error)
        for motion, error in derivative_errors(name).items()
    ]


def start_gates(name: str) -> list[Row]:
    """First image and gradient of a new process."""
    cold, warm = start_seconds(name)
    case = "new process, textured 64², 1k faces"
    return [
        at_most(5, case, f"{name}, first image and gradient, empty kernel cache, s", cold),
        at_most(0.5, case, f"{name}, first image and gradient, filled kernel cache, s", warm),
    ]


def fit_gates(name: str) -> list[Row]:
    """A sphere of 2,562 vertices becomes Suzanne."""
    result = race(name)
    case = f"sphere to {result.name}, 20 views 256², 2,562 vertices"
    return [
        at_most(bound, case, f"{name}, time to IoU {goal}, s", seconds)
        for bound, goal, seconds in zip((1.0, 2.0), GOALS, result.seconds, strict=True)
    ]
