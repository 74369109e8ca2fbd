"""One fixture, rendered by both and measured."""

import time
from dataclasses import dataclass

import numpy as np

from . import our_render
from .fixture import Fixture, Gate
from .metrics import edge_distance, mask_iou, psnr
from .take import take
from .taken import Taken


@dataclass(frozen=True)
class Outcome:
    """Both pictures (H, W, 4), what was measured and what the reader said."""

    ours: np.ndarray
    cycles: np.ndarray
    psnr: float
    iou: float
    edge_px: float
    warnings: list[str]
    seconds: float

    def passes(self, gate: Gate) -> bool:
        """Whether everything that the gate asks for is reached."""
        if gate.psnr is not None:
            return self.psnr >= gate.psnr
        return self.iou >= gate.iou and self.edge_px <= gate.edge_px


def compare(fixture: Fixture, taken: Taken | None = None) -> Outcome:
    """Renders the fixture twice; what another Blender took of it may stand in for this one's."""
    start = time.perf_counter()
    taken = taken or take(fixture)
    found = our_render.render(taken.scene, taken.camera, fixture.supersample)
    return Outcome(
        ours=found,
        cycles=taken.cycles,
        psnr=psnr(found[..., :3], taken.cycles[..., :3]),
        iou=mask_iou(found[..., 3], taken.cycles[..., 3]),
        edge_px=edge_distance(found[..., 3], taken.cycles[..., 3]),
        warnings=taken.warnings,
        seconds=time.perf_counter() - start,
    )
