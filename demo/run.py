"""The demo: photographs a painted monkey in Blender, then fits a grey ball to the photographs.

Run it with ``python3.11 dev.py demo``. Everything it makes lies in ``fit_to_photo_demo/``: the photographs, ``start.blend``,
``fitted.blend``, ``contact_sheet.png`` (photo, before, after), ``report.json`` and Blender's own words in ``blender.log``.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "fit_to_photo_demo"
QUALITY = "standard"
sys.path.insert(0, str(ROOT))  # for blender_addon, which is no installed package

import blender_addon  # noqa: E402
from blender_addon import command  # noqa: E402
from demo import scene  # noqa: E402


def keep_blender_quiet(log: Path) -> None:
    """Sends what Blender's C code prints, a line per render sample, to ``log``; Python's own prints stay on the terminal."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace", buffering=1)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)


def mean(cameras: list[dict[str, float]], key: str) -> float:
    """Mean of a figure over cameras that have it."""
    values = [camera[key] for camera in cameras if camera[key] is not None]
    return sum(values) / len(values)


def summarize(report: dict[str, object], seconds: float) -> None:
    """Prints the three closing lines."""
    cameras = report["cameras"]
    assert isinstance(cameras, list)
    for title, held_out in (("Fitted photos  ", False), ("Held-out photos", True)):
        chosen = [camera for camera in cameras if bool(camera["held_out"]) is held_out]
        psnr = [mean(chosen, f"psnr_{when}") for when in ("before", "after")]
        iou = [mean(chosen, f"mask_iou_{when}") for when in ("before", "after")]
        print(f"{title}: PSNR {psnr[0]:.1f} → {psnr[1]:.1f} dB, outline overlap {iou[0]:.3f} → {iou[1]:.3f} ({len(chosen)} photos)")
    print(f"{seconds:.0f} s with {report['renderer']} on {report['device']}; look at {FOLDER.name}/contact_sheet.png and fitted.blend")


def main() -> int:
    """Builds, fits, saves; returns the exit code."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    keep_blender_quiet(FOLDER / "blender.log")
    blender_addon.register()
    try:
        print("Photographing the model with Blender (Cycles) ...")
        scene.build(FOLDER / "photos", print)
        bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "start.blend"))
        print("Fitting the ball to the photographs ...")
        files = {"--output": "fitted.blend", "--report": "report.json", "--sheet": "contact_sheet.png"}
        code = command.run(["--quality", QUALITY, *(word for option, name in files.items() for word in (option, str(FOLDER / name)))])
    finally:
        blender_addon.unregister()  # the bpy module hangs at exit otherwise
    if code == 0:
        summarize(json.loads((FOLDER / "report.json").read_text("utf-8")), time.monotonic() - began)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
