"""Anti-aliased outlines: the image around each crossing, blended by where it crosses, and what that means for the edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec3s
from ...kernels.launch import Launch, Launcher, Stage, Work, graphics_kernel, kernel, once
from ..project import View
from .cuts import pull_cuts
from .lanes import FETCH
from .outline import LINE
from .screen import Lens, lens_of
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


@wp.func_native(once(LINE + """
const wp::vec3* const points = camera.data;
const int *const ends = vertices.data, *const inside = inner.data, *const outside = outer.data, wide = lens.width;
const auto unproject = [&](const wp::vec3& p, float by_x, float by_y) {  // the gradient for a point in camera space
    const float u = by_x * focal_x, v = -by_y * focal_y, nearness = -1.0f / p[2];
    if (!perspective) return wp::vec3(u, v, 0.0f);
    return wp::vec3(u * nearness, v * nearness, (u * p[0] + v * p[1]) * nearness * nearness);
};
const auto offset = [&](const wp::vec3& p, int k) {  // of the pixel position from the centre, per pixel of focal length
    return (k ? -p[1] : p[0]) / (perspective ? -p[2] : 1.0f);
};
const auto slide = [&](const wp::vec3& inside, const wp::vec3& outside, wp::vec3& by_inside, wp::vec3& by_cut) {
    // the cut slides along the edge, staying on the near plane
    const float along = (by_cut[0] * (outside[0] - inside[0]) + by_cut[1] * (outside[1] - inside[1])) / (inside[2] - outside[2]);
    const float share = (inside[2] + near) / (inside[2] - outside[2]);
    const wp::vec3 moved(by_cut[0], by_cut[1], along);
    by_inside += (1.0f - share) * moved;
    by_cut = share * moved;
};
for (int c = start; c < stop; ++c) {
    const int pixel = inside[c];
    place.data[2 * c] = place.data[2 * c + 1] = -1;
    if (pixel < 0) continue;
    const int e = edge.data[c], i = ends[2 * e], j = ends[2 * e + 1];
    const float by_position = outside[c] < pixel ? -by_distance.data[c] : by_distance.data[c];  // the distance grows where it falls
    const wp::vec3 a = points[i], b = points[j];
    const Line line = line_of(a, b);
    const float centre = (float)(line.steep ? pixel / wide : pixel % wide) + 0.5f, run = line.end_across - line.across;
    const float fraction = (centre - line.across) / run, slope = (line.end_along - line.along) / run;
    const float by_start = by_position * (1.0f - fraction), by_stop = by_position * fraction;
    const float start_x = line.steep ? by_start : -slope * by_start, start_y = line.steep ? -slope * by_start : by_start;
    const float end_x = line.steep ? by_stop : -slope * by_stop, end_y = line.steep ? -slope * by_stop : by_stop;
    const bool behind_a = a[2] > -near, behind_b = b[2] > -near;
    const wp::vec3 p = behind_a ? cut(b, a) : a, q = behind_b ? cut(a, b) : b;
    wp::vec3 by_a = unproject(p, start_x, start_y), by_b = unproject(q, end_x, end_y);
    if (behind_a) slide(b, a, by_b, by_a);
    else if (behind_b) slide(a, b, by_a, by_b);
    place.data[2 * c] = i, place.data[2 * c + 1] = j;
    by_end.data[2 * c] = by_a, by_end.data[2 * c + 1] = by_b;
    if (!by_lens.data) continue;
    float* const asked = by_lens.data + 4 * c;
    asked[0] = start_x + end_x, asked[1] = start_y + end_y;
    asked[2] = start_x * offset(p, 0) + end_x * offset(q, 0), asked[3] = start_y * offset(p, 1) + end_y * offset(q, 1);
}
"""))
def pull_crossings(
    start: int, stop: int, edge: Ints, inner: Ints, outer: Ints, by_distance: Floats, vertices: Ints, camera: Vec3s, near: float,
    lens: Lens, place: Ints, by_end: Vec3s, by_lens: Floats,
):
    """Gradients for the ends of crossings' edges, and if there is room for them, for the intrinsics."""
    ...


@kernel
def _pull_edges(
    first: int, chunk: int, edge: Ints, inner: Ints, outer: Ints, by_distance: Floats, vertices: Ints, camera: Vec3s, near: float,
    lens: Lens, place: Ints, by_end: Vec3s, by_lens: Floats,
):
    """See ``pull_crossings``. The owner is a chunk of crossings."""
    start = (first + wp.tid()) * chunk
    stop = wp.min(start + chunk, edge.shape[0])
    pull_crossings(start, stop, edge, inner, outer, by_distance, vertices, camera, near, lens, place, by_end, by_lens)


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
    owners, chunk = launcher.chunks(edges, 1)
    handing.append(Launch(
        _pull_edges, owners, chunk, found.edge, found.inner, found.outer, by_distance, edge_vertices, camera, view.near, lens, place,
        by_end, by_lens, items=edges,
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
