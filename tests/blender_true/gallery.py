"""All fixtures, in the order of the table."""

from . import cameras, lamps, normals, outlines, principled, shadows, skies, textures
from .fixture import FIXTURES

__all__ = ["FIXTURES", "cameras", "lamps", "normals", "outlines", "principled", "shadows", "skies", "textures"]
