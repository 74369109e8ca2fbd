"""Where on its face each pixel lies."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ..project import Projected, View
from .bins import Bins, Floats, Ints, Vec3s
from .launch import VECTORIZED, Launcher, array, inside_kernel, kernel
from .rasterize import pixel_owners

SLIVER = wp.constant(wp.float32(1.0e-7))  # area over squared size below which barycentric coordinates are rounding errors


@wp.struct
class Lens:
    """The intrinsics of a view."""

    focal: wp.vec2
    centre: wp.vec2
    perspective: int
    width: int
    height: int


def lens_of(view: View) -> Any:
    """A view's intrinsics as an argument of kernels."""
    lens = Lens()
    lens.focal, lens.centre = wp.vec2(*view.focal_px.tolist()), wp.vec2(*view.centre_px.tolist())
    lens.perspective, lens.width, lens.height = int(view.perspective), view.width, view.height
    return lens


@wp.func
def ray(lens: Lens, x_px: float, y_px: float) -> wp.vec2:
    """Where the line of sight of a pixel position meets the plane at distance 1; an orthographic line of sight's distance from the axis."""
    return wp.vec2((x_px - lens.centre[0]) / lens.focal[0], -(y_px - lens.centre[1]) / lens.focal[1])


@wp.func
def beside(p: wp.vec3, sight: wp.vec2, perspective: int) -> wp.vec2:
    """A point's offset from a line of sight, parallel to the image plane."""
    if perspective == 0:
        return wp.vec2(p[0] - sight[0], p[1] - sight[1])
    return wp.vec2(p[0] + p[2] * sight[0], p[1] + p[2] * sight[1])


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> float:
    """Twice the signed area between two vectors."""
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def barycentric(a: wp.vec2, b: wp.vec2, c: wp.vec2) -> wp.vec4:
    """Barycentric coordinates, kept within 0..1, and twice the signed area, of corners by their offsets from the line of sight.

    The area is 0, and the coordinates are equal, where the triangle is seen so nearly edge-on that rounding decides.
    """
    wa, wb, wc = cross2(b, c), cross2(c, a), cross2(a, b)
    total = wa + wb + wc
    size = wp.max(wp.dot(a, a), wp.max(wp.dot(b, b), wp.dot(c, c)))
    if wp.abs(total) <= SLIVER * size:
        return wp.vec4(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0)
    side = wp.where(total < 0.0, -1.0, 1.0)
    wa, wb, wc = wp.max(side * wa, 0.0), wp.max(side * wb, 0.0), wp.max(side * wc, 0.0)
    scale = 1.0 / (wa + wb + wc)
    return wp.vec4(wa * scale, wb * scale, wc * scale, total)


@wp.func
def surface_depth(a: wp.vec3, b: wp.vec3, c: wp.vec3, lens: Lens, x_px: float, y_px: float) -> float:
    """Depth of a triangle (camera space) at a pixel position; beyond its edges that of the nearest point in barycentric coordinates."""
    sight = ray(lens, x_px, y_px)
    at = barycentric(beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective))
    return -(at[0] * a[2] + at[1] * b[2] + at[2] * c[2])


@wp.struct
class Run:
    """Barycentric coordinates along a row of pixels, before their division by their sum: linear in the number of the pixel.

    They are found from offsets at the first pixel, whose rounding errors are as small as the triangle.
    """

    first: wp.vec3
    step: wp.vec3  # per pixel
    side: float  # the sign of the area; 0 where the triangle is seen so nearly edge-on that rounding decides


@wp.func
def run_of(a: wp.vec3, b: wp.vec3, c: wp.vec3, lens: Lens, x: int, y: int) -> Run:
    """Of a triangle in camera space, from the centre of a pixel onwards."""
    sight = ray(lens, float(x) + 0.5, float(y) + 0.5)
    p, q, r = beside(a, sight, lens.perspective), beside(b, sight, lens.perspective), beside(c, sight, lens.perspective)
    move = wp.vec3(-1.0, -1.0, -1.0) / lens.focal[0]  # of the corners' offsets
    if lens.perspective != 0:
        move = wp.vec3(a[2], b[2], c[2]) / lens.focal[0]
    at = wp.vec3(cross2(q, r), cross2(r, p), cross2(p, q))
    total = at[0] + at[1] + at[2]
    size = wp.max(wp.dot(p, p), wp.max(wp.dot(q, q), wp.dot(r, r)))
    found = Run()
    found.side = wp.where(wp.abs(total) <= SLIVER * size, 0.0, wp.where(total < 0.0, -1.0, 1.0))
    found.first = found.side * at
    found.step = found.side * wp.vec3(
        move[1] * r[1] - q[1] * move[2], move[2] * p[1] - r[1] * move[0], move[0] * q[1] - p[1] * move[1]
    )
    return found


# C++ as in ``lookup``: barycentric coordinates a, b, c of pixel n of a run, kept within 0..1, and ``scale``, one over twice the area;
# equal and 0 if edge-on.
WITHIN = """
    const float wa = wp::max(run.first[0] + (float)n * run.step[0], 0.0f);
    const float wb = wp::max(run.first[1] + (float)n * run.step[1], 0.0f);
    const float wc = wp::max(run.first[2] + (float)n * run.step[2], 0.0f);
    const float total = wa + wb + wc;
    const bool flat = total <= 0.0f;
    const float scale = flat ? 0.0f : 1.0f / total;
    const float a = flat ? 1.0f / 3.0f : wa * scale, b = flat ? 1.0f / 3.0f : wb * scale, c = flat ? 1.0f / 3.0f : wc * scale;
"""


@wp.func_native(
    VECTORIZED + "for (int n = 0; n < count; ++n) {" + WITHIN + """
    const float distance = a * far[0] + b * far[1] + c * far[2];
    depth.data[pixel + n] = distance;
    if (weights.data) weights.data[pixel + n] = wp::vec3(a, b, c);
    if (address.data) {
        const float u = wp::clamp(a * ta[0] + b * tb[0] + c * tc[0], -1.0e4f, 1.0e4f);
        const float v = wp::clamp(a * ta[1] + b * tb[1] + c * tc[1], -1.0e4f, 1.0e4f);
        const float covered = density * scale * (perspective ? distance * distance : 1.0f);
        address.data[pixel + n] = wp::vec3(repeated ? u - wp::floor(u) : u, repeated ? v - wp::floor(v) : v, covered);
    }
}
""")
def place_run(
    run: Run, pixel: int, count: int, far: wp.vec3, perspective: int, ta: wp.vec2, tb: wp.vec2, tc: wp.vec2, density: float,
    repeated: int, depth: Floats, weights: Vec3s, address: Vec3s,
):
    """Depth, barycentric coordinates, texture coordinates and the texels covered (area) of a run's pixels; the last three if there is room.

    ``far`` and ``ta``, ``tb``, ``tc`` are depth and texture coordinates of the corners, ``density`` texels per area of the screen where the
    depth is 1. Texture coordinates lose the whole repeats that would cost their fraction, and are never too large for a number of texels.
    """
    ...


@wp.func_native("""
const int face = face_id.data[row + x];
int stop = x + 1;
while (stop < limit && face_id.data[row + stop] == face) ++stop;
return stop;
""")
def run_end(face_id: Ints, row: int, x: int, limit: int) -> int:
    """The first pixel of a row after ``x`` that shows another face."""
    ...


@wp.func_native("""
for (int n = pixel; n < pixel + count; ++n) values.data[n] = value;
""")
def color_run(pixel: int, count: int, value: wp.vec3, values: Vec3s):
    """Gives all pixels of a run the same value."""
    ...


@inside_kernel
def _locate(
    first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int,
    weights: Vec3s, address: Vec3s, depth: Floats,
):
    """Barycentric coordinates and depth (``address`` is empty) at pixel centres. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    x0, y0 = (owner % own_columns) * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        x = int(x0)
        while x < wp.min(x0 + own_width, lens.width):
            f = face_id[y * lens.width + x]
            stop = run_end(face_id, y * lens.width, x, wp.min(x0 + own_width, lens.width))
            if f < 0:
                color_run(y * lens.width + x, stop - x, wp.vec3(0.0), weights)
            else:
                a, b, c = camera[faces[3 * f]], camera[faces[3 * f + 1]], camera[faces[3 * f + 2]]
                run = run_of(a, b, c, lens, x, y)
                place_run(
                    run, y * lens.width + x, stop - x, wp.vec3(-a[2], -b[2], -c[2]), lens.perspective, wp.vec2(), wp.vec2(), wp.vec2(),
                    0.0, 0, depth, weights, address,
                )
            x = stop


@kernel
def _show(first: int, width: int, face_id: Ints, shown: Ints):
    """Marks the faces that pixels show; several owners may write the same mark. The owner is a row."""
    row = first + wp.tid()
    last = int(-1)
    for pixel in range(row * width, row * width + width):
        f = face_id[pixel]
        if f != last:
            last = f
            if f >= 0:
                shown[f] = 1


def interpolate(
    projected: Projected, faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View,
    launcher: Launcher,
) -> Float[Tensor, "H W 3"]:
    """Barycentric coordinates at pixel centres, zero where nothing is seen; ``depth`` is made exact in place."""
    weights = torch.empty(view.height, view.width, 3, device=faces.device)
    owners, shape = pixel_owners(bins, view, launcher)
    launcher.run(
        _locate, owners, array(faces), array(projected.camera, 3), array(face_id), lens_of(view), *shape, array(weights, 3), array(None, 3),
        array(depth),        items=face_id.numel(),
    )
    return weights


def shown_faces(faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], launcher: Launcher) -> Int[Tensor, " F"]:
    """1 for faces that pixels show, else 0."""
    height, width = face_id.shape
    shown = torch.zeros(len(faces), dtype=torch.int32, device=faces.device)
    launcher.run(_show, height, width, array(face_id), array(shown), items=face_id.numel())
    return shown
