"""What is redrawn when something of ours changed, and how often."""

import time

import bpy

SHARE = 0.25  # of Blender's time may go into drawing what we changed


def redraw_sidebars() -> None:
    """Redraws the 3D views' sidebars only: whole windows take a tenth of a second each."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


class Pace:
    """Keeps Blender free where drawing is slow: whoever draws asks ``due`` at every tick and says ``drawn``.

    Blender draws between two ticks, so that the time until the tick after ``drawn`` is what drawing costs.
    """

    def __init__(self) -> None:
        self._drawn: float | None = None
        self._next = 0.0

    def due(self) -> bool:
        """Whether something may be drawn again."""
        now = time.monotonic()
        if self._drawn is not None:
            self._next = now + (now - self._drawn) * (1 / SHARE - 1)
            self._drawn = None
        return now >= self._next

    def drawn(self) -> None:
        """Something was changed that Blender will draw now."""
        self._drawn = time.monotonic()
