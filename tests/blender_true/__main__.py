"""``python -m tests.blender_true [WORDS]``: renders every fixture (or those whose name holds a word) and writes docs/blender_true.md."""

import os
import sys

import torch

from .compare import compare
from .gallery import FIXTURES
from .sheet import write_document


def main(words: list[str]) -> int:
    """Prints one line per fixture; writes the document only where all were rendered."""
    torch.set_num_threads(1)
    chosen = [f for f in FIXTURES.values() if not words or any(word in f.path for word in words)]
    outcomes, failed = {}, 0
    for fixture in chosen:
        outcome = compare(fixture)
        outcomes[fixture.path] = outcome
        good = outcome.passes(fixture.gate)
        failed += not good and not fixture.missed
        print(
            f"{'ok  ' if good else 'MISS'} {fixture.path:58} {outcome.psnr:5.1f} dB  IoU {outcome.iou:.4f}  edge {outcome.edge_px:.3f} px"
            f"  {outcome.seconds:4.1f} s  {' | '.join(outcome.warnings)}",
            flush=True,
        )
    write_document(chosen, outcomes, whole=not words)
    return 1 if failed else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # with bpy loaded, Python's own exit can hang
