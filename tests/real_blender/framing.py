"""Background images in a real window: ``framing_in_window.py`` looks, this starts it and judges."""

import json
import shutil
import subprocess
from pathlib import Path

import window

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "framing_in_window.py"
TIMEOUT_S = 600
MAX_PX = 0.5  # of the screen


def check_framings(folder: Path, job: Path) -> str:
    """What to tell about photos drawn under many framings, in the Debian ``folder``; ``job`` is a folder as seen from inside.

    Raises:
        window.TourFailed: Blender draws a photo elsewhere than the add-on reads it, or did not come to an end.
    """
    inside = job / "framing"
    outside = folder / inside.relative_to("/")
    for package in ("blender_addon", "dr_backend"):
        shutil.copytree(ROOT / package, outside / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name(SCRIPT), outside)
    options = ["--factory-startup", "--gpu-backend", "opengl", "--window-geometry", "0", "0", *map(str, window.WINDOW)]
    with window.display(folder) as screen, open(outside / "blender.log", "wb") as log:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(inside / "home"),
            "BLENDER_USER_RESOURCES": str(inside / "user"),
            "LANG": "C.UTF-8",
            "DISPLAY": screen,
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        command = ["chroot", str(folder), "/usr/bin/blender", *options, "--python", str(inside / SCRIPT), "--", str(inside)]
        try:
            subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as late:
            raise window.TourFailed(f"no end after {TIMEOUT_S} s; see {outside / 'blender.log'}") from late
    if not (outside / "framing.json").is_file():
        raise window.TourFailed(f"Blender ended in the middle; see {outside / 'blender.log'}")
    found = json.loads((outside / "framing.json").read_text("utf-8"))
    if "error" in found:
        raise window.TourFailed(found["error"])
    results = found["results"]
    worst = max(results, key=lambda result: result["worst_px"])
    if worst["worst_px"] > MAX_PX or any(result["dots"] < 2 for result in results):
        raise window.TourFailed(f"a photo is drawn {worst['worst_px']:.1f} px from where it is read: {worst['case']}")
    return f"{len(results)} framings of photos are drawn where they are read, within {worst['worst_px']:.2f} px of the screen"
