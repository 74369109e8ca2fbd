"""Our picture of the same scene: read by the add-on's readers, rendered by the reference renderer unless told otherwise."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from dr_backend.geometry import flatten, to_tensors
from dr_backend.raster.refine import refine, refined
from dr_backend.renderers.base import Renderer
from dr_backend.renderers.table import make
from dr_backend.scene import Camera, Scene
from dr_backend.scene.exposure import photo_gain
from dr_backend.shading.surface import seen_from

BAND = 512  # rows of samples at a time, so that shading fits in memory


def _enlarged(camera: Camera, factor: int, first: int, rows: int) -> Camera:
    """The camera over some of its rows, with ``factor`` samples along each side of a pixel."""
    measures = {
        name: np.asarray(value, np.float64) * factor - ([0, first] if "centre" in name else 0)
        for name in ("focal_px", "centre_px", "distortion_focal_px", "distortion_centre_px")
        if (value := getattr(camera, name)) is not None
    }
    return replace(camera, size=(camera.size[0] * factor, rows), **measures)


def render(scene: Scene, camera: str, supersample: int, renderer: Renderer | None = None) -> np.ndarray:
    """Linear premultiplied pixels (H, W, 4), row 0 at the top: the mean of ``supersample``² samples in each pixel."""
    view = scene.cameras[camera]
    width, height = view.size
    flat = flatten(to_tensors(scene))
    flat = refined(flat, refine(flat, [view]))
    renderer = renderer or make("reference", "cpu")
    step = max(1, BAND // supersample)
    bands = []
    with torch.no_grad():
        for row in range(0, height, step):
            rows = min(step, height - row)
            band = _enlarged(view, supersample, row * supersample, rows * supersample)
            out = renderer.render(seen_from(flat, band), [band])[0]
            picture = torch.cat([out.rgb, out.alpha[..., None]], -1).permute(2, 0, 1)[None]
            bands.append(F.avg_pool2d(picture, supersample)[0].permute(1, 2, 0).numpy())
    picture = np.concatenate(bands)
    gain = photo_gain(view)
    if gain is not None:
        picture[..., :3] *= gain
    return picture
