"""Results as tables and JSON."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from .gates import Timings
from .peers import THREADS
from .rows import Row

MARKERS = "<!-- rasterizer: written by the benchmark -->", "<!-- rasterizer: end -->"
PACKAGES = "torch", "warp-lang", "easypytorch3d", "mitsuba"


def timing_rows(timings: Timings) -> list[Row]:
    """Every median as a row without a goal."""
    return [Row(str(case), f"{peer}, ms", 1e3 * value) for case, peers in timings.items() for peer, value in peers.items()]


def save_json(rows: Iterable[Row], path: Path) -> None:
    """A list of ``{case, metric, value, goal, met}``."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False), "utf-8")


def machine(device: str) -> str:
    """What the figures were measured on, in one sentence."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    packages = []
    for package in PACKAGES:
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    memory = round(psutil.virtual_memory().total / 2**30)
    where = f"{name}, {psutil.cpu_count()} logical cores, {memory} GB, {THREADS} threads for each peer"
    if device != "cpu":
        where = f"{torch.cuda.get_device_name()}, {where}"
    return f"{where}; {platform.system()}, Python {platform.python_version()}, {', '.join(packages)}; {date.today()}."


def short(value: float) -> str:
    """Three digits or whole numbers: timings are not better than that."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def timing_table(timings: Timings, task: str, first: str) -> str:
    """Medians in ms of one task; in brackets how many times the first peer's."""
    chosen = {case: peers for case, peers in timings.items() if case.task == task}
    names = list(dict.fromkeys(name for peers in chosen.values() for name in peers))
    lines = [["faces", "pixels", "views", *names]]
    for case, peers in chosen.items():
        cells = [f"{case.faces:,}", f"{case.size}²", str(case.views)]
        for name in names:
            ratio = f" ({short(peers[name] / peers[first])}×)" if name in peers and name != first else ""
            cells.append(short(1e3 * peers[name]) + ratio if name in peers else "–")
        lines.append(cells)
    return markdown(lines)


def gate_table(rows: Iterable[Row]) -> str:
    """What was measured beside timings: value, goal, and whether it is met."""
    verdicts = {True: "met", False: "**missed**", None: ""}
    lines = [["case", "what", "measured", "goal", ""]]
    for row in rows:
        value = "not measured" if row.value is None else short(row.value)
        lines.append([row.case, row.metric, value, (row.goal or "").replace(">=", "≥").replace("<=", "≤"), verdicts[row.met]])
    return markdown(lines)


def markdown(lines: list[list[str]]) -> str:
    """A Markdown table with its columns aligned, so that it reads well as text too."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rows[1:]])


def write_between_markers(path: Path, text: str) -> None:
    """Replaces what stands between the two marker lines of ``path``.

    Raises:
        ValueError: The file has no such lines.
    """
    page = path.read_text("utf-8")
    start, end = (page.find(marker) for marker in MARKERS)
    if start < 0 or end < start:
        raise ValueError(f"{path} has no lines '{MARKERS[0]}' and '{MARKERS[1]}'. Add them where the tables shall stand.")
    path.write_text(f"{page[: start + len(MARKERS[0])]}\n{text}\n{page[end:]}", "utf-8")
