"""Where new cameras stand: in a ring around the chosen objects, near enough to fill the picture with them."""

import math
from collections.abc import Iterable

import bpy
from mathutils import Matrix, Vector

_ELEVATION_RAD = math.radians(10)  # a photographer stands a little higher than what is photographed
_MARGIN = 1.1


def bounding_sphere(objects: Iterable[bpy.types.Object]) -> tuple[Vector, float]:
    """Centre and radius of a sphere around the objects' bounding boxes in world space; the unit sphere without any object."""
    corners = [obj.matrix_world @ Vector(corner) for obj in objects for corner in obj.bound_box]
    if not corners:
        return Vector((0, 0, 0)), 1.0
    lowest, highest = (Vector(pick(corner[axis] for corner in corners) for axis in range(3)) for pick in (min, max))
    radius = (highest - lowest).length / 2
    return (lowest + highest) / 2, radius if radius > 1e-6 else 1.0


def ring_matrix(index: int, count: int, centre: Vector, distance: float) -> Matrix:
    """``world_from_camera`` of one of ``count`` cameras: the first one in front (-Y), the others counter-clockwise seen from above."""
    turn = Matrix.Rotation(2 * math.pi * index / count, 4, "Z")
    upright = Matrix.Rotation(math.pi / 2 - _ELEVATION_RAD, 4, "X")
    return Matrix.Translation(centre) @ turn @ upright @ Matrix.Translation((0, 0, distance))


def filling_distance(radius: float, focal_px: float, size: tuple[int, int]) -> float:
    """Distance from which a sphere of that radius just fits into a photo of ``size`` pixels, with a margin."""
    half_angle = math.atan(min(size) / 2 / focal_px)
    return _MARGIN * radius / math.sin(half_angle)
