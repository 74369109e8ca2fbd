"""All fixtures, in the order of the table."""

from . import bakes, cameras, colors, lamps, mixed, normals, outlines, principled, shadows, skies, textures, trees
from .fixture import FIXTURES

__all__ = ["FIXTURES", "bakes", "cameras", "colors", "lamps", "mixed", "normals", "outlines", "principled", "shadows", "skies", "textures"]
__all__ += ["trees"]
