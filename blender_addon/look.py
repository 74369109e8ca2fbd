"""How the camera one looks through sees the running fit, beside its photo."""

import sys

import bpy
import numpy as np

from dr_backend.job import JobError, JobFolder

from . import overlay
from .exchange.images import to_srgb
from .proof import Proof
from .redraw import redraw_views


def wanted_camera(proof: Proof) -> str:
    """Name, at the start of the fit, of the camera whose comparison is on the screen; empty when none is."""
    scene = proof.scene
    if scene is None or scene.camera is None or bpy.context.window_manager.fit_to_photo.view == "NONE":
        return ""
    return proof.name_of(scene.camera)


def show_look(job: JobFolder, proof: Proof, camera: str) -> None:
    """Shows what the worker rendered last in the place of Blender's own render."""
    try:
        seen = job.load_look()
    except JobError as error:  # the worker may be replacing the file: the next one follows soon
        print(f"Fit to Photo: a picture of the fit could not be shown: {error}", file=sys.stderr)
        return
    if seen is not None and seen.ndim == 3 and seen.shape[2] == 4 and np.isfinite(seen).all():
        alpha = np.clip(seen[..., 3:].astype(np.float32), 0, 1)
        straight = np.divide(seen[..., :3], alpha, out=np.zeros((*seen.shape[:2], 3), np.float32), where=alpha > 1e-4)
        for name, comparison in proof.compare_now(camera, np.concatenate([to_srgb(straight), alpha], -1)):
            overlay.remember(name, comparison)
            redraw_views()
