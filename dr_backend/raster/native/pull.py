"""What pixels ask of the corners of their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Vec2s, Vec3s, Vec4s
from ...kernels.launch import Launch, Launcher, Stage, Work, chained, inside_kernel, once
from ..project import View
from .bins import Bins
from .interpolate import SPOTS, Runs
from .lanes import VECTORIZED
from .lookup import STRIP_TEXELS, TEXELS
from .rasterize import pixel_owners
from .screen import Lens, lens_of
from .srgb import DECODING
from .strips import EACH_STRETCH, MAKE_RUNS, STRIPS
from .sums import add_into, merge
from .texture import Textures

S = TypeVar("S", bound=Stage)

# What the gradient for a pixel's colour means for its texture coordinates.
_SLOPES = """
const auto slope_of = [](const float* above, const float* under, float right, float bottom, int width, int height, const wp::vec3& g) {
    const float a = g[0] * above[0] + g[1] * above[1] + g[2] * above[2], b = g[0] * above[3] + g[1] * above[4] + g[2] * above[5];
    const float c = g[0] * under[0] + g[1] * under[1] + g[2] * under[2], d = g[0] * under[3] + g[1] * under[4] + g[2] * under[5];
    const float across = (b - a) + bottom * ((d - c) - (b - a)), down = (c - a) + right * ((d - b) - (c - a));
    return wp::vec2(across * (float)width, -down * (float)height);
};
const auto slope_in = [&](const Level& level, const wp::vec3& at, const wp::vec3& g) {
    const Inner inner = inner_at(level, at[0], at[1]);
    if (inner.above) return slope_of(inner.above, inner.under, inner.right, inner.bottom, level.width, level.height, g);
    const Taps taps = taps_at(level, at);
    const wp::vec3 *above = level.texel + taps.top * level.width, *under = level.texel + taps.bottom * level.width;
    const float a = wp::dot(g, above[taps.left]), b = wp::dot(g, above[taps.right]);
    const float c = wp::dot(g, under[taps.left]), d = wp::dot(g, under[taps.right]);
    const float on_top = taps.on_left * a + taps.on_right * b, on_bottom = taps.on_left * c + taps.on_right * d;
    const float across = taps.on_top * (taps.inside_right * b - taps.inside_left * a)
        + taps.on_bottom * (taps.inside_right * d - taps.inside_left * c);
    const float down = taps.inside_bottom * on_bottom - taps.inside_top * on_top;
    return wp::vec2(across * (float)level.width, -down * (float)level.height);
};
const auto slope_between = [&](const wp::vec3& at, const wp::vec3& g) {
    if (image.closest) return wp::vec2(0.0f, 0.0f);
    const int number = (int)at[2];
    const float share = at[2] - (float)number;
    const wp::vec2 by_uv = slope_in(level_of(number), at, g);
    return share > 0.0f ? by_uv + share * (slope_in(level_of(number + 1), at, g) - by_uv) : by_uv;
};
const auto slope_at = [&](int k, const wp::vec3& g) {
    if (texel[k] < 0) return slope_between(wp::vec3(u[k], v[k], level[k]), g);
    const float* above = origin + 3 * texel[k];
    return slope_of(above, above + line, right[k], under[k], image.width, image.height, g);
};
"""


@wp.func_native(once(TEXELS + SPOTS + STRIPS + STRIP_TEXELS + DECODING + _SLOPES + """
const wp::vec3 *const addresses = address.data, *const by_weights = by_weight.data;
wp::vec3* const by_colors = by_rgb.data;
float by_u[room], by_v[room], more_q[room], more_r[room], by_distance[room];
const float stride = 1.0f / lens.focal[0];
int record = first - 1;
""" + EACH_STRETCH + """
        if (material < 0) continue;
        if (by_colors) image = image_of(material);
        if (image.width) {
            for (int k = from; k < to; ++k) u[k] = addresses[base + k][0], v[k] = addresses[base + k][1], level[k] = addresses[base + k][2];
            place_texels(from, to);
            if (image.encoded) {
                read_colors(from, to);
                float* const values = &by_colors[base][0];
""" + VECTORIZED + """
                for (int k = 3 * from; k < 3 * to; ++k) values[k] *= decoding_slope(read[k]);
            }
            for (int k = from; k < to; ++k) {
                const wp::vec2 by_uv = slope_at(k, by_colors[base + k]);
                by_u[k] = by_uv[0], by_v[k] = by_uv[1];
            }
        } else {
            for (int k = from; k < to; ++k) by_u[k] = by_v[k] = 0.0f;
        }
        if (by_weights) {
            for (int k = from; k < to; ++k) {
                more_q[k] = by_weights[base + k][1] - by_weights[base + k][0];
                more_r[k] = by_weights[base + k][2] - by_weights[base + k][0];
            }
        }
        if (by_depth.data) for (int k = from; k < to; ++k) by_distance[k] = by_depth.data[base + k];
""" + MAKE_RUNS + """
        const bool weighed = by_weights, deep = by_depth.data;
        bool old = from == 0 && goes_on();
        for (int first_run = 0; first_run < runs; first_run += lanes) {
            float asked[9][lanes] = {}, by_x[lanes] = {}, by_y[lanes] = {}, by_focal_x[lanes] = {};
            int longest = 0;
            for (int lane = 0; lane < lanes; ++lane) {
                const int length = starts[first_run + lane + 1] - starts[first_run + lane];
                longest = length > longest ? length : longest;
            }
            for (int step = 0; step < longest; ++step) {
#pragma clang loop vectorize(enable) interleave_count(1)
                for (int lane = 0; lane < lanes; ++lane) {  // a pixel of each of eight runs
                    const int n = first_run + lane;
                    const bool within = step < starts[n + 1] - starts[n];
                    const int k = starts[n] + (within ? step : 0);
                    const Run run{run_a[n], run_b[n], run_c[n], step_a[n], step_b[n], step_c[n], side[n]};
                    const Spot at = run.at((float)step);
                    const float px = corner_of[0][n], py = corner_of[1][n], pz = corner_of[2][n];
                    const float qx = corner_of[3][n] - px, qy = corner_of[4][n] - py, qz = corner_of[5][n] - pz;
                    const float rx = corner_of[6][n] - px, ry = corner_of[7][n] - py, rz = corner_of[8][n] - pz;
                    const float pu = uv_of[0][n], pv = uv_of[1][n], more_on_q = weighed ? more_q[k] : 0.0f;
                    const float on_q = by_u[k] * (uv_of[2][n] - pu) + by_v[k] * (uv_of[3][n] - pv) + more_on_q;
                    const float more_on_r = weighed ? more_r[k] : 0.0f;
                    const float on_r = by_u[k] * (uv_of[4][n] - pu) + by_v[k] * (uv_of[5][n] - pv) + more_on_r;
                    const float beside = sight_x((float)(base - row_start + starts[n]) + 0.5f) + (float)step * stride;
                    const float dx = lens.perspective ? beside : 0.0f, dy = lens.perspective ? up : 0.0f;  // of the line of sight
                    const float x = on_r * qx - on_q * rx, y = on_r * qy - on_q * ry, z = on_r * qz - on_q * rz;
                    const float size = within ? at.side * at.scale : 0.0f, reach = deep ? by_distance[k] : 0.0f;
                    const float ax = size * (dy * z + y - reach * (qy * rz - qz * ry));
                    const float ay = size * (-x - dx * z - reach * (qz * rx - qx * rz));
                    const float az = size * (dx * y - dy * x - reach * (qx * ry - qy * rx));
                    asked[0][lane] += at.a * ax, asked[1][lane] += at.a * ay, asked[2][lane] += at.a * az;
                    asked[3][lane] += at.b * ax, asked[4][lane] += at.b * ay, asked[5][lane] += at.b * az;
                    asked[6][lane] += at.c * ax, asked[7][lane] += at.c * ay, asked[8][lane] += at.c * az;
                    const float depth = lens.perspective ? -(pz + at.b * qz + at.c * rz) : 1.0f;
                    by_x[lane] += depth * ax, by_y[lane] -= depth * ay, by_focal_x[lane] += depth * ax * beside;
                }
            }
            for (int lane = 0; lane < lanes && first_run + lane < runs; ++lane, old = false) {
                record += !old;
                const int* const corners = vertices + 3 * shown[starts[first_run + lane]];
                for (int corner = 0; corner < 3; ++corner) {
                    wp::vec3& sum = by_corner.data[3 * record + corner];
                    const wp::vec3 more(asked[3 * corner][lane], asked[3 * corner + 1][lane], asked[3 * corner + 2][lane]);
                    sum = old ? sum + more : more;
                    place.data[3 * record + corner] = corners[corner];
                }
                if (by_lens.data) {
                    const float fx = lens.focal[0], fy = lens.focal[1];
                    const wp::vec4 moved(by_x[lane] / fx, by_y[lane] / fy, by_focal_x[lane] / fx, -by_y[lane] * up / fy);
                    by_lens.data[record] = old ? by_lens.data[record] + moved : moved;
                }
            }
        }
    }
}
"""))
def pull_row(
    x: int, y: int, count: int, first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, by_weight: Vec3s, by_depth: Floats,
    uvs: Vec2s, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s, by_rgb: Vec3s, place: Ints,
    by_corner: Vec3s, by_lens: Vec4s,
):
    """What each run of a part of a row asks of its face's corners, and if there is room of the centre and the focal length.

    ``first`` is the number of the first run that shows a face. Colours ask for nothing where the closest texel is read; where texels
    are encoded their gradient becomes that for the encoded colour.

    With d a pixel's line of sight, n the face's normal and e_i the edge opposite corner i, a corner j that moves by δ changes the
    barycentric coordinates by -b_j (d × e_i) · δ / (n · d), and the depth by b_j n · δ / (n · d).
    """
    ...


@inside_kernel
def _pull(
    first: int, faces: Ints, camera: Vec3s, face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int, starts: Ints,
    by_weight: Vec3s, by_depth: Floats, uvs: Vec2s, face_material: Ints, table: Ints, texels: Vec3s, coarse: Vec3s, address: Vec3s,
    by_rgb: Vec3s, place: Ints, by_corner: Vec3s, by_lens: Vec4s,
):
    """What pixels ask of the corners of their faces, see ``pull_row``. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        pull_row(
            x0, y, wp.min(own_width, lens.width - x0), starts[y * own_columns + column], faces, camera, face_id, lens, by_weight, by_depth,
            uvs, face_material, table, texels, coarse, address, by_rgb, place, by_corner, by_lens,
        )


class Pull:
    """Gradients for the camera space and the intrinsics of one view, as several kernels add them up."""

    def __init__(self, camera: Float[Tensor, "V 3"], intrinsics: bool, launcher: Launcher) -> None:
        """``intrinsics`` says whether those are wanted."""
        self.by_camera, self.intrinsics = launcher.zeros(*camera.shape), intrinsics
        self.by_lens: list[Tensor] = []  # gradients for centre x, centre y, focal x and focal y that are to be added up

    def take(self, made: tuple[Tensor | None, Sequence[S]]) -> Sequence[S]:
        """Remembers what is to be added up, and returns what is to be run."""
        by_lens, work = made
        self.by_lens += [] if by_lens is None else [by_lens]
        return work


@dataclass(frozen=True)
class Looks:
    """The textures that coloured a view, where its pixels read them, and the gradient for what they read."""

    textures: Textures
    uvs: Float[Tensor, "F 3 2"]
    face_material: Int[Tensor, " F"]
    address: Float[Tensor, "H W 3"]
    by_rgb: Float[Tensor, "H W 3"]


def _arguments(looks: Looks | None) -> list[Any]:
    """The textures, and where they are read, as kernels take them; empty if nothing is painted."""
    if looks is None:
        return [None] * 7
    made = looks.textures
    return [looks.uvs, made.of_faces(looks.face_material), made.table, made.texels, made.coarse, looks.address, looks.by_rgb]


def pull_corners(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_id: Int[Tensor, "H W"], bins: Bins, runs: Runs, view: View,
    launcher: Launcher, by_weight: Float[Tensor, "H W 3"] | None, by_depth: Float[Tensor, "H W"] | None, looks: Looks | None,
    grad_camera: Float[Tensor, "V 3"], intrinsics: bool,
) -> tuple[Float[Tensor, "R 4"] | None, list[Work]]:
    """Adds the gradient for vertices in camera space to ``grad_camera``; exact within faces.

    It comes from those for barycentric coordinates, for depth, and for colours; where texels are encoded ``looks.by_rgb`` becomes
    that for encoded colours.

    Returns:
        With ``intrinsics`` gradients for centre x, centre y, focal x and focal y that are to be added up; and what is still to be run.
    """
    total = launcher.count(runs.starts, 0)
    place = launcher.empty(total, 3, dtype=torch.int32)
    by_corner = launcher.empty(total, 3, 3)
    by_lens = launcher.zeros(total, 4) if intrinsics else None
    owners, shape = pixel_owners(bins, view, launcher)
    pull = Launch(
        _pull, owners, faces, camera, face_id, lens_of(view), *shape, runs.starts, by_weight, by_depth, *_arguments(looks),
        place, by_corner, by_lens, items=face_id.numel(),
    )
    lists = None
    if launcher.device.type == "cpu":
        lists, merging = merge(runs.starts, shape[1], place, by_corner, launcher)
        chained([pull, merging])
    return by_lens, [pull, add_into(grad_camera, place, by_corner, launcher, lists)]
