"""Base colours of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from jaxtyping import Float, Int
from torch import Tensor

from ...kernels.arrays import Floats, Ints, Longs, Vec2s, Vec3s
from ...kernels.launch import Launch, Launcher, Work, inside_kernel, once
from .. import texture
from ..project import View
from .bins import Bins
from .interpolate import SPOTS, Runs
from .lanes import VECTORIZED
from .lookup import LOGARITHM, STRIP_ROWS, STRIP_TEXELS, TEXELS
from .rasterize import pixel_owners
from .screen import Lens, lens_of
from .srgb import DECODING
from .strips import EACH_STRETCH, MAKE_RUNS, STRIPS, strips_across
from .sums import starts_of
from .texture import Read, Textures

_SHARP = f"const float sharp = {texture.SHARP}f;"


@wp.func_native(once(TEXELS + SPOTS + STRIPS + STRIP_TEXELS + STRIP_ROWS + DECODING + LOGARITHM + _SHARP + """
const auto kept = [](float value) { return value < -1.0e4f ? -1.0e4f : value > 1.0e4f ? 1.0e4f : value; };
const float per_area = 1.0f / (sharp * lens.focal[0] * lens.focal[1]);
wp::vec3 *const colored = rgb.data, *const addresses = address.data, *const weighed = weights.data;
float *const depths = depth.data, a[room], b[room], c[room], distance[room], density[room], highest = 0.0f;
int found = 0;
const auto level_where = [&](float area, float top) {  // of texels that a pixel covers
    const float level = 0.5f * log2_of(area);
    return area > 1.0f ? (level < top ? level : top) : 0.0f;
};
""" + EACH_STRETCH + """
        if (material < 0) {
            for (int k = from; k < to; ++k) colored[base + k] = wp::vec3(0.0f);
            if (weighed) for (int k = from; k < to; ++k) weighed[base + k] = wp::vec3(0.0f);
            continue;
        }
        image = image_of(material);
        const float texels_per_area = (float)image.width * (float)image.height * per_area;
""" + MAKE_RUNS + """
        found += runs - (from == 0 && goes_on());
        for (int first = 0; first < runs; first += lanes) {
            for (int n = first; n < first + lanes; ++n) {
                const float along_u = uv_of[2][n] - uv_of[0][n], along_v = uv_of[3][n] - uv_of[1][n];
                const float beside_u = uv_of[4][n] - uv_of[0][n], beside_v = uv_of[5][n] - uv_of[1][n];
                density[n] = wp::abs(along_u * beside_v - along_v * beside_u) * texels_per_area;
            }
        }
        for (int n = 0; n < runs; ++n) {
            const int start = starts[n], stop = starts[n + 1];
            const Run run{run_a[n], run_b[n], run_c[n], step_a[n], step_b[n], step_c[n], side[n]};
            const float pz = corner_of[2][n], qz = corner_of[5][n], rz = corner_of[8][n], dense = density[n];
            const float pu = uv_of[0][n], pv = uv_of[1][n], qu = uv_of[2][n], qv = uv_of[3][n], ru = uv_of[4][n], rv = uv_of[5][n];
            for (int first = start; first < stop; first += lanes) {
                for (int k = first; k < first + lanes; ++k) {
                    const Spot at = run.at((float)(k - start));
                    a[k] = at.a, b[k] = at.b, c[k] = at.c;
                    distance[k] = -(at.a * pz + at.b * qz + at.c * rz);
                    u[k] = kept(at.a * pu + at.b * qu + at.c * ru);
                    v[k] = kept(at.a * pv + at.b * qv + at.c * rv);
                    level[k] = dense * at.scale * (lens.perspective ? distance[k] * distance[k] : 1.0f);  // texels covered, for now
                }
            }
        }
        int largest = 0;  // the bits of a float that is not negative order like an integer
        const int* const areas = (const int*)level;
""" + VECTORIZED + """
        for (int k = from; k < to; ++k) {
            depths[base + k] = distance[k];
            const int area = level[k] > 1.0f ? areas[k] : 0;
            largest = area > largest ? area : largest;
        }
        if (weighed) for (int k = from; k < to; ++k) weighed[base + k] = wp::vec3(a[k], b[k], c[k]);
        if (image.width == 0) {
            for (int k = from; k < to; ++k) colored[base + k] = colors.data[material];
            continue;
        }
        if (largest > 0) {
            const float top = (float)(image.levels - 1), reached = level_where(*(const float*)&largest, top);
            highest = reached > highest ? reached : highest;
""" + VECTORIZED + """
            for (int k = from; k < to; ++k) level[k] = level_where(level[k], top);
        } else {
            for (int k = from; k < to; ++k) level[k] = 0.0f;
        }
        if (image.extension == 0) {
""" + VECTORIZED + """
            for (int k = from; k < to; ++k) {
                u[k] -= wp::floor(u[k]);
                v[k] -= wp::floor(v[k]);
            }
        }
        if (addresses) for (int k = from; k < to; ++k) addresses[base + k] = wp::vec3(u[k], v[k], level[k]);
        place_texels(from, to);
        if (reads.data) reads.data[strip] |= rows_read(from, to, shift);
        read_colors(from, to);
        float* const values = &colored[base][0];
        if (image.encoded) {
""" + VECTORIZED + """
            for (int k = 3 * from; k < 3 * to; ++k) values[k] = decode(read[k]);
        } else {
            for (int k = 3 * from; k < 3 * to; ++k) values[k] = read[k];
        }
    }
}
return wp::vec2((float)found, highest);
"""))
def paint_row(
    x: int, y: int, count: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s,
    coarse: Vec3s, face_id: Ints, lens: Lens, shift: int, address: Vec3s, reads: Longs, weights: Vec3s, depth: Floats, rgb: Vec3s,
) -> wp.vec2:
    """Depth and base colours of pixels of a row, black where nothing is seen.

    Barycentric coordinates too, and texture coordinates with level and the groups of rows that each strip reads, if there is room for
    them. Texture coordinates lose the whole repeats that would cost their fraction, and are never too large for a number of texels.
    Returns the number of runs that show a face, and the highest level.
    """
    ...


@inside_kernel
def _paint(
    first: int, faces: Ints, camera: Vec3s, uvs: Vec2s, face_material: Ints, table: Ints, colors: Vec3s, texels: Vec3s, coarse: Vec3s,
    face_id: Ints, lens: Lens, own_width: int, own_height: int, own_columns: int, shift: int, address: Vec3s, reads: Longs,
    weights: Vec3s, depth: Floats, runs: Ints, highest_of: Floats, rgb: Vec3s,
):
    """See ``paint_row``; each owner's highest level. The owner is a rectangle of pixels."""
    owner = first + wp.tid()
    column = owner % own_columns
    x0, y0 = column * own_width, (owner / own_columns) * own_height
    highest = float(0.0)
    for y in range(y0, wp.min(y0 + own_height, lens.height)):
        found = paint_row(
            x0, y, wp.min(own_width, lens.width - x0), faces, camera, uvs, face_material, table, colors, texels, coarse, face_id, lens,
            shift, address, reads, weights, depth, rgb,
        )
        runs[y * own_columns + column] = int(found[0])
        highest = wp.max(highest, found[1])
    highest_of[owner] = highest


@dataclass(frozen=True)
class Painted:
    """The colours of a view's pixels, and what their gradients need."""

    rgb: Float[Tensor, "H W 3"] | None  # not kept for gradients
    weights: Float[Tensor, "H W 3"] | None  # barycentric coordinates, if the scene is lit; zero where nothing is seen, as colours are
    read: Read | None
    runs: Runs


def paint(
    camera: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], uvs: Float[Tensor, "F 3 2"], face_material: Int[Tensor, " F"],
    textures: Textures, face_id: Int[Tensor, "H W"], depth: Float[Tensor, "H W"], bins: Bins, view: View, launcher: Launcher, weigh: bool,
    keep: bool,
) -> tuple[Painted, list[Work]]:
    """Base colours of pixels, with ``weigh`` barycentric coordinates, and with ``keep`` what was read; makes ``depth`` exact.

    What does it is still to be run.
    """
    owners, shape = pixel_owners(bins, view, launcher)
    rgb = launcher.empty(view.height, view.width, 3, lasting=not weigh)
    weights = launcher.empty(*rgb.shape) if weigh else None
    address, groups = launcher.empty(*rgb.shape) if keep else None, None
    if keep and launcher.device.type == "cpu":
        groups = launcher.zeros(view.height, strips_across(view.width), dtype=torch.int64)
    highest = launcher.empty(owners)
    runs = launcher.empty(view.height * shape[2], dtype=torch.int32)
    work = Launch(
        _paint, owners, faces, camera, uvs, textures.of_faces(face_material), textures.table, textures.colors, textures.texels,
        textures.coarse, face_id, lens_of(view), *shape, textures.shift, address, groups, weights, depth, runs, highest, rgb,
        items=face_id.numel(),
    )
    starts, add_up = starts_of(runs, launcher)
    made = Painted(rgb, weights, None if address is None else Read(address, groups, highest), Runs(starts))
    return made, [work, add_up] if keep else [work]
