"""The schedule of a fit: a few stages from coarse to fine."""

from dataclasses import dataclass

from .job import FitSettings
from .language import phrase


@dataclass(frozen=True)
class Stage:
    """One stage: which leaves move, at which image size, for how long, and which losses drive them."""

    name: str
    max_side: int  # photos are reduced to this many pixels along their longer side
    steps: int
    views: int  # photos per step
    geometry: bool
    texture: bool
    smoothing: float  # λ of the large-steps parameterization
    rate: float  # factor on every parameter's rate at the start; falls to a tenth along a cosine
    silhouette: float  # weights of the losses
    photometric: float
    coarse: bool = False  # far from the photos: a soft renderer's long reach helps


# quality: longest side and number of steps of: coarse outline, outline, shape and texture, texture
_EFFORT = {
    "draft": ((96, 80), (160, 80), (224, 80), (384, 60)),
    "standard": ((128, 100), (256, 120), (320, 160), (1024, 80)),
    "high": ((128, 200), (384, 300), (768, 300), (2048, 300)),
}


def plan_stages(settings: FitSettings, *, masks: bool) -> list[Stage]:
    """The stages that fit what ``settings`` ask for; ``masks`` says whether any fitted photo has one."""
    coarse, outline, both, paint = _EFFORT[settings.quality]
    k = settings.stiffness
    stages = []
    if settings.geometry and masks:
        stages += [
            Stage(phrase("Rough Outline"), *coarse, 6, True, False, 10 * k, 1.6, 1.0, 0.0, coarse=True),
            Stage(phrase("Outline"), *outline, 4, True, False, 5 * k, 0.8, 1.0, 0.0),
        ]
    if settings.geometry:
        name = phrase("Shape and Texture") if settings.texture else phrase("Shape")
        stages.append(Stage(name, *both, 4, True, settings.texture, 5 * k, 0.8, 1.0, 3.0))
    if settings.texture:
        stages.append(Stage(phrase("Texture"), *paint, 2, False, True, 1.0, 1.0, 0.0, 1.0))
    return stages
