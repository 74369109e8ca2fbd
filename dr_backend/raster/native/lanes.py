"""Loops in C++ over several things at once."""

from __future__ import annotations

# Before a loop: eight pixels at a time, the last ones too, since most rows of a face are short.
VECTORIZED = """
#pragma clang loop vectorize(enable) vectorize_width(8) interleave_count(1) vectorize_predicate(enable)
"""

# How many pixels, or rows, are worth being computed at once, by loops of just that length.
LANES = """
#if defined(__CUDA_ARCH__)
const int lanes = 1;
#else
const int lanes = 8;
#endif
"""

# The number of the lowest bit that is set.
LOWEST = """
#if defined(__CUDA_ARCH__)
const auto lowest = [](unsigned long long bits) { return __ffsll((long long)bits) - 1; };
#else
const auto lowest = [](unsigned long long bits) { return __builtin_ctzll(bits); };
#endif
"""

# Has what lies at an address brought into the cache, for later.
FETCH = """
#if defined(__CUDA_ARCH__)
const auto fetch = [](const void*) {};
#else
const auto fetch = [](const void* address) { __builtin_prefetch(address); };
#endif
"""

# Has the corners of faces that follow each other in ``corners``, an array for each coordinate of each corner. Eight at a time are loaded
# vertex by vertex, as four numbers of which one is not wanted, and turned about: vectors that were stored number by number are not to be
# read until all of these have left for the cache. What lies behind the last point has to be there, whatever it is.
CORNERS = """
const auto corner_by_corner = [](const wp::vec3* points, const int* faces, int count, auto& corners) {
    for (int n = 0; n < count; ++n)
        for (int c = 0; c < 3; ++c)
            for (int k = 0; k < 3; ++k) corners[3 * c + k][n] = points[faces[3 * n + c]][k];
};
#if defined(__CUDA_ARCH__)
const auto collect = corner_by_corner;
#else
typedef float Four __attribute__((vector_size(16)));
typedef float Anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef float Eight __attribute__((vector_size(32), may_alias));
struct Turned { Four x, y, z; };
const auto turned_about = [](const wp::vec3* points, const int* corner) {
    const Four a = *(const Anywhere*)(points + corner[0]), b = *(const Anywhere*)(points + corner[3]);
    const Four c = *(const Anywhere*)(points + corner[6]), d = *(const Anywhere*)(points + corner[9]);
    const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four ab_z = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd_z = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return Turned{
        __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
        __builtin_shufflevector(ab_z, cd_z, 0, 1, 4, 5),
    };
};
const auto both = [](const Four& one, const Four& two) { return __builtin_shufflevector(one, two, 0, 1, 2, 3, 4, 5, 6, 7); };
const auto collect = [&](const wp::vec3* points, const int* faces, int count, auto& corners) {
    if (count < (int)(sizeof(corners[0]) / sizeof(float))) return corner_by_corner(points, faces, count, corners);
    for (int n = 0; n < count; n += 8) {
        for (int c = 0; c < 3; ++c) {
            const Turned one = turned_about(points, faces + 3 * n + c), two = turned_about(points, faces + 3 * n + 12 + c);
            *(Eight*)(corners[3 * c] + n) = both(one.x, two.x);
            *(Eight*)(corners[3 * c + 1] + n) = both(one.y, two.y);
            *(Eight*)(corners[3 * c + 2] + n) = both(one.z, two.z);
        }
    }
};
#endif
"""
