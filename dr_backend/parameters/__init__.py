"""What may be fitted: one file per parameter, listed here in the order the panel shows them. Torch-free."""

from .base import Parameter
from .base_color_image import BASE_COLOR_IMAGE
from .positions import POSITIONS

PARAMETERS: tuple[Parameter, ...] = (POSITIONS, BASE_COLOR_IMAGE)

__all__ = ["BASE_COLOR_IMAGE", "PARAMETERS", "POSITIONS", "Parameter"]
