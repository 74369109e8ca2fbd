"""Drives a Blender window from inside: simulated mouse and keys, waiting for states, screenshots, and how fast the window answers.

A tour is a generator. It yields conditions, functions without arguments; a timer calls the current one about fifty times a second and
goes on once it is true. Blender must run with ``--enable-event-simulate``; ImageMagick's ``import`` takes the screenshots.
"""

import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

TICK_S = 0.02
PATIENCE_S = 300.0
ROW = 18  # pixels: no button is lower
WHEEL_TURNS = 12
Steps = Iterator[Callable[[], bool]]


class Driver:
    """One window and its tour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gaps: dict[str, list[float]] = {}  # seconds from one tick to the next, by what went on ...
        self.computed: dict[str, list[float]] = {}  # ... and how many of these the main thread computed, instead of waiting for a picture
        self.watching: Callable[[], str] = str  # under which name gaps are kept; an empty one: not at all
        self.shots = 0
        self._last, self._computed, self._name = 0.0, 0.0, ""
        self._condition: Callable[[], bool] = lambda: True
        self._since = 0.0
        self._tour: Steps = iter(())
        self._end: Callable[[str], None] = print

    def start(self, tour: Steps, end: Callable[[str], None]) -> None:
        """Begins the tour; ``end`` gets an empty text, or what went wrong."""
        self._tour, self._end = tour, end
        bpy.app.timers.register(self._tick, first_interval=1.0, persistent=True)

    def _tick(self) -> float | None:
        now = time.monotonic()
        if self._name:
            self.gaps.setdefault(self._name, []).append(now - self._last)
            self.computed.setdefault(self._name, []).append(time.thread_time() - self._computed)
        try:
            if self._condition():
                self._condition, self._since = next(self._tour), time.monotonic()
            elif now - self._since > PATIENCE_S:
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s")
        except StopIteration:
            self._end("")
            return None
        except Exception:  # noqa: BLE001  # a timer that raises would only fall silent
            words = traceback.format_exc() + self.where()
            self.screenshot("failed")
            self._end(words)
            return None
        self._last, self._computed, self._name = time.monotonic(), time.thread_time(), self.watching()  # the tour's own work is kept out
        return TICK_S

    def where(self) -> str:
        """The line of the tour that waits now."""
        frames, place = [], self._tour
        while place is not None and getattr(place, "gi_frame", None) is not None:
            frames.append(f"  waiting in {place.gi_code.co_name}, line {place.gi_frame.f_lineno}\n")
            place = place.gi_yieldfrom
        return "".join(frames)

    # -- looking -----------------------------------------------------------------------------------------------------------------

    @property
    def window(self) -> bpy.types.Window:
        """The window; after opening another file it is another object."""
        return bpy.context.window_manager.windows[0]

    def area(self, kind: str = "VIEW_3D") -> bpy.types.Area | None:
        """The first editor of a kind."""
        return next((area for area in self.window.screen.areas if area.type == kind), None)

    def region(self, kind: str, editor: str = "VIEW_3D") -> bpy.types.Region:
        """A region of that editor."""
        return next(region for region in self.area(editor).regions if region.type == kind)

    def screenshot(self, name: str) -> None:
        """Saves the screen as it is now."""
        self.shots += 1
        path = self.folder / f"{self.shots:02}_{name}.png"
        subprocess.run(["import", "-window", "root", "-depth", "8", f"png24:{path}"], check=True)

    # -- acting ------------------------------------------------------------------------------------------------------------------

    def ticks(self, count: int) -> Steps:
        """Waits for some turns of Blender's main loop."""
        for _ in range(count):
            yield lambda: True

    def move(self, x: int, y: int) -> Steps:
        """Moves the mouse."""
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
        yield from self.ticks(2)

    def press(self, kind: str, x: int, y: int, **modifiers: bool) -> Steps:
        """Presses and releases a key or mouse button at a place."""
        yield from self.move(x, y)
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(type=kind, value=value, x=x, y=y, **modifiers)
            yield from self.ticks(2)

    def key(self, kind: str, *, editor: str = "VIEW_3D", **modifiers: bool) -> Steps:
        """Presses a key with the mouse in the middle of an editor."""
        region = self.region("WINDOW", editor)
        yield from self.press(kind, region.x + region.width // 2, region.y + region.height // 2, **modifiers)

    def find(self, wanted: str, found: list[tuple[int, int]], across: float = 0.5) -> Steps:
        """Moves down the sidebar until the button under the mouse is ``wanted``, scrolling where it has to.

        Args:
            wanted: A part of what Blender copies from the button, an operator's call or a property's path: ``fit_to_photo.run``.
            found: Gets the place.
            across: Where between the sidebar's left (0) and right (1) edge to look.

        Raises:
            LookupError: There is no such button.
        """
        for wheel in ("", "WHEELDOWNMOUSE", "WHEELUPMOUSE"):
            region = self.region("UI")
            x = region.x + int(across * region.width)
            for _ in range(WHEEL_TURNS if wheel else 0):
                yield from self.press(wheel, x, region.y + region.height // 2)
            for y in range(region.y + region.height - 12, region.y + 4, -ROW):
                self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
                yield lambda: True
                if wanted not in self._under_mouse():
                    continue
                for row in (y + ROW, y):  # Blender may have heard of this move too late, and only of the one before
                    yield from self.move(x, row)
                    if wanted in self._under_mouse():
                        found.append((x, row))
                        return
        raise LookupError(f"no button '{wanted}' in the sidebar")

    def _under_mouse(self) -> str:
        manager = bpy.context.window_manager
        with bpy.context.temp_override(window=self.window, area=self.area(), region=self.region("UI")):
            for copy, options in ((bpy.ops.ui.copy_python_command_button, {}), (bpy.ops.ui.copy_data_path_button, {"full_path": True})):
                manager.clipboard = ""
                if copy.poll() and copy(**options) == {"FINISHED"}:
                    return manager.clipboard
        return ""

    def click(self, wanted: str, across: float = 0.5) -> Steps:
        """Clicks a button of the sidebar."""
        found: list[tuple[int, int]] = []
        yield from self.find(wanted, found, across)
        yield from self.press("LEFTMOUSE", *found[0])

    def enter(self, wanted: str, text: str) -> Steps:
        """Pastes a number into a field of the sidebar."""
        found: list[tuple[int, int]] = []
        yield from self.find(wanted, found)
        yield from self.press("LEFTMOUSE", *found[0], ctrl=True)  # the field opens for typing
        bpy.context.window_manager.clipboard = text
        yield from self.press("A", *found[0], ctrl=True)
        yield from self.press("V", *found[0], ctrl=True)
        yield from self.press("RET", *found[0])
