"""How often the viewport and the panel are drawn for a fit: a share of Blender's time, and after what the artist does."""

import pytest

pytest.importorskip("bpy")

from blender_addon import redraw  # noqa: E402


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(redraw.time, "monotonic", lambda: now[0])
    return now


def draw(pace: redraw.Pace, clock: list[float], seconds: float, changing: float = 0.0) -> None:
    """As Blender's main loop goes on: something is changed, the rest of this turn, the drawing, the next turn."""
    clock[0] += changing
    pace.drawn(clock[0] - changing)
    assert not pace.due()
    assert pace._measure() == 0.0
    clock[0] += seconds
    assert pace._measure() is None


def test_slow_drawing_gets_its_share_of_the_time(clock):
    pace = redraw.Pace()
    assert pace.due()
    draw(pace, clock, 0.15, changing=0.05)
    clock[0] += 0.59
    assert not pace.due()
    clock[0] += 0.02
    assert pace.due()


def test_the_artist_goes_first_but_not_for_ever(clock):
    pace = redraw.Pace()
    draw(pace, clock, 0.01)
    seen = 0
    for _ in range(50):  # five seconds of moving the mouse
        clock[0] += 0.1
        pace.heard()
        if pace.due():
            seen += 1
            draw(pace, clock, 0.01)
    assert seen == 2
    clock[0] += redraw.QUIET_S + 0.01
    assert pace.due()
