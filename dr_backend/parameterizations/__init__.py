"""Maps between a legal value and free numbers (latents) that an optimizer may move anywhere."""

from .base import Parameterization
from .large_steps import LargeSteps
from .pyramid import Pyramid

__all__ = ["LargeSteps", "Parameterization", "Pyramid"]
