"""One fixture, rendered by both and measured."""

import time
from dataclasses import dataclass

import numpy as np

from blender_addon.exchange import read_scene

from . import blender_render, our_render
from .fixture import Fixture, Gate
from .metrics import edge_distance, mask_iou, psnr
from .studio import Studio


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


def compare(fixture: Fixture) -> Outcome:
    """Builds the fixture in an empty file and renders it twice."""
    start = time.perf_counter()
    studio = Studio()
    fixture.build(studio)
    studio.finish()
    exported = read_scene(studio.scene, studio.meshes, [studio.camera], studio.lights, geometry=False, texture=False, lit=fixture.lit)
    found = our_render.render(exported, studio.camera.name, fixture.supersample)
    if not fixture.lit:
        blender_render.show_base_colors()
    studio.before_cycles()
    wanted = blender_render.render(studio.scene, fixture.samples, display=fixture.display)
    return Outcome(
        ours=found,
        cycles=wanted,
        psnr=psnr(found[..., :3], wanted[..., :3]),
        iou=mask_iou(found[..., 3], wanted[..., 3]),
        edge_px=edge_distance(found[..., 3], wanted[..., 3]),
        warnings=exported.warnings,
        seconds=time.perf_counter() - start,
    )
