"""Which face each pixel sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .clip import clip_faces
from .project import Projected, View, to_screen

MAX_CANDIDATES = 1 << 20  # (face, row) or (face, pixel) pairs held at a time: about 50 MB
EMPTY = torch.iinfo(torch.int64).max
FAR = -3.0e38  # nearness of an empty pixel


@dataclass(frozen=True)
class Layer:
    """What is in front of the faces wanted next, pixel by pixel. Faces are in order of depth, those of equal depth in order of index.

    At first ``nearness`` is infinite everywhere; where nothing more is wanted it is ``FAR``.
    """

    face_id: Int[Tensor, "H W"]
    nearness: Float[Tensor, "H W"]  # as it was found: taking it from depths would round it


@dataclass(frozen=True)
class Spans:
    """Runs of pixels of one row that one triangle covers."""

    triangle: Int[Tensor, " S"]
    row: Int[Tensor, " S"]
    first: Int[Tensor, " S"]
    count: Int[Tensor, " S"]


def _blocks(counts: Int[Tensor, " N"], limit: int) -> Iterator[slice]:
    """Slices of consecutive entries whose counts add up to at most ``limit`` (or hold a single entry)."""
    total = counts.cumsum(0)
    start = 0
    while start < len(counts):
        done = int(total[start - 1]) if start else 0
        stop = max(int(torch.searchsorted(total, done + limit, right=True)), start + 1)
        yield slice(start, stop)
        start = stop


def _expand(counts: Int[Tensor, " N"]) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
    """For every item of every entry: the entry's index and the item's number within it."""
    owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    start = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - start[owner]


def _first_centre(value: Float[Tensor, "*n"], size: int) -> Int[Tensor, "*n"]:
    """Index of the first pixel whose centre lies at or after ``value``, kept within 0..size."""
    return (value - 0.5).ceil().clamp(0, size).long()


def _spans(xy: Float[Tensor, "T 3 2"], width: int, height: int) -> Iterator[Spans]:
    """Pixel runs of triangles, in order, a bounded number at a time.

    A row meets an edge if its centre lies in [lower y, upper y); the crossing is computed from the lower to the upper vertex,
    so both faces of a shared edge find the same number: no pixel is left out, and none is counted twice.
    """
    y = xy[..., 1]
    first_row, end_row = _first_centre(y.amin(1), height), _first_centre(y.amax(1), height)
    filled = torch.nonzero(end_row > first_row).squeeze(1)
    xy, first_row, end_row = xy[filled], first_row[filled], end_row[filled]
    start, end = xy, xy.roll(-1, 1)
    upward = (start[..., 1] <= end[..., 1])[..., None]
    low, high = torch.where(upward, start, end), torch.where(upward, end, start)
    rise = high[..., 1] - low[..., 1]
    slope = (high[..., 0] - low[..., 0]) / torch.where(rise > 0, rise, 1.0)
    edges = torch.cat([low[..., 0], slope, low[..., 1], high[..., 1]], dim=1)
    for block in _blocks(end_row - first_row, MAX_CANDIDATES // 8):
        owner, number = _expand(end_row[block] - first_row[block])
        owner += block.start
        row = first_row[owner] + number
        low_x, slopes, low_y, high_y = edges.index_select(0, owner).split(3, dim=1)
        centre = (row.to(xy.dtype) + 0.5)[:, None]
        meets = (low_y <= centre) & (centre < high_y)
        crossing = torch.addcmul(low_x, centre - low_y, slopes)
        first = _first_centre(torch.where(meets, crossing, torch.inf).amin(1), width)
        stop = _first_centre(torch.where(meets, crossing, -torch.inf).amax(1), width)
        kept = torch.nonzero(stop > first).squeeze(1)
        yield Spans(filled[owner[kept]], row[kept], first[kept], (stop - first)[kept])


def _planes(xy: Float[Tensor, "T 3 2"], nearness: Float[Tensor, "T 3"]) -> Float[Tensor, "T 7"]:
    """Nearness as a plane over the screen: slopes in x and y, a point (x, y, value), and the range of the corners.

    Outside that range the plane of a thin triangle is rounding error.
    """
    a, b = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
    da, db = nearness[:, 1] - nearness[:, 0], nearness[:, 2] - nearness[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    inverse = torch.where(area != 0, 1.0 / torch.where(area != 0, area, 1.0), 0.0)
    slope_x, slope_y = (da * b[:, 1] - db * a[:, 1]) * inverse, (db * a[:, 0] - da * b[:, 0]) * inverse
    return torch.stack(
        [slope_x, slope_y, xy[:, 0, 0], xy[:, 0, 1], nearness[:, 0], nearness.amin(1), nearness.amax(1)], dim=1
    )


def _nearness_of(key: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Nearness that ``_sort_key`` was made from; ``FAR`` where the pixel stayed empty."""
    ordered = (key >> 32).int()
    return torch.where(key == EMPTY, FAR, -(ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32))


def _sort_key(nearness: Float[Tensor, " N"], face: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
    """One integer that orders by depth, nearest first, then by face: float bits order like integers once negatives are turned over."""
    bits = (-nearness).float().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32) | face


@torch.no_grad()
def rasterize(
    projected: Projected,
    faces: Int[Tensor, "F 3"],
    view: View,
    shown: Bool[Tensor, " F"] | None = None,
    behind: Layer | None = None,
) -> tuple[Int[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Index and depth of the nearest face at each pixel centre; -1 and infinite where there is none.

    Equal depths go to the lower index. Faces are seen from both sides unless ``shown`` leaves them out.
    Faces that cross the near plane are cut there. With ``behind`` the next face after that layer's, and its nearness (``FAR`` where
    there is none) instead of its depth.
    No gradients: see ``interpolate`` and ``coverage``.
    """
    source = None if shown is None else torch.nonzero(shown).squeeze(1)
    faces = faces if source is None else faces[source]
    if faces.numel() and bool((projected.depth < view.near).any()):
        corners, part_of = clip_faces(projected.camera[faces], view.near)
        source = part_of if source is None else source[part_of]
        xy, nearness = to_screen(corners, view)
    else:
        xy, nearness = projected.xy[faces], projected.nearness[faces]
    nearest = torch.full((view.height * view.width,), EMPTY, device=faces.device)
    passed = None if behind is None else _sort_key(behind.nearness.reshape(-1), behind.face_id.reshape(-1).long().clamp_min(0))
    planes = _planes(xy, nearness)
    for spans in _spans(xy, view.width, view.height):
        for block in _blocks(spans.count, MAX_CANDIDATES):
            triangle, row, first = spans.triangle[block], spans.row[block], spans.first[block]
            slope_x, slope_y, x, y, value, low, high = planes.index_select(0, triangle).unbind(1)
            at_first = value + slope_y * (row + 0.5 - y) + slope_x * (first + 0.5 - x)
            owner, number = _expand(spans.count[block])
            line = torch.stack([at_first, slope_x, low, high], dim=1).index_select(0, owner)
            reached = torch.addcmul(line[:, 0], line[:, 1], number.to(line.dtype))
            reached = torch.minimum(torch.maximum(reached, line[:, 2]), line[:, 3])
            pixel = (row * view.width + first)[owner] + number
            key = _sort_key(reached, (triangle if source is None else source[triangle])[owner])
            if passed is not None:
                key = torch.where(key > passed[pixel], key, EMPTY)
            nearest.scatter_reduce_(0, pixel, key, "amin")
    face_id = torch.where(nearest == EMPTY, -1, nearest & 0xFFFFFFFF).view(view.height, view.width)
    reached = _nearness_of(nearest).to(xy.dtype).view(view.height, view.width)
    if behind is not None:
        return face_id, reached
    return face_id, torch.where(face_id < 0, torch.inf, reached.reciprocal() if view.perspective else -reached)
