"""The command line: ``blender -b scene.blend --command fit_to_photo --output fitted.blend --report report.json``."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import bpy

from dr_backend.job import QUALITIES
from dr_backend.parameters import PARAMETERS

from . import session
from .figures import change, worst_camera
from .operators.fit import run_blocking
from .progress import duration
from .properties import RENDERER_NAMES, fit_settings
from .selection import Wanted

NAME = "fit_to_photo"
EXIT_CODES = {session.State.DONE: 0, session.State.CANCELLED: 3, session.State.FAILED: 1}
_handle: object | None = None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"blender -b scene.blend --command {NAME}",
        description="Fit meshes and textures to the photos behind the scene's cameras. What is not given here is taken from the scene.",
        epilog="Exit code: 0 fitted, 1 failed, 2 wrong arguments, 3 stopped with Ctrl-C.",
    )
    add = parser.add_argument
    add("--output", type=Path, metavar="BLEND", help="where to save the fitted scene; default: NAME_fitted.blend beside the scene")
    add("--report", type=Path, metavar="JSON", help="where to write the numbers")
    add("--sheet", type=Path, metavar="PNG", help="where to write photos, renders before and renders after side by side")
    for kind in ("meshes", "cameras", "lights"):
        add(f"--{kind}", nargs="+", default=(), metavar="NAME", help=f"{kind} to use; default: as selected in the scene")
    for parameter in PARAMETERS:
        add(f"--{parameter.key}", action=argparse.BooleanOptionalAction, help=parameter.help)
    add("--quality", choices=QUALITIES)
    add("--renderer", choices=RENDERER_NAMES)
    add("--device", choices=("auto", "cpu", "cuda"))
    add("--seed", type=int)
    add("--texture-size", type=int, metavar="TEXELS", help="side of the painted image; 0: from the photos")
    add("--stiffness", type=float, help="how strongly neighbouring vertices move together; 1 suits most meshes")
    add("--render-report", action=argparse.BooleanOptionalAction, help="render every camera with Blender before and after the fit")
    add("--python", default="", metavar="PATH", help="the backend's Python")
    return parser


def _fail(message: str) -> int:
    print(f"Fit to Photo: {message}", file=sys.stderr)
    return 1


def run(arguments: list[str]) -> int:
    """Fits the open scene and saves it; the exit code is 0 when it was fitted."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as stop:  # --help, or arguments that argparse has already complained about
        return int(stop.code or 0)
    scene = bpy.context.scene
    names = [p.key for p in PARAMETERS] + ["quality", "renderer", "device", "seed", "texture_size", "stiffness"]
    chosen = {name: value for name in names if (value := getattr(given, name)) is not None}
    output = given.output.resolve() if given.output else _default_output()
    if output is None:
        return _fail("the scene was never saved: say with --output where the result goes")
    render_report = scene.fit_to_photo.render_report if given.render_report is None else given.render_report
    try:
        settings = replace(fit_settings(scene), **chosen)
        fit = session.start(
            scene,
            bpy.context.view_layer,
            settings=settings,
            wanted=Wanted(tuple(given.meshes), tuple(given.cameras), tuple(given.lights)),
            options=session.Options(render_report, given.python, given.sheet.resolve() if given.sheet else None),
        )
    except (session.CannotStart, ValueError) as problem:
        return _fail(str(problem))
    run_blocking(fit)
    return _conclude(fit, output, given.report)


def _default_output() -> Path | None:
    opened = bpy.data.filepath
    return Path(opened).with_name(f"{Path(opened).stem}_fitted.blend") if opened else None


def _conclude(fit: session.Session, output: Path, report: Path | None) -> int:
    """Saves scene and numbers, prints the summary of three lines."""
    for warning in fit.warnings:
        print(f"Fit to Photo: warning: {warning}", file=sys.stderr)
    code = EXIT_CODES[fit.state]
    try:
        if fit.changed:
            output.parent.mkdir(parents=True, exist_ok=True)
            bpy.ops.wm.save_as_mainfile(filepath=str(output), copy=True, check_existing=False)
        if report is not None:
            summary = fit.report or {"status": fit.state.value, "message": fit.message, "warnings": fit.warnings, "cameras": []}
            report.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        code = _fail(f"the result could not be saved: {error}")
    print(f"Fit to Photo: {fit.message}")
    print(f"Fit to Photo: {_numbers(fit)}")
    print(f"Fit to Photo: {f'saved as {output}' if fit.changed else 'nothing was saved'}", flush=True)
    return code


def _numbers(fit: session.Session) -> str:
    """Mean figures over all photos, time and renderer in one line."""
    parts = []
    cameras = fit.report.get("cameras", [])
    for label, key, digits in (("PSNR", "psnr", 1), ("mask IoU", "mask_iou", 3)):
        pairs = [(c[f"{key}_before"], c[f"{key}_after"]) for c in cameras]
        measured = [pair for pair in pairs if None not in pair]
        if measured:
            before, after = (sum(values) / len(measured) for values in zip(*measured, strict=True))
            parts.append(f"{label} {change(before, after, digits)}")
    if worst := worst_camera(fit.report):
        parts.append(f"worst photo {worst}")
    if fit.report:
        parts.append(duration(fit.report["seconds"]))
    if fit.progress.renderer:
        parts.append(f"{fit.progress.renderer} on {fit.progress.device}")
    return ", ".join(parts) or "no numbers"


def register() -> None:
    """Adds the command to Blender."""
    global _handle
    _handle = bpy.utils.register_cli_command(NAME, run)


def unregister() -> None:
    """Takes it away."""
    global _handle
    if _handle is not None:
        bpy.utils.unregister_cli_command(_handle)
        _handle = None
