"""Checks the built extension in real Blenders: ``run.py trixie sid``, or ``run.py --folder DIR`` for a Debian made before; with
``--fixtures`` first, instead whether the scenes of ``tests/blender_true`` look as this Blender renders them, some minutes each.

Each Blender lives in a folder of its own under ``build/blender`` (see provision.py) and runs by chroot, without mounts: the
backend's Python is hard-linked into the folder under its own path. One line per check; the last line counts them.
A Blender that cannot be provisioned is skipped with a warning; a check that fails makes the exit code 1.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import framing  # noqa: E402
import provision  # noqa: E402
import window  # noqa: E402

import build_addon  # noqa: E402

TIMEOUT_S = 1200  # fixtures and fits on a machine that does other things as well
JOB = Path("/tmp/fit_to_photo_check")  # inside the folder
MIN_PSNR_GAIN_DB = 2.0
MIN_IOU = 0.9
GERMAN = {
    "button": "Fotos hinzufügen",
    "description": "Fotos aussuchen: Jedes bekommt eine Kamera, die um die gewählten Maschen steht und es als Hintergrundbild hat",
    "choice": "Entwurf",
    "panel": "Ergebnis",
    "report": "Die Szene hat keine Kamera 'Vorn': Sie wurde seit der Anpassung umbenannt oder gelöscht",
}


class CheckFailed(Exception):
    """A check that failed, with what was seen."""


def mirror(source: Path, folder: Path) -> None:
    """Puts the tree ``source`` into the chroot at its own path, by hard links; by copies where the disks differ."""
    target = folder / source.relative_to("/")
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    for mode in ("-al", "-a"):
        if subprocess.run(["cp", mode, str(source), str(target)], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        shutil.rmtree(target, ignore_errors=True)
    raise CheckFailed(f"{source} could not be copied to {target}")


def mirror_backend(folder: Path) -> None:
    """Makes this very Python, with torch, runnable inside the folder, and tells it the machine's memory and processors."""
    for name in ("meminfo", "cpuinfo", "stat"):  # /proc itself would need a mount
        (folder / "proc" / name).write_bytes(Path("/proc", name).read_bytes())
    mirror(Path(sys.prefix), folder)
    if sys.base_prefix != "/usr":
        mirror(Path(sys.base_prefix).resolve(), folder)
        return
    mirror(Path(sysconfig.get_path("stdlib")), folder)
    shutil.copy2(os.path.realpath(sys.executable), folder / os.path.realpath(sys.executable).lstrip("/"))


class RealBlender:
    """A Debian folder with Blender, and a fresh user in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = folder / JOB.relative_to("/")
        shutil.rmtree(self.job, ignore_errors=True)
        self.job.mkdir(parents=True)

    def run(self, *arguments: str) -> str:
        """Blender's output.

        Raises:
            CheckFailed: Blender ended with an error or too late.
        """
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(JOB / "home"),
            "BLENDER_USER_RESOURCES": str(JOB / "user"),
            "LANG": "C.UTF-8",
            "FIT_TO_PHOTO_PYTHON": sys.executable,
        }
        command = ["chroot", str(self.folder), "/usr/bin/blender", *arguments]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise CheckFailed(f"no end after {TIMEOUT_S} s: blender {' '.join(arguments)}") from late
        with open(self.job / "blender.log", "a", encoding="utf-8") as log:
            log.write(f"$ blender {' '.join(arguments)}\n{done.stdout}\n")
        if done.returncode != 0:
            lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("Fra:")]
            raise CheckFailed(f"exit code {done.returncode}: blender {' '.join(arguments)}\n    " + "\n    ".join(lines[-12:]))
        return done.stdout

    def validates(self) -> str:
        """Blender accepts the zip as an extension."""
        shutil.copy(build_addon.build(), self.job / "addon.zip")
        self.run("--command", "extension", "validate", str(JOB / "addon.zip"))
        return "the zip validates"

    def installs(self) -> str:
        """Blender installs and enables it, and finds the bundled wheel in the next session."""
        self.run("--command", "extension", "install-file", "-r", "user_default", "--enable", str(JOB / "addon.zip"))
        said = self.run("-b", "--python-exit-code", "4", "--python-expr", "import dr_backend; print('WHEEL', dr_backend.__version__)")
        if f"WHEEL {build_addon.version()}" not in said:
            raise CheckFailed("dr_backend is not importable")
        if "Traceback" in said:
            raise CheckFailed(said[said.index("Traceback") :][-800:])
        return "it installs, is enabled, and brings dr_backend"

    def speaks_german(self) -> str:
        """Labels, descriptions and sentences are German in a German Blender, and gone with the add-on."""
        shutil.copy(Path(__file__).with_name("speak_german.py"), self.job)
        self.run("-b", "--python-exit-code", "7", "--python", str(JOB / "speak_german.py"), "--", str(JOB / "german.json"))
        found = json.loads((self.job / "german.json").read_text("utf-8"))
        if found["german"] != GERMAN or not found["po"].endswith("de.po"):
            raise CheckFailed(f"this is not the German of the add-on: {found}")
        if set(found["english"].values()) & set(GERMAN.values()) or found["gone"] != "Add Photos":
            raise CheckFailed(f"German where English belongs: {found}")
        return "it speaks German in a German Blender"

    def fits_by_operator(self) -> str:
        """``bpy.ops.fit_to_photo.run()`` fits; Revert takes everything back."""
        shutil.copy(ROOT / "demo" / "scene.py", self.job)
        shutil.copy(Path(__file__).with_name("fit_in_blender.py"), self.job)
        self.run("-b", "--python-exit-code", "5", "--python", str(JOB / "fit_in_blender.py"), "--", str(JOB))
        found = json.loads((self.job / "operator.json").read_text("utf-8"))
        fitted, reverted = found["fitted"], found["reverted"]
        if found["answer"] != ["FINISHED"] or len(fitted["shape_keys"]) < 2 or fitted["moved"] < 0.01 or not fitted["images"]:
            raise CheckFailed(f"no shape key that moves or no image: {fitted}")
        if reverted["images"] or len(reverted["shape_keys"]) > 1:
            raise CheckFailed(f"Revert left something: {reverted}")
        return f"the operator fits ({improvement(fitted['report'])}) and Revert takes it back"

    def fits_by_command(self) -> str:
        """``--command fit_to_photo`` fits a saved file."""
        files = ("--output", str(JOB / "fitted.blend"), "--report", str(JOB / "report.json"), "--sheet", str(JOB / "sheet.png"))
        self.run("-b", str(JOB / "start.blend"), "--command", "fit_to_photo", *files)
        missing = [name for name in ("fitted.blend", "report.json", "sheet.png") if not (self.job / name).is_file()]
        if missing:
            raise CheckFailed(f"{missing[0]} was not written")
        return f"the command line fits ({improvement(json.loads((self.job / 'report.json').read_text('utf-8')))})"

    def agrees_with_cycles(self) -> str:
        """What this Blender reads of the fixtures of ``tests/blender_true``, rendered by us, is what it renders itself."""
        inside = JOB / "fixtures"
        outside = self.job / "fixtures"
        for package in ("blender_addon", "dr_backend", "tests/blender_true"):
            shutil.copytree(ROOT / package, outside / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(__file__).with_name("take_fixtures.py"), outside)
        options = ["-b", "--factory-startup", "--python-exit-code", "6", "--python", str(inside / "take_fixtures.py")]
        self.run(*options, "--", str(inside))
        judge = [sys.executable, "-m", "tests.blender_true", "--taken", str(outside)]
        judged = subprocess.run(judge, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        lines = judged.stdout.splitlines()
        if judged.returncode != 0:
            missed = [line for line in lines if line.startswith("MISS")] or judged.stderr.splitlines()[-12:]
            raise CheckFailed("our picture of these fixtures is not Blender's:\n    " + "\n    ".join(missed))
        return f"the fixtures of docs/blender_true.md, built, read and rendered here: {lines[-1]}"

    def frames_photos(self) -> str:
        """Background images are drawn where they are read."""
        try:
            return framing.check_framings(self.folder, JOB)
        except window.TourFailed as problem:
            raise CheckFailed(f"background images in a window: {problem}") from problem

    def tours_a_window(self) -> str:
        """A first fit in a window: pressed buttons, cancel, undo, redo, strength, Revert, also in a reopened file."""
        try:
            found = window.run_tour(self.folder, JOB)
            words = window.judge(found)
        except window.TourFailed as problem:
            raise CheckFailed(f"in a window (screenshots in build/window/{self.folder.name}): {problem}") from problem
        return f"a first fit in a window ({improvement(found['report'])}); {words}"


def improvement(report: dict[str, object]) -> str:
    """Mean figures before and after, by Blender's own renders.

    Raises:
        CheckFailed: There are none, or they did not get better.
    """
    cameras = report.get("cameras")
    if not isinstance(cameras, list) or not cameras:
        raise CheckFailed(f"the report has no cameras: {json.dumps(report)[:400]}")
    keys = ("psnr_before", "psnr_after", "mask_iou_before", "mask_iou_after")
    psnr_before, psnr_after, iou_before, iou_after = (sum(camera[key] for camera in cameras) / len(cameras) for key in keys)
    words = f"PSNR {psnr_before:.1f} → {psnr_after:.1f} dB, mask IoU {iou_before:.3f} → {iou_after:.3f}"
    if psnr_after < psnr_before + MIN_PSNR_GAIN_DB or iou_after < max(iou_before, MIN_IOU):
        raise CheckFailed(f"the fit did not get better enough: {words}")
    return words


def check_blender(name: str, folder: Path, *, fixtures_only: bool) -> list[bool]:
    """Runs the checks in order, prints a line for each, and returns which passed; after a failure the rest would only echo it."""
    blender = RealBlender(folder)
    steps: list[Callable[[], str]] = [blender.validates, blender.installs, blender.speaks_german]
    steps += [blender.fits_by_operator, blender.fits_by_command, blender.frames_photos, blender.tours_a_window]
    if fixtures_only:
        steps = [blender.agrees_with_cycles]
    passed = []
    try:
        if not fixtures_only:
            mirror_backend(folder)
        for step in steps:
            print(f"PASSED {name}: {step()}", flush=True)
            passed.append(True)
    except CheckFailed as failure:
        print(f"FAILED {name}: {failure}\n    Blender's output: {blender.job / 'blender.log'}", flush=True)
        passed.append(False)
    return passed


def main(arguments: list[str]) -> int:
    """Provisions and checks what the arguments name; returns the exit code."""
    fixtures_only = arguments[:1] == ["--fixtures"]
    arguments = arguments[fixtures_only:]
    wanted = {name: ROOT / "build" / "blender" / name for name in arguments if name in provision.SUITES}
    if arguments[:1] == ["--folder"]:
        wanted = {Path(path).name: Path(path).resolve() for path in arguments[1:]}
    if not wanted:
        print(__doc__)
        return 2
    results: list[bool] = []
    for name, folder in wanted.items():
        try:
            version = provision.provision(name, folder)
        except provision.NotPossible as reason:
            print(f"WARNING {name} is skipped: {reason}", flush=True)
            continue
        results += check_blender(f"{name} ({version})", folder, fixtures_only=fixtures_only)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return int(not all(results))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
