"""All fixtures, in the order of the table."""

from . import alpha, bakes, cameras, colors, lamps, lenses, mixed, normals, outlines, principled, shadows, skies, textures, trees
from .fixture import FIXTURES

__all__ = ["FIXTURES", "alpha", "bakes", "cameras", "colors", "lamps", "lenses", "mixed", "normals", "outlines", "principled", "shadows"]
__all__ += ["skies", "textures", "trees"]
