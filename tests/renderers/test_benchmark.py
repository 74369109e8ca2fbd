"""The rasterizer benchmark: its peers draw the same thing, its smallest case runs, its verdicts follow from the timings."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.rasterizer import gates
from benchmarks.rasterizer.gates import TEXTURED, speed_gates, traffic_bytes
from benchmarks.rasterizer.mitsuba_peer import find_mitsuba
from benchmarks.rasterizer.peers import THREADS, ours, own_name, torch_peers
from benchmarks.rasterizer.picture import COLORS, draw_growth
from benchmarks.rasterizer.problem import Case, geodesic_sphere, make
from benchmarks.rasterizer.redner_peer import PLACE, find_redner
from benchmarks.rasterizer.report import MARKERS, gate_table, save_json, timing_rows, timing_table, write_between_markers
from benchmarks.rasterizer.timing import measure

ROOT = Path(__file__).parents[2]
MITSUBA = """
import numpy as np
from benchmarks.rasterizer.mitsuba_peer import INTEGRATORS, MitsubaPass
from benchmarks.rasterizer.peers import ours
from benchmarks.rasterizer.problem import Case, make
problem = make(Case("textured", 320, 48, 2))
run = MitsubaPass(problem, INTEGRATORS["Mitsuba direct"])
run()
assert np.abs(run.picture() - ours("reference")(problem, "cpu").picture()).mean() < 0.02
"""


@pytest.mark.parametrize("frequency", [1, 3, 16])
def test_geodesic_sphere_is_closed_and_outward(frequency):
    positions, faces = geodesic_sphere(frequency)
    assert (len(positions), len(faces)) == (10 * frequency**2 + 2, 20 * frequency**2)
    assert len(np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)), axis=0)) == 30 * frequency**2
    assert (np.linalg.det(positions[faces]) > 0).all()


@pytest.mark.parametrize("task", ["silhouette", "textured"])
def test_peers_draw_the_same_picture(task):
    case = Case(task, 980, 64, 2)
    problem = make(case)
    pictures = [peer.prepare(problem, "cpu").picture() for peer in torch_peers("cpu")[0] if peer.takes(case, "cpu")]
    assert pictures[0].shape == (2, 64, 64, 3 if task == "textured" else 1)
    limit = 0.01 if task == "textured" else 0.08  # the soft rasterizer is blurred by intention
    assert all(np.abs(picture - pictures[0]).mean() < limit for picture in pictures)


def test_mitsuba_draws_the_same_picture():
    if reason := find_mitsuba()[1]:
        pytest.skip(reason)
    # In a process of its own: bpy, which other tests load, brings another LLVM.
    subprocess.run([sys.executable, "-c", MITSUBA], cwd=ROOT, check=True)


@pytest.mark.parametrize("views", [1, 2])
def test_redner_draws_the_same_picture(views):
    found, reason = find_redner()
    if reason:
        pytest.skip(reason)
    problem = make(Case("textured", 980, 64, views))
    run = found[0].prepare(problem, "cpu")
    run()
    assert np.abs(run.picture() - ours("reference")(problem, "cpu").picture()).mean() < 0.01


def test_redner_is_named_where_it_cannot_run(monkeypatch, tmp_path):
    monkeypatch.delenv(PLACE, raising=False)
    assert find_redner()[1] is not None
    for place in (sys.executable, str(tmp_path / "nothing")):  # without redner, and nothing at all
        monkeypatch.setenv(PLACE, place)
        found, reason = find_redner()
        assert found == []
        assert place in reason


def test_smallest_case_becomes_json_and_tables(tmp_path):
    case = Case("textured", 320, 48)
    peers, _ = torch_peers("cpu")
    timings = {case: measure(case, peers, "cpu", rounds=1)}
    assert timings[case].keys() == {peer.name for peer in peers if peer.takes(case, "cpu")}
    rows = timing_rows(timings) + speed_gates(timings, own_name())
    save_json(rows, tmp_path / "figures.json")
    read = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert all(row.keys() == {"case", "metric", "value", "goal", "met"} for row in read)
    assert all(row["value"] > 0 for row in read if row["goal"] is None)
    assert all(row["value"] is None and row["met"] is None for row in read if row["goal"])  # the goals are for other cases
    assert "| 320 " in timing_table(timings, "textured", own_name())
    assert "not measured" in gate_table(rows)


def test_goals_are_judged_by_ratios():
    timings = {
        TEXTURED: {"native": 0.01, "PyTorch3D hard, K=1": 6.0, "Mitsuba direct": 0.1},
    }
    found = {row.metric: (row.value, row.met) for row in speed_gates(timings, "native") if row.value is not None}
    assert found == {
        "native faster than PyTorch3D hard, K=1, times": (pytest.approx(600), True),
        "native faster than Mitsuba direct, times": (pytest.approx(10), False),
    }


def set_clock(monkeypatch: pytest.MonkeyPatch, times: Iterable[float]) -> None:
    """What is timed is done, and takes one of these times after the other."""
    clock = cycle(times)

    def seconds(action: Callable[[], object]) -> float:
        action()
        return next(clock)

    monkeypatch.setattr(gates, "_seconds", seconds)


def test_growth_is_judged_in_turns(monkeypatch):
    monkeypatch.setattr(gates, "GROWTH", (Case("silhouette", 20, 32), Case("silhouette", 80, 32)))
    set_clock(monkeypatch, [4.0, 1.6])  # one pass of many faces, and some of few
    (row,) = gates.growth_gate("native")
    assert (row.value, row.met) == (pytest.approx(4.0 / 1.6 * gates.SHORT_PASSES), False)


@pytest.mark.parametrize(("fewest", "found"), [(2, (pytest.approx(1.7), True)), (3, (None, None))])
def test_threads_are_judged_where_each_has_a_core(monkeypatch, fewest, found):
    monkeypatch.setattr(gates, "TEXTURED", Case("textured", 80, 32))
    monkeypatch.setattr(gates, "SILHOUETTE", Case("silhouette", 80, 32))
    monkeypatch.setattr(gates, "THREAD_ROUNDS", 5)
    monkeypatch.setattr(gates, "FEWEST_TURNS", fewest)
    # One thread and several, of ours and multiplying: these have twice as much to do, and shared a core in the last three turns.
    turns = [(3.4, 2.0, 1.0, 1.02), (3.4, 2.0, 1.0, 0.99), (2.4, 2.0, 1.0, 1.3), (2.4, 2.0, 1.0, 1.9), (2.4, 2.0, 1.0, 0.8)]
    set_clock(monkeypatch, sum(turns, ()))
    what = f"native, {THREADS} threads faster than one, times"
    rows = gates.thread_gates("native")
    assert [row.metric for row in rows] == [what, f"{what}, in all turns", "turns in which each thread had a core, %"] * 2
    assert [(row.value, row.met) for row in rows] == [found, (pytest.approx(1.2), None), (40, None)] * 2
    assert [(row.value, row.met) for row in gates.thread_gates("reference")] == [(None, None)] * 2


def test_traffic_counts_every_input_and_output_once():
    problem = make(Case("textured", 20, 32, 3))
    assert traffic_bytes(problem) == 4 * (12 * 3 + 20 * 3 + 20 * 6 + 32 * 32 * 3 + 3 * 32 * 32 * 6)


def test_tables_go_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n", "utf-8")
    write_between_markers(page, "new")
    assert page.read_text("utf-8") == f"before\n{MARKERS[0]}\nnew\n{MARKERS[1]}\nafter\n"
    page.write_text("no markers", "utf-8")
    with pytest.raises(ValueError, match="Add them"):
        write_between_markers(page, "new")


def test_growth_is_drawn_in_each_peers_colour(tmp_path):
    slopes = {"native": 1e-7, "PyTorch3D hard, K=1": 1e-5}
    timings = {Case("textured", faces, 512): {name: faces * slope for name, slope in slopes.items()} for faces in (1_000, 10_000)}
    draw_growth(timings, tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as image:
        seen = {color for _, color in image.getcolors(1 << 20)}
    assert {COLORS[name] for name in slopes} <= seen
    with pytest.raises(ValueError, match="no curve"):
        draw_growth({Case("textured", 1_000, 512): {"native": 0.01}}, tmp_path / "growth.png")
