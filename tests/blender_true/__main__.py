"""Renders every fixture and writes docs/blender_true.md.

    python -m tests.blender_true                    all of them
    python -m tests.blender_true WORDS              those whose name holds a word; the sheets go to the system's temporary folder
    python -m tests.blender_true --taken FOLDER     as another Blender left them in FOLDER (tests/real_blender), without a page
"""

import os
import sys
from pathlib import Path

import torch

from .compare import compare
from .gallery import FIXTURES
from .sheet import write_document
from .taken import load_taken


def main(words: list[str]) -> int:
    """Prints one line per fixture, then how many reach their gate; returns the exit code."""
    torch.set_num_threads(1)
    folder = Path(words[1]) if words[:1] == ["--taken"] else None
    chosen = [f for f in FIXTURES.values() if folder or not words or any(word in f.path for word in words)]
    outcomes, failed = {}, 0
    for fixture in chosen:
        outcome = compare(fixture, None if folder is None else load_taken(folder / fixture.file_name))
        outcomes[fixture.path] = outcome
        good = outcome.passes(fixture.gate)
        failed += not good and not fixture.missed
        print(
            f"{'ok  ' if good else 'MISS'} {fixture.path:58} {outcome.psnr:5.1f} dB  IoU {outcome.iou:.4f}  edge {outcome.edge_px:.3f} px"
            f"  {outcome.seconds:4.1f} s  {' | '.join(outcome.warnings)}",
            flush=True,
        )
    lit = [o.psnr for f, o in zip(chosen, outcomes.values(), strict=True) if f.gate.psnr is not None]
    lowest = f", the lowest at {min(lit):.1f} dB" if lit else ""
    print(f"{sum(outcomes[f.path].passes(f.gate) for f in chosen)} of {len(chosen)} gates are reached{lowest}", flush=True)
    if folder is None:
        write_document(chosen, outcomes, whole=not words)
    return 1 if failed else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # with bpy loaded, Python's own exit can hang
