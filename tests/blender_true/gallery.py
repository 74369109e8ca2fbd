"""All fixtures, in the order of the table."""

from . import cameras, colors, lamps, mixed, normals, outlines, principled, shadows, skies, textures
from .fixture import FIXTURES

__all__ = ["FIXTURES", "cameras", "colors", "lamps", "mixed", "normals", "outlines", "principled", "shadows", "skies", "textures"]
