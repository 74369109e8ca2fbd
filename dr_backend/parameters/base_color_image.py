"""The image behind a material's Base Color."""

from .base import Parameter

BASE_COLOR_IMAGE = Parameter(
    key="texture",
    label="Texture",
    group="materials",
    field="base_color_image",
    parameterization="pyramid",
    rate=0.05,  # of a sigmoid's argument, per step
    help="Paint the base color image from the photos",
)
