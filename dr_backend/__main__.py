"""Command line of the backend: ``python -m dr_backend fit JOB | render JOB | doctor``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .language import speak_as
from .memory import keep_freed_memory


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("dr_backend", description="Differentiable-rendering backend of Fit to Photo")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="fit a job folder; events on stdout, commands on stdin")
    fit.add_argument("job", type=Path)
    render = commands.add_parser("render", help="render a job folder's scene, with its result if it has one, into renders/")
    render.add_argument("job", type=Path)
    doctor = commands.add_parser("doctor", help="say what is installed and what works")
    doctor.add_argument("--json", action="store_true", help="for programs")
    for command in (fit, doctor):
        command.add_argument("--language", type=Path, metavar="PO", help="a .po file with the language of the sentences; default: English")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the exit code is 0 when it did what it was asked."""
    options = _parser().parse_args(arguments)
    if getattr(options, "language", None) is not None:
        speak_as(options.language)
    keep_freed_memory()
    if options.command == "fit":
        from .worker import Commands, run_fit, take_stdout

        return run_fit(options.job, take_stdout(), Commands(0))
    if options.command == "render":
        from .job import JobError
        from .worker import run_render

        try:
            return run_render(options.job)
        except JobError as error:
            print(f"{error.message}. {error.hint}", file=sys.stderr)
            return 1
    from .doctor import examine

    findings = examine()
    if options.json:
        print(json.dumps([asdict(f) for f in findings]))
    else:
        for finding in findings:
            print(f"{'✓' if finding.ok else '✗'} {finding.sentence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
