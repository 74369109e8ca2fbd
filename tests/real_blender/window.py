"""A first fit in a real window: Blender under Xvfb in a Debian folder, driven by ``window_tour.py``; judged from outside."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 1200
WINDOW = (1600, 900)
MAX_TURN_S = 0.2  # between two turns of Blender's main loop while a fit runs, for all but LATE of them: ...
LATE = 0.05  # ... here a processor draws, beside other work, and redrawing a whole window takes it longer even without a fit
MAX_COMPUTED_S = 0.1  # by the main thread in any such turn, whoever draws and whatever else the machine does
MAX_ORPHAN_S = 5.0
SCRIPTS = ("window_tour.py", "window_driver.py")
INPUTS = ("bare.blend", "cameras.json", "picked", "addon.zip")


class TourFailed(Exception):
    """What went wrong in the window."""


@contextlib.contextmanager
def display(folder: Path) -> Iterator[str]:
    """The name of a screen that lasts as long as the context."""
    read, write = os.pipe()
    size = f"{WINDOW[0]}x{WINDOW[1]}x24"
    command = ["chroot", str(folder), "Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()
        if not number:
            raise TourFailed("Xvfb does not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def run_tour(folder: Path, job: Path) -> dict[str, object]:
    """What the tour found, with the seconds that the worker outlived Blender.

    Args:
        folder: The Debian folder.
        job: Where ``fits_by_operator`` left its files, as seen from inside the folder.

    Raises:
        TourFailed: It did not come to its end; the text says where.
    """
    inside = job / "window_tour"
    outside = folder / inside.relative_to("/")
    outside.mkdir()
    for name in INPUTS:
        source = folder / job.relative_to("/") / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, outside / name)
    for name in SCRIPTS:
        shutil.copy(Path(__file__).with_name(name), outside)
    options = ["--factory-startup", "--enable-event-simulate", "--gpu-backend", "opengl", "--window-geometry", "0", "0", *map(str, WINDOW)]
    with display(folder) as screen, open(outside / "blender.log", "wb") as log:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(job / "home"),  # where earlier fits left compiled kernels
            "BLENDER_USER_RESOURCES": str(inside / "user"),
            "LANG": "C.UTF-8",
            "DISPLAY": screen,
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        script = ["--python", str(inside / SCRIPTS[0]), "--", str(inside), sys.executable]
        command = ["chroot", str(folder), "/usr/bin/blender", *options, *script]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
    keep_screenshots(outside / "window", folder.name)
    if not (outside / "tour.json").is_file():
        raise TourFailed(f"Blender ended in the middle, or not within {TIMEOUT_S} s; see {outside / 'blender.log'}")
    found = json.loads((outside / "tour.json").read_text("utf-8"))
    if found["problem"]:
        raise TourFailed(str(found["problem"]))
    found["orphan_s"] = wait_for_end(int(found["left"]["pid"]), float(found["closed"]))
    found["checkpoint"] = (folder / found["left"]["job"].lstrip("/") / "checkpoint.npz").is_file()
    return found


def keep_screenshots(source: Path, name: str) -> None:
    """Puts the screenshots into ``build/window``."""
    target = ROOT / "build" / "window" / name
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)


def wait_for_end(pid: int, closed: float) -> float:
    """Seconds after ``closed`` at which the process was gone; a dead one that nobody has asked after counts as gone."""
    stat = Path("/proc", str(pid), "stat")
    while time.time() - closed < 10 * MAX_ORPHAN_S:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.05)
    return time.time() - closed


def judge(found: dict[str, object]) -> str:
    """What to tell about a tour that came to its end.

    Raises:
        TourFailed: Blender was slow while a fit ran, or the worker outlived it or left nothing.
    """
    gaps, idle, answers = found["gaps"]["running"], found["gaps"]["idle"], found["answers"]
    if sum(gap > MAX_TURN_S for gap in gaps) > LATE * len(gaps):
        raise TourFailed(f"Blender's main loop took {times(gaps)} a turn while a fit ran, {times(idle)} without")
    computed = found["computed"]["running"]
    if max(computed) > MAX_COMPUTED_S:
        raise TourFailed(f"Blender's main thread computed for {times(computed)} a turn while a fit ran")
    if found["orphan_s"] > MAX_ORPHAN_S or not found["checkpoint"]:
        raise TourFailed(f"the worker ended {found['orphan_s']:.1f} s after Blender, with a checkpoint: {found['checkpoint']}")
    return (
        f"Blender's main loop took {times(gaps)} a turn while a fit ran, {times(idle)} without; of these its main "
        f"thread computed {times(computed)}, all else is drawing without graphics card; it did what a key asked "
        f"in {times(answers['fit'])}, without a fit in {times(answers['idle'])}; closed in the middle, the worker ended after "
        f"{found['orphan_s']:.1f} s with a checkpoint"
    )


def times(seconds: list[float]) -> str:
    """``24 ms (95 % within 90 ms, worst 310 ms)``: the median, the 95th percentile and the worst."""
    late = sorted(seconds)[int((1 - LATE) * (len(seconds) - 1))]
    return f"{1000 * statistics.median(seconds):.0f} ms (95 % within {1000 * late:.0f} ms, worst {1000 * max(seconds):.0f} ms)"
