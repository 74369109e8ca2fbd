"""Normals, and how sharply neighbouring faces turn, as Warp kernels: the twins of ``normals`` and ``losses.normal_consistency``.

Every number has one owner: faces say what they give to their corners, vertices and groups collect it in the order of the faces.
"""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..kernels.arrays import Floats, Ints, Vec3s
from ..kernels.launch import Launch, fit_kernel, fitting_launcher
from .topology import Incidence, Topology

# C++: the edges of some faces, so that what follows can be computed for all of them at once. Where a square is below 1.2e-36 there is no
# direction, as in ``normals``.
_EDGES = """
const int lanes = 16;
float edges[6][lanes] = {};  // from the first corner to the second and to the third
const auto collect = [&](int start, int count) {
#pragma clang loop vectorize(disable)  // the processor's own gathers are slower
    for (int n = 0; n < count; ++n) {
        const int* corners = faces.data + 3 * (start + n);
        const wp::vec3 &a = positions.data[corners[0]], &b = positions.data[corners[1]], &c = positions.data[corners[2]];
        for (int k = 0; k < 3; ++k) {
            edges[k][n] = b[k] - a[k];
            edges[3 + k][n] = c[k] - a[k];
        }
    }
};
"""


@wp.func_native(_EDGES + """
const auto angle = [](float y, float x) {  // of a vector whose y is not negative; the polynomial is that of Cephes' atanf
    const float side = x < 0.0f ? -x : x, low = side < y ? side : y, high = side < y ? y : side;
    const float slope = low / (high > 0.0f ? high : 1.0f), base = slope > 0.41421356f ? 0.78539816f : 0.0f;
    const float t = slope > 0.41421356f ? (slope - 1.0f) / (slope + 1.0f) : slope, s = t * t;
    const float less = base + t + t * s * (((8.05374449538e-2f * s - 1.38776856032e-1f) * s + 1.99777106478e-1f) * s - 3.33329491539e-1f);
    const float found = side < y ? 1.57079633f - less : less;
    return x < 0.0f ? 3.14159265f - found : found;
};
float found[7][lanes];
for (int start = begin; start < stop; start += lanes) {
    const int count = stop - start < lanes ? stop - start : lanes;
    collect(start, count);
#pragma clang loop vectorize(enable)
    for (int n = 0; n < lanes; ++n) {
        const float ux = edges[0][n], uy = edges[1][n], uz = edges[2][n], vx = edges[3][n], vy = edges[4][n], vz = edges[5][n];
        const float x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx, square = x * x + y * y + z * z;
        const float length = wp::sqrt(square), scale = square > 1.2e-36f ? 1.0f / length : 0.0f;
        const float uv = ux * vx + uy * vy + uz * vz, uu = ux * ux + uy * uy + uz * uz, vv = vx * vx + vy * vy + vz * vz;
        found[0][n] = x * scale;
        found[1][n] = y * scale;
        found[2][n] = z * scale;
        found[3][n] = scale;
        found[4][n] = angle(length, uv);
        found[5][n] = angle(length, uu - uv);
        found[6][n] = angle(length, vv - uv);
    }
    for (int n = 0; n < count; ++n) {
        flats.data[start + n] = wp::vec3(found[0][n], found[1][n], found[2][n]);
        scales.data[start + n] = found[3][n];
        if (angles.data) angles.data[start + n] = wp::vec3(found[4][n], found[5][n], found[6][n]);
    }
}
""")
def measure_faces(begin: int, stop: int, faces: Ints, positions: Vec3s, flats: Vec3s, scales: Floats, angles: Vec3s):
    """Normals of some faces, one over the length of the cross products that they come from (0 without area), and corners' angles."""
    ...


@fit_kernel
def _measure(first: int, chunk: int, faces: Ints, positions: Vec3s, flats: Vec3s, scales: Floats, angles: Vec3s):
    """The owner is a chunk of faces."""
    begin = (first + wp.tid()) * chunk
    measure_faces(begin, wp.min(begin + chunk, flats.shape[0]), faces, positions, flats, scales, angles)


@wp.func_native("""
for (int group = begin; group < stop; ++group) {
    float x = 0.0f, y = 0.0f, z = 0.0f;
    for (int n = starts.data[group]; n < starts.data[group + 1]; ++n) {
        const int corner = corners.data[n], face = corner / 3;
        const wp::vec3& flat = flats.data[face];
        const float angle = angles.data[face][corner - 3 * face];
        x += angle * flat[0];
        y += angle * flat[1];
        z += angle * flat[2];
    }
    const float square = x * x + y * y + z * z, scale = square > 1.2e-36f ? 1.0f / wp::sqrt(square) : 0.0f;
    smooth.data[group] = wp::vec3(x * scale, y * scale, z * scale);
    scales.data[group] = scale;
}
""")
def mean_normals(begin: int, stop: int, starts: Ints, corners: Ints, flats: Vec3s, angles: Vec3s, smooth: Vec3s, scales: Floats):
    """The mean normals of some groups of corners, and one over the length of the sum."""
    ...


@fit_kernel
def _mean(first: int, chunk: int, starts: Ints, corners: Ints, flats: Vec3s, angles: Vec3s, smooth: Vec3s, scales: Floats):
    """The owner is a chunk of groups."""
    begin = (first + wp.tid()) * chunk
    mean_normals(begin, wp.min(begin + chunk, smooth.shape[0]), starts, corners, flats, angles, smooth, scales)


@fit_kernel
def _show(first: int, chunk: int, groups: Ints, is_smooth: Ints, flats: Vec3s, smooth: Vec3s, normals: Vec3s):
    """The normal of each corner. The owner is a chunk of faces."""
    begin = (first + wp.tid()) * chunk
    for face in range(begin, wp.min(begin + chunk, flats.shape[0])):
        for k in range(3):
            if is_smooth[face] != 0:
                normals[3 * face + k] = smooth[groups[3 * face + k]]
            else:
                normals[3 * face + k] = flats[face]


@fit_kernel
def _ask_means(
    first: int, chunk: int, starts: Ints, corners: Ints, is_smooth: Ints, smooth: Vec3s, scales: Floats, by_normal: Vec3s, by_sum: Vec3s
):
    """The gradient for the sum of a group's weighted normals. The owner is a chunk of groups."""
    begin = (first + wp.tid()) * chunk
    for group in range(begin, wp.min(begin + chunk, smooth.shape[0])):
        asked = wp.vec3(0.0)
        for n in range(starts[group], starts[group + 1]):
            corner = corners[n]
            if is_smooth[corner / 3] != 0:
                asked += by_normal[corner]
        mean = smooth[group]
        by_sum[group] = scales[group] * (asked - wp.dot(mean, asked) * mean)


@fit_kernel
def _ask_faces(
    first: int, chunk: int, groups: Ints, is_smooth: Ints, angles: Vec3s, by_sum: Vec3s, by_normal: Vec3s, by_flat: Vec3s
):
    """The gradient for a face's normal from those for its corners. The owner is a chunk of faces."""
    begin = (first + wp.tid()) * chunk
    for face in range(begin, wp.min(begin + chunk, by_flat.shape[0])):
        asked = wp.vec3(0.0)
        for k in range(3):
            asked += angles[face][k] * by_sum[groups[3 * face + k]]
            if is_smooth[face] == 0:
                asked += by_normal[3 * face + k]
        by_flat[face] = asked


@fit_kernel
def _compare(first: int, chunk: int, pairs: Ints, flats: Vec3s, turn: Floats):
    """One minus the cosine between the normals of two faces. The owner is a chunk of pairs."""
    begin = (first + wp.tid()) * chunk
    for pair in range(begin, wp.min(begin + chunk, turn.shape[0])):
        turn[pair] = 1.0 - wp.dot(flats[pairs[2 * pair]], flats[pairs[2 * pair + 1]])


@fit_kernel
def _ask_pairs(first: int, chunk: int, starts: Ints, sides: Ints, pairs: Ints, flats: Vec3s, by_turn: Floats, by_flat: Vec3s):
    """The gradient for a face's normal from those for its pairs. The owner is a chunk of faces."""
    begin = (first + wp.tid()) * chunk
    for face in range(begin, wp.min(begin + chunk, by_flat.shape[0])):
        asked = wp.vec3(0.0)
        for n in range(starts[face], starts[face + 1]):
            side = sides[n]  # of a pair; its other one is beside it
            other = pairs[side + 1 - 2 * (side % 2)]
            asked -= by_turn[side / 2] * flats[other]
        by_flat[face] = asked


@fit_kernel
def _turn(first: int, chunk: int, faces: Ints, positions: Vec3s, flats: Vec3s, scales: Floats, by_flat: Vec3s, by_corner: Vec3s):
    """What a face's normal asks of its corners: none where it has no area. The owner is a chunk of faces."""
    begin = (first + wp.tid()) * chunk
    for face in range(begin, wp.min(begin + chunk, by_flat.shape[0])):
        a, b, c = positions[faces[3 * face]], positions[faces[3 * face + 1]], positions[faces[3 * face + 2]]
        asked, flat = by_flat[face], flats[face]
        by_cross = scales[face] * (asked - wp.dot(flat, asked) * flat)
        by_b, by_c = wp.cross(c - a, by_cross), wp.cross(by_cross, b - a)
        by_corner[3 * face] = -(by_b + by_c)
        by_corner[3 * face + 1] = by_b
        by_corner[3 * face + 2] = by_c


@fit_kernel
def _collect(first: int, chunk: int, starts: Ints, corners: Ints, by_corner: Vec3s, by_vertex: Vec3s):
    """The sum of what a vertex is asked. The owner is a chunk of vertices."""
    begin = (first + wp.tid()) * chunk
    for vertex in range(begin, wp.min(begin + chunk, by_vertex.shape[0])):
        total = wp.vec3(0.0)
        for n in range(starts[vertex], starts[vertex + 1]):
            total += by_corner[corners[n]]
        by_vertex[vertex] = total


class _Work:
    """A topology and the device that works on it."""

    def __init__(self, positions: Tensor, topology: Topology) -> None:
        self.positions, self.topology = positions.detach().contiguous(), topology
        self.launcher = fitting_launcher()

    def over(self, kernel: wp.Kernel, count: int, *arguments: Any) -> list[Launch]:
        """A stage: a kernel whose owners are chunks of ``count`` things."""
        owners, chunk = self.launcher.chunks(count, 1)
        return [Launch(kernel, owners, chunk, *arguments, items=count)]

    def measure(self, angles: Tensor | None) -> tuple[list[Launch], Tensor, Tensor]:
        """How to find face normals, and where they and their scales will be."""
        count = len(self.topology.faces)
        flats, scales = self.positions.new_empty(count, 3), self.positions.new_empty(count)
        return self.over(_measure, count, self.topology.faces32, self.positions, flats, scales, angles), flats, scales

    def turn(self, flats: Tensor, scales: Tensor, by_flat: Tensor) -> tuple[tuple[list[Launch], list[Launch]], Tensor, Tensor]:
        """How to hand gradients for face normals to vertices; where those for corners and vertices will be."""
        topology = self.topology
        by_corner, by_vertex = torch.empty(len(topology.faces), 3, 3, device=flats.device), torch.empty_like(self.positions)
        turn = self.over(_turn, len(topology.faces), topology.faces32, self.positions, flats, scales, by_flat, by_corner)
        collect = self.over(_collect, len(by_vertex), *_lists(topology.corners_of_vertices), by_corner, by_vertex)
        return (turn, collect), by_corner, by_vertex


def _lists(incidence: Incidence) -> tuple[Tensor, Tensor]:
    return incidence.starts, incidence.items


class _CornerNormals(Function):
    """Normals of all corners."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, topology: Topology) -> Tensor:
        work = _Work(positions, topology)
        count, groups = len(topology.faces), topology.corners_of_groups
        angles = work.positions.new_empty(count, 3)
        smooth, smooth_scales = work.positions.new_empty(len(groups.starts) - 1, 3), work.positions.new_empty(len(groups.starts) - 1)
        normals = work.positions.new_empty(count, 3, 3)
        measure, flats, scales = work.measure(angles)
        means = flats, angles, smooth, smooth_scales
        shown = topology.groups32, topology.smooth32, flats, smooth, normals
        work.launcher.run(measure, work.over(_mean, len(smooth), *_lists(groups), *means), work.over(_show, count, *shown))
        ctx.work, ctx.found = work, (angles, flats, scales, smooth, smooth_scales)
        return normals

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_normal: Tensor) -> tuple[Tensor, None]:
        work, (angles, flats, scales, smooth, smooth_scales) = ctx.work, ctx.found
        topology, by_normal = work.topology, by_normal.contiguous()
        by_sum, by_flat = torch.empty_like(smooth), torch.empty_like(flats)
        is_smooth, asked = topology.smooth32, by_normal
        means = *_lists(topology.corners_of_groups), is_smooth, smooth, smooth_scales, asked, by_sum
        faces = topology.groups32, is_smooth, angles, by_sum, asked, by_flat
        stages, by_corner, by_vertex = work.turn(flats, scales, by_flat)
        work.launcher.run(work.over(_ask_means, len(smooth), *means), work.over(_ask_faces, len(flats), *faces), *stages)
        return by_vertex, None


class _Consistency(Function):
    """How sharply neighbouring faces turn."""

    @staticmethod
    def forward(ctx: Any, positions: Tensor, topology: Topology) -> Tensor:
        work = _Work(positions, topology)
        turn = work.positions.new_empty(len(topology.face_pairs))
        measure, flats, scales = work.measure(None)
        work.launcher.run(measure, work.over(_compare, len(turn), topology.face_pairs32, flats, turn))
        ctx.work, ctx.found = work, (flats, scales)
        return turn

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_turn: Tensor) -> tuple[Tensor, None]:
        work, (flats, scales) = ctx.work, ctx.found
        by_turn, by_flat = by_turn.contiguous(), torch.empty_like(flats)
        topology = work.topology
        pairs = topology.face_pairs32, flats, by_turn, by_flat
        stages, by_corner, by_vertex = work.turn(flats, scales, by_flat)
        work.launcher.run(work.over(_ask_pairs, len(flats), *_lists(topology.pairs_of_faces), *pairs), *stages)
        return by_vertex, None


def corner_normals(positions: Float[Tensor, "V 3"], topology: Topology) -> Float[Tensor, "F 3 3"]:
    """See ``normals.corner_normals``. Gradient: exact, with the angles held constant."""
    return _CornerNormals.apply(positions, topology)


def normal_consistency(positions: Float[Tensor, "V 3"], topology: Topology) -> Float[Tensor, " P"]:
    """See ``losses.normal_consistency``. Gradient: exact."""
    return _Consistency.apply(positions, topology)
