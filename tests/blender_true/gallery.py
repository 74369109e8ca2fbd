"""All fixtures, in the order of the table."""

from . import bakes, cameras, colors, lamps, mixed, normals, outlines, principled, shadows, skies, textures
from .fixture import FIXTURES

__all__ = ["FIXTURES", "bakes", "cameras", "colors", "lamps", "mixed", "normals", "outlines", "principled", "shadows", "skies", "textures"]
