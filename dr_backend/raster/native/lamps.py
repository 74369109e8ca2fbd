"""Light at the pixels of a run, and its gradients, in C++ as in ``lookup``. The text of ``_LAMPS`` is part of each function."""

from __future__ import annotations

import warp as wp

from ...kernels.arrays import Bytes, Floats, Ints, Vec3s
from ...kernels.launch import once

SUN, BULB, SPOT, AREA, SKY = range(5)  # what a line of the table may be

# A sun's strength counts on a surface that faces it; a bulb's and an area lamp's at distance 1, there and on their axis. The twins of
# ``beam`` are in ``shading.lamps``. A normal shorter than 1.1e-19 is none, as in ``geometry.normals``.
_LAMPS = f"""
const int SUN = {SUN}, SPOT = {SPOT}, AREA = {AREA}, SKY = {SKY};
""" + """
const int lamps = shapes.shape[0];
int corners[3] = {-1, -1, -1}, last = -1;  // vertices of the face in hand, its corners, their normals, and which side of it is seen
wp::vec3 a, b, c, na, nb, nc;
float side = 0.0f;
const auto turn_to = [&](int face) {
    if (face == last) return;
    last = face;
    for (int k = 0; k < 3; ++k) corners[k] = faces.data[3 * face + k];
    a = positions.data[corners[0]], b = positions.data[corners[1]], c = positions.data[corners[2]];
    na = normals.data[3 * face], nb = normals.data[3 * face + 1], nc = normals.data[3 * face + 2];
    side = (float)facing.data[face];
};
struct Reach {
    float irradiance;  // of a lamp of strength 1
    wp::vec3 by_normal, by_axis, by_place;  // of the lamp; the opposite for the surface point
};
const auto beam = [&](const wp::vec3& shape, float cosine) {  // share of a lamp's light at this cosine to its axis, and its derivative
    if ((int)shape[0] == SPOT) {
        const float ramp = wp::clamp((cosine - shape[1]) / shape[2], 0.0f, 1.0f);
        return wp::vec2(ramp * ramp * (3.0f - 2.0f * ramp), 6.0f * ramp * (1.0f - ramp) / shape[2]);
    }
    if ((int)shape[0] != AREA) return wp::vec2(1.0f, 0.0f);
    if (cosine <= 0.0f) return wp::vec2(0.0f, 0.0f);
    if (shape[2] == 0.0f) return wp::vec2(cosine, 1.0f);
    const float run = wp::max(cosine, 1.0e-6f), rise = wp::sqrt(wp::max(1.0f - cosine * cosine, 1.0e-12f));
    const float left = shape[1] - rise / run;
    if (left <= 0.0f) return wp::vec2(0.0f, 0.0f);
    return wp::vec2(cosine * left * shape[2], left * shape[2] + cosine * shape[2] / (run * run * rise));
};
const auto reach = [&](int lamp, const wp::vec3& point, const wp::vec3& normal) {
    Reach found{0.0f, wp::vec3(0.0f), wp::vec3(0.0f), wp::vec3(0.0f)};
    const wp::vec3 &shape = shapes.data[lamp], &place = lines.data[3 * lamp], &axis = lines.data[3 * lamp + 1];
    if ((int)shape[0] == SKY) {
        found.irradiance = 1.0f;
        return found;
    }
    if ((int)shape[0] == SUN) {
        const float cosine = wp::dot(normal, axis);
        if (cosine > 0.0f) found = Reach{cosine, axis, normal, wp::vec3(0.0f)};
        return found;
    }
    const wp::vec3 offset = place - point;
    const float squared = wp::max(wp::dot(offset, offset), 1.0e-12f), inverse = 1.0f / wp::sqrt(squared);
    const wp::vec3 toward = inverse * offset;
    const float cosine = wp::dot(toward, normal);
    if (cosine <= 0.0f) return found;
    const wp::vec2 share = beam(shape, wp::dot(toward, axis));
    const float on_normal = share[0] / squared, on_axis = cosine * share[1] / squared;
    found.irradiance = cosine * on_normal;
    found.by_normal = on_normal * toward;
    found.by_axis = on_axis * toward;
    const wp::vec3 by_toward = on_normal * normal + on_axis * axis;
    found.by_place = inverse * (by_toward - (wp::dot(toward, by_toward) + 2.0f * found.irradiance) * toward);
    return found;
};
const auto share_of = [&](int lamp, const wp::vec3& at) {  // of a lamp's light that reaches a point
    if (!shares.data) return 1.0f;
    float total = 0.0f;
    for (int k = 0; k < 3; ++k) total += at[k] * shares.data[corners[k] * lamps + lamp];
    return total;
};
const auto mix = [](const wp::vec3& at, const wp::vec3& a, const wp::vec3& b, const wp::vec3& c) {
    return at[0] * a + at[1] * b + at[2] * c;
};
const auto turned = [&](const wp::vec3& mixed) {  // what makes a normal one of length 1 on the viewer's side; 0 for none
    const float size = wp::length(mixed);
    return size <= 1.1e-19f ? 0.0f : side / size;
};
const float per_pi = 0.3183098861837907f;
"""


@wp.func_native(once(_LAMPS + """
for (int n = pixel; n < pixel + count; ++n) {
    light.data[n] = wp::vec3(0.0f);
    if (face_id.data[n] < 0) continue;
    turn_to(face_id.data[n]);
    const wp::vec3 &at = weights.data[n], mixed = mix(at, na, nb, nc), normal = turned(mixed) * mixed, point = mix(at, a, b, c);
    wp::vec3 total(0.0f);
    for (int lamp = 0; lamp < lamps; ++lamp) {
        wp::vec3 strength = lines.data[3 * lamp + 2];
        if ((int)shapes.data[lamp][0] == SKY)
            for (int s = 0; s < directions.shape[0]; ++s) strength += wp::max(wp::dot(normal, directions.data[s]), 0.0f) * power.data[s];
        total += (reach(lamp, point, normal).irradiance * share_of(lamp, at)) * strength;
    }
    light.data[n] = per_pi * total;
}
"""))
def shade_row(
    pixel: int, count: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s, shares: Floats,
    directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, light: Vec3s,
):
    """Irradiance over π of some pixels, none where nothing is seen."""
    ...


@wp.func_native(once(_LAMPS + """
int record = first;
for (int n = pixel, end = pixel + count; n < end; ++record) {
    while (n < end && face_id.data[n] < 0) ++n;
    if (n == end) break;
    const int face = face_id.data[n];
    turn_to(face);
    wp::vec3 on_corner[3]{}, on_around[3]{};
    for (; n < end && face_id.data[n] == face; ++n) {
        const wp::vec3 &at = weights.data[n], mixed = mix(at, na, nb, nc), point = mix(at, a, b, c), asked = per_pi * by_light.data[n];
        const float turn = turned(mixed);
        const wp::vec3 normal = turn * mixed;
        wp::vec3 on_point(0.0f), on_normal(0.0f);
        for (int lamp = 0; lamp < lamps; ++lamp) {
            const float share = share_of(lamp, at), pull = share * wp::dot(asked, lines.data[3 * lamp + 2]);
            const Reach received = reach(lamp, point, normal);
            on_point -= pull * received.by_place;
            on_normal += pull * received.by_normal;
            if ((int)shapes.data[lamp][0] != SKY) continue;
            for (int s = 0; s < directions.shape[0]; ++s)
                if (wp::dot(normal, directions.data[s]) > 0.0f) on_normal += (share * wp::dot(asked, power.data[s])) * directions.data[s];
        }
        on_normal = turn * (on_normal - wp::dot(normal, on_normal) * normal);  // of length 1 it stays
        for (int k = 0; k < 3; ++k) {
            const wp::vec3 &corner = k == 0 ? a : k == 1 ? b : c, &around = k == 0 ? na : k == 1 ? nb : nc;
            by_weight.data[n][k] = wp::dot(corner, on_point) + wp::dot(around, on_normal);
            on_corner[k] += at[k] * on_point;
            on_around[k] += at[k] * on_normal;
        }
    }
    for (int k = 0; k < 3; ++k) {
        vertex.data[3 * record + k] = corners[k];
        corner.data[3 * record + k] = 3 * face + k;
        by_corner.data[3 * record + k] = on_corner[k];
        by_normal.data[3 * record + k] = on_around[k];
    }
}
"""))
def unshade_row(
    pixel: int, count: int, first: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s,
    shares: Floats, directions: Vec3s, power: Vec3s, face_id: Ints, weights: Vec3s, by_light: Vec3s, by_weight: Vec3s, vertex: Ints,
    corner: Ints, by_corner: Vec3s, by_normal: Vec3s,
):
    """What gradients for ``shade_row`` mean for barycentric coordinates, and run by run for corners and normals.

    ``first`` is the number of the first run that shows a face; ``vertex`` and ``corner`` say what the sums are for.
    """
    ...


@wp.func_native(once(_LAMPS + """
for (int n = pixel; n < pixel + count; ++n) {
    if (face_id.data[n] < 0) continue;
    turn_to(face_id.data[n]);
    const wp::vec3 &at = weights.data[n], mixed = mix(at, na, nb, nc), normal = turned(mixed) * mixed, point = mix(at, a, b, c);
    for (int lamp = 0; lamp < lamps; ++lamp) {
        const Reach received = reach(lamp, point, normal);
        const wp::vec3 asked = (per_pi * share_of(lamp, at)) * by_light.data[n];
        const float pull = wp::dot(asked, lines.data[3 * lamp + 2]);
        wp::vec3* line = by_line.data + 3 * (owner * lamps + lamp);
        line[0] += pull * received.by_place;
        line[1] += pull * received.by_axis;
        line[2] += received.irradiance * asked;
    }
}
"""))
def unlight_row(
    pixel: int, count: int, owner: int, faces: Ints, positions: Vec3s, normals: Vec3s, facing: Bytes, lines: Vec3s, shapes: Vec3s,
    shares: Floats, face_id: Ints, weights: Vec3s, by_light: Vec3s, by_line: Vec3s,
):
    """Adds what gradients for ``shade_row`` mean for the lamps to an owner's lines."""
    ...
