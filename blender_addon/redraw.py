"""What is redrawn when something of ours changed, and how often."""

import time

import bpy

SHARE = 0.25  # of Blender's time may go into drawing what we changed
QUIET_S = 0.3  # nothing of ours is drawn for so long after a click, key or movement of the mouse ...
LONGEST_S = 2.0  # ... but as often as this it is, however busy the artist


def _redraw(kind: str) -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == kind:
                        region.tag_redraw()


def redraw_sidebars() -> None:
    """Redraws the 3D views' sidebars only: whole windows take a tenth of a second each."""
    _redraw("UI")


def redraw_views() -> None:
    """Redraws what the 3D views show, without their sidebars and headers."""
    _redraw("WINDOW")


class Pace:
    """Keeps Blender free where drawing is slow: whoever draws asks ``due`` at every tick and says ``drawn``.

    Blender draws between two turns of its main loop, and timers of the program have one turn each: from the beginning of the change
    to the second of such turns is what it costs.
    """

    def __init__(self) -> None:
        self._drawn = self._rested = self._quiet = 0.0
        self._turns = 0

    def due(self) -> bool:
        """Whether something may be drawn again."""
        now = time.monotonic()
        return now >= self._rested and (now >= self._quiet or now - self._drawn >= LONGEST_S)

    def heard(self) -> None:
        """The artist did something: what Blender draws for that goes before ours."""
        self._quiet = time.monotonic() + QUIET_S

    def drawn(self, since: float) -> None:
        """Something was changed from ``since`` (of ``time.monotonic``) on that Blender will draw now."""
        self._drawn = since
        self._rested, self._turns = float("inf"), 0
        bpy.app.timers.register(self._measure, first_interval=0.0)

    def _measure(self) -> float | None:
        self._turns += 1
        if self._turns == 1:  # may still be the turn in which it was changed
            return 0.0
        now = time.monotonic()
        self._rested = now + (now - self._drawn) * (1 / SHARE - 1)
        return None
