"""Growth with the number of faces as a picture: both axes logarithmic, one panel for each task."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .gates import Timings
from .problem import Case
from .report import short

PANEL, LEFT, TOP, BOTTOM, RIGHT = (560, 400), 90, 60, 70, 200
SIZE = 512  # pixels of the views that are drawn
COLORS = {
    "native": (213, 94, 0), "reference": (0, 114, 178), "PyTorch3D soft, K=8": (0, 158, 115), "PyTorch3D hard, K=1": (0, 158, 115),
    "Mitsuba direct": (204, 121, 167), "Mitsuba direct, no light": (230, 159, 0), "Mitsuba direct_projective": (120, 94, 160),
    "redner": (0, 0, 0),
}  # fmt: skip
INK, GRID, PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)
SCALE = 2  # drawn larger, for smooth lines


def draw_growth(timings: Timings, path: Path) -> None:
    """Median times at 512², one view, over faces.

    Raises:
        ValueError: No task was timed with different numbers of faces.
    """
    panels = {}
    for task in ("silhouette", "textured"):
        curves = _curves(timings, task)
        if any(len(curve) > 1 for curve in curves.values()):
            panels[task] = curves
    if not panels:
        raise ValueError(f"There is no curve to draw: nothing was timed at {SIZE} x {SIZE} pixels with different numbers of faces.")
    width = len(panels) * (LEFT + PANEL[0] + RIGHT)
    image = Image.new("RGB", (width * SCALE, (TOP + PANEL[1] + BOTTOM) * SCALE), PAPER)
    for index, (task, curves) in enumerate(panels.items()):
        _Panel(ImageDraw.Draw(image), index * (LEFT + PANEL[0] + RIGHT) + LEFT, curves).draw(task.capitalize(), curves)
    image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.LANCZOS).save(path)


def _curves(timings: Timings, task: str) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for case, peers in timings.items():
        if case == Case(task, case.faces, SIZE):
            for name in peers.keys() & COLORS.keys():
                curves.setdefault(name, []).append((case.faces, peers[name]))
    return {name: sorted(curves[name]) for name in COLORS if name in curves}


class _Panel:
    """Axes, and where a value lies on them."""

    def __init__(self, canvas: ImageDraw.ImageDraw, left: int, curves: dict[str, list[tuple[int, float]]]) -> None:
        points = [point for curve in curves.values() for point in curve]
        self.canvas, self.left = canvas, left
        self.faces = _decades(faces for faces, _ in points)
        self.seconds = _decades(seconds for _, seconds in points)

    def place(self, faces: float, seconds: float) -> tuple[float, float]:
        x = (math.log10(faces) - self.faces[0]) / (self.faces[1] - self.faces[0])
        y = (math.log10(seconds) - self.seconds[0]) / (self.seconds[1] - self.seconds[0])
        return (self.left + x * PANEL[0]) * SCALE, (TOP + (1 - y) * PANEL[1]) * SCALE

    def text(self, x: float, y: float, words: str, anchor: str, color: tuple[int, int, int] = INK, size: int = 15) -> None:
        self.canvas.text((x, y), words, color, ImageFont.load_default(size * SCALE), anchor)

    def draw(self, title: str, curves: dict[str, list[tuple[int, float]]]) -> None:
        for power in range(self.faces[0], self.faces[1] + 1):
            x, bottom = self.place(10.0**power, 10.0 ** self.seconds[0])
            self.canvas.line((x, TOP * SCALE, x, bottom), GRID, SCALE)
            self.text(x, bottom + 12 * SCALE, f"{10**power:,}", "mt")
        for power in range(self.seconds[0], self.seconds[1] + 1):
            x, y = self.place(10.0 ** self.faces[0], 10.0**power)
            self.canvas.line((x, y, x + PANEL[0] * SCALE, y), GRID, SCALE)
            self.text(x - 8 * SCALE, y, f"{10.0 ** (power + 3):,g} ms", "rm")
        middle = (self.left + PANEL[0] / 2) * SCALE
        self.text(middle, TOP / 2 * SCALE, f"{title}, {SIZE} x {SIZE} pixels, one view, forward and backward", "mm", size=17)
        self.text(middle, (TOP + PANEL[1] + BOTTOM - 22) * SCALE, "faces", "mm")
        self._label({name: self._curve(curve, COLORS[name]) for name, curve in curves.items()}, curves)

    def _curve(self, curve: list[tuple[int, float]], color: tuple[int, int, int]) -> tuple[float, float]:
        """Draws the line with a dot for each case and returns its right end."""
        points = [self.place(*point) for point in curve]
        self.canvas.line([number for point in points for number in point], color, 3 * SCALE, joint="curve")
        for x, y in points:
            radius = 5 * SCALE
            self.canvas.ellipse((x - radius, y - radius, x + radius, y + radius), color)
        return points[-1]

    def _label(self, ends: dict[str, tuple[float, float]], curves: dict[str, list[tuple[int, float]]]) -> None:
        """Names beside the ends of the curves, each below the one before."""
        lowest: dict[float, float] = {}
        for name in sorted(ends, key=lambda name: ends[name][1]):
            x, y = ends[name]
            y = lowest[x] = max(y, lowest.get(x, -math.inf) + 36 * SCALE)
            self.text(x + 12 * SCALE, y - 8 * SCALE, name, "lm", COLORS[name], 14)
            self.text(x + 12 * SCALE, y + 8 * SCALE, f"{short(1e3 * curves[name][-1][1])} ms", "lm", COLORS[name], 13)


def _decades(values: Iterable[float]) -> tuple[int, int]:
    """Whole powers of ten around the values."""
    logs = [math.log10(value) for value in values]
    low, high = math.floor(min(logs) + 1e-9), math.ceil(max(logs) - 1e-9)
    return low, max(high, low + 1)
