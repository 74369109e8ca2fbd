"""Anti-aliased outlines: the image around each crossing, blended by where it crosses, and what that means for the edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Stage, Work, graphics_kernel, inside_kernel, kernel, once
from ..project import View
from .cuts import pull_cuts
from .lanes import FETCH
from .outline import line_of
from .screen import Lens, cut, lens_of
from .sums import add_into


@dataclass(frozen=True)
class Crossings:
    """Seen crossings, the outermost of each pair of pixels."""

    edge: Int[Tensor, " E"]  # of the first E crossings; some may not be used
    cut: Int[Tensor, "D 2"] | None  # of the others, if there are any: the faces that cut through each other, the inner pixel's first
    inner: Int[Tensor, " C"]  # row * width + column of the pixel on the surface's side; -1 for one that is not used
    outer: Int[Tensor, " C"]
    distance: Float[Tensor, " C"]  # from the inner centre towards the outer one, 0..1


@dataclass(frozen=True)
class Blend:
    """What the backward pass needs to know of the outlines of a view."""

    crossings: Crossings
    target: Int[Tensor, " C"]  # the pixel that takes some of the other's colour
    share: Float[Tensor, " C"]
    scale: Float[Tensor, " C"]  # of the share, where several claim more than the whole pixel
    rgb: Float[Tensor, "C 3"] | None  # the other's colour less the target's
    alpha: Float[Tensor, " C"]


# C++ as in ``lookup``. A box filter one pixel wide across a crossing: what share the target takes, which is -1 if the crossing is not used.
_SHARE = """
const auto share_one = [&](int c) {
    const float along = distance.data[c];
    const bool before = along < 0.5f;
    const int taking = inner.data[c] < 0 ? -1 : before ? inner.data[c] : outer.data[c];
    target.data[c] = taking;
    share.data[c] = before ? 0.5f - along : along - 0.5f;
    if (taking >= 0) claimed.data[taking] = 0.0f;  // nothing, yet
};
"""
# Then how far the other pixel's colour and coverage are from the target's, and how much of the share there is room for.
_MIX = """
const auto mix_one = [&](int c) {
    const int t = target.data[c], other = t == inner.data[c] ? outer.data[c] : inner.data[c];
    if (t < 0) return;
    scale.data[c] = claimed.data[t] > 1.0f ? 1.0f / claimed.data[t] : 1.0f;
    step_alpha.data[c] = alpha.data[other] - alpha.data[t];
    if (rgb.data) step_rgb.data[c] = rgb.data[other] - rgb.data[t];
};
"""


@wp.func_native(_SHARE + "share_one(c);")
def share_crossing(c: int, inner: Ints, outer: Ints, distance: Floats, target: Ints, share: Floats, claimed: Floats):
    """See ``_SHARE``."""
    ...


@wp.func_native(_MIX + "mix_one(c);")
def mix_crossing(
    c: int, inner: Ints, outer: Ints, target: Ints, claimed: Floats, rgb: Vec3s, alpha: Floats, scale: Floats, step_rgb: Vec3s,
    step_alpha: Floats,
):
    """See ``_MIX``."""
    ...


@wp.func_native(once(_SHARE + _MIX + FETCH + """
const int count = inner.shape[0];
for (int c = 0; c < count; ++c) {
    share_one(c);
    if (target.data[c] < 0) continue;
    fetch(alpha.data + inner.data[c]), fetch(alpha.data + outer.data[c]);  // who painted them was another thread
    if (rgb.data) fetch(rgb.data + inner.data[c]), fetch(rgb.data + outer.data[c]);
}
for (int c = 0; c < count; ++c) if (target.data[c] >= 0) claimed.data[target.data[c]] += share.data[c];
for (int c = 0; c < count; ++c) mix_one(c);
for (int c = 0; c < count; ++c) {
    const int t = target.data[c];
    if (t < 0) continue;
    const float part = share.data[c] * scale.data[c];
    alpha.data[t] += step_alpha.data[c] * part;
    if (rgb.data) rgb.data[t] += step_rgb.data[c] * part;
}
"""))
def blend_crossings(
    inner: Ints, outer: Ints, distance: Floats, target: Ints, share: Floats, claimed: Floats, rgb: Vec3s, alpha: Floats, scale: Floats,
    step_rgb: Vec3s, step_alpha: Floats,
):
    """Shares, mixes and adds up in the order of crossings."""
    ...


@kernel
def _blend(
    first: int, inner: Ints, outer: Ints, distance: Floats, target: Ints, share: Floats, claimed: Floats, rgb: Vec3s, alpha: Floats,
    scale: Floats, step_rgb: Vec3s, step_alpha: Floats,
):
    """See ``blend_crossings``, which on a processor takes less time than sharing it out. There is one owner."""
    blend_crossings(inner, outer, distance, target, share, claimed, rgb, alpha, scale, step_rgb, step_alpha)


@graphics_kernel
def _share(first: int, inner: Ints, outer: Ints, distance: Floats, target: Ints, share: Floats, claimed: Floats):
    """See ``_SHARE``. The owner is a crossing."""
    share_crossing(first + wp.tid(), inner, outer, distance, target, share, claimed)


@graphics_kernel
def _mix(
    first: int, inner: Ints, outer: Ints, target: Ints, claimed: Floats, rgb: Vec3s, alpha: Floats, scale: Floats, step_rgb: Vec3s,
    step_alpha: Floats, share: Floats, more_rgb: Vec3s, more_alpha: Floats,
):
    """See ``_MIX``; and what that adds to the target. The owner is a crossing."""
    c = first + wp.tid()
    mix_crossing(c, inner, outer, target, claimed, rgb, alpha, scale, step_rgb, step_alpha)
    if target[c] >= 0:
        more_alpha[c] = step_alpha[c] * (share[c] * scale[c])
        if rgb.shape[0] > 0:
            more_rgb[c] = step_rgb[c] * (share[c] * scale[c])


@wp.func
def unproject(p: wp.vec3, by_x: float, by_y: float, lens: Lens) -> wp.vec3:
    """The gradient for a point in camera space from that for its pixel position."""
    u, v = by_x * lens.focal[0], -by_y * lens.focal[1]
    if lens.perspective == 0:
        return wp.vec3(u, v, 0.0)
    nearness = -1.0 / p[2]
    return wp.vec3(u * nearness, v * nearness, (u * p[0] + v * p[1]) * nearness * nearness)


@wp.func
def slide(inside: wp.vec3, outside: wp.vec3, near: float) -> float:
    """How far from inside to outside the near plane lies."""
    return (inside[2] + near) / (inside[2] - outside[2])


@kernel
def _ask(
    first: int, inner: Ints, outer: Ints, distance: Floats, target: Ints, share: Floats, scale: Floats, step_rgb: Vec3s,
    step_alpha: Floats, by_rgb: Vec3s, by_alpha: Floats, by_distance: Floats, pixels: Ints, more_rgb: Vec3s,
):
    """Gradients for a crossing's distance, and for the colours of its two pixels. The owner is a crossing."""
    c = first + wp.tid()
    t = target[c]
    pixels[2 * c] = -1
    pixels[2 * c + 1] = -1
    if t < 0:
        return
    asked = float(0.0)
    if by_alpha.shape[0] > 0:
        asked += by_alpha[t] * step_alpha[c]
    if by_rgb.shape[0] > 0:
        asked += wp.dot(by_rgb[t], step_rgb[c])
        taken = by_rgb[t] * share[c] * scale[c]
        pixels[2 * c] = t
        pixels[2 * c + 1] = wp.where(t == inner[c], outer[c], inner[c])
        more_rgb[2 * c] = -taken
        more_rgb[2 * c + 1] = taken
    # short of half-way the share falls with the distance
    by_distance[c] = asked * scale[c] * wp.where(distance[c] < 0.5, -1.0, 1.0)


@kernel
def _pull_edges(
    first: int, edge: Ints, inner: Ints, outer: Ints, by_distance: Floats, vertices: Ints, camera: Vec3s, near: float, lens: Lens,
    place: Ints, by_end: Vec3s, by_lens: Floats,
):
    """Gradients for the ends of a crossing's edge, and for the intrinsics. The owner is a crossing."""
    c = first + wp.tid()
    place[2 * c] = -1
    place[2 * c + 1] = -1
    if inner[c] < 0:
        return
    e = edge[c]
    by_position = by_distance[c]
    if outer[c] < inner[c]:  # the distance grows where the position falls
        by_position = -by_position

    i, j = vertices[2 * e], vertices[2 * e + 1]
    a, b = camera[i], camera[j]
    line = line_of(a, b, near, lens)
    centre = float(inner[c] / lens.width) + 0.5
    if line.steep == 0:
        centre = float(inner[c] % lens.width) + 0.5
    run = line.end[1] - line.start[1]
    fraction = (centre - line.start[1]) / run
    slope = (line.end[0] - line.start[0]) / run
    by_start, by_stop = by_position * (1.0 - fraction), by_position * fraction
    start_x, start_y, end_x, end_y = by_start, -slope * by_start, by_stop, -slope * by_stop
    if line.steep == 0:
        start_x, start_y, end_x, end_y = start_y, start_x, end_y, end_x

    cut_a, cut_b = slide(b, a, near), slide(a, b, near)
    p, q = wp.vec3(a), wp.vec3(b)
    if a[2] > -near:
        p = cut(b, a, near)
    if b[2] > -near:
        q = cut(a, b, near)
    by_a, by_b = unproject(p, start_x, start_y, lens), unproject(q, end_x, end_y, lens)
    if a[2] > -near:  # the end slides along the edge, staying on the near plane
        along = (by_a[0] * (a[0] - b[0]) + by_a[1] * (a[1] - b[1])) / (b[2] - a[2])
        moved = wp.vec3(by_a[0], by_a[1], 0.0)
        by_b += (1.0 - cut_a) * (moved + wp.vec3(0.0, 0.0, along))
        by_a = cut_a * (moved + wp.vec3(0.0, 0.0, along))
    elif b[2] > -near:
        along = (by_b[0] * (b[0] - a[0]) + by_b[1] * (b[1] - a[1])) / (a[2] - b[2])
        moved = wp.vec3(by_b[0], by_b[1], 0.0)
        by_a += (1.0 - cut_b) * (moved + wp.vec3(0.0, 0.0, along))
        by_b = cut_b * (moved + wp.vec3(0.0, 0.0, along))
    place[2 * c] = i
    place[2 * c + 1] = j
    by_end[2 * c] = by_a
    by_end[2 * c + 1] = by_b
    if by_lens.shape[0] > 0:
        s, r = screen_offset(p, lens), screen_offset(q, lens)
        by_lens[4 * c] = start_x + end_x
        by_lens[4 * c + 1] = start_y + end_y
        by_lens[4 * c + 2] = start_x * s[0] + end_x * r[0]
        by_lens[4 * c + 3] = start_y * s[1] + end_y * r[1]


@wp.func
def screen_offset(p: wp.vec3, lens: Lens) -> wp.vec2:
    """A point's pixel position less the centre, per pixel of focal length."""
    if lens.perspective == 0:
        return wp.vec2(p[0], -p[1])
    return wp.vec2(p[0] / -p[2], p[1] / p[2])


def blend(
    found: Crossings, alpha: Float[Tensor, "H W"], rgb: Float[Tensor, "H W 3"] | None, launcher: Launcher
) -> tuple[Blend, list[Stage]]:
    """Blends colours and coverage in place; what does it is still to be run."""
    count = found.inner.shape[0]
    claimed, target = launcher.empty(*alpha.shape), launcher.empty(count, dtype=torch.int32)
    share, scale, step = (launcher.empty(count) for _ in range(3))
    step_rgb = None if rgb is None else launcher.empty(count, 3)
    pixels, mixed = [found.inner, found.outer], [rgb, alpha, scale, step_rgb, step]
    made = Blend(found, target, share, scale, step_rgb, step)
    if launcher.device.type == "cpu":
        return made, [Launch(_blend, 1, *pixels, found.distance, target, share, claimed, *mixed, alone=True)]
    more, more_rgb = torch.empty_like(step), None if step_rgb is None else torch.empty_like(step_rgb)
    portion = Launch(_share, count, *pixels, found.distance, target, share, claimed)
    mix = Launch(_mix, count, *pixels, target, claimed, *mixed, share, more_rgb, more)
    adding = [add_into(alpha, target, more, launcher)]
    if rgb is not None and more_rgb is not None:
        adding.append(add_into(rgb, target, more_rgb, launcher))
    return made, [portion, add_into(claimed, target, share, launcher), mix, adding]


def unblend(
    made: Blend, by_rgb: Float[Tensor, "H W 3"] | None, by_alpha: Float[Tensor, "H W"] | None, camera: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"], edge_vertices: Int[Tensor, "E 2"], view: View, launcher: Launcher, grad_camera: Float[Tensor, "V 3"],
    intrinsics: bool,
) -> tuple[Float[Tensor, "C 4"] | None, list[Stage]]:
    """The adjoint of ``blend``: ``by_rgb`` becomes the gradient for the unblended colours in place, vertices' goes into ``grad_camera``.

    Exact for the outline's position and the colours beside it; which pixels see what is constant.

    Returns:
        With ``intrinsics`` gradients for centre x, centre y, focal x and focal y that are to be added up; and what is still to be run.
    """
    found = made.crossings
    count, edges, cuts = len(found.inner), len(found.edge), 0 if found.cut is None else len(found.cut)
    by_distance = launcher.empty(count)
    pixels = launcher.empty(count, 2, dtype=torch.int32)
    more_rgb = None if by_rgb is None else launcher.empty(count, 2, 3)
    ask = Launch(
        _ask, count, found.inner, found.outer, found.distance, made.target, made.share, made.scale, made.rgb, made.alpha, by_rgb, by_alpha,
        by_distance, pixels, more_rgb,
    )
    handing: list[Work] = []
    if by_rgb is not None and more_rgb is not None:
        handing.append(add_into(by_rgb, pixels, more_rgb, launcher))
    place = launcher.empty(edges, 2, dtype=torch.int32)
    by_end = launcher.empty(edges, 2, 3)
    by_lens = launcher.zeros(edges + cuts, 4) if intrinsics else None
    lens = lens_of(view)
    handing.append(Launch(
        _pull_edges, edges, found.edge, found.inner, found.outer, by_distance, edge_vertices, camera, view.near, lens, place, by_end,
        by_lens,
    ))
    adding = [add_into(grad_camera, place, by_end, launcher)]
    if cuts:
        place = launcher.empty(cuts, 6, dtype=torch.int32)
        by_corner = launcher.empty(cuts, 6, 3)
        tail = None if by_lens is None else by_lens[edges:]
        handing.append(Launch(
            pull_cuts, cuts, found.cut, found.inner[edges:], found.outer[edges:], by_distance[edges:], faces, camera, lens,
            place, by_corner, tail,
        ))
        adding.append(add_into(grad_camera, place, by_corner, launcher))
    return by_lens, [ask, handing, *adding]
