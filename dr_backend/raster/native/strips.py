"""Going through a row of pixels a strip at a time.

What is known of a strip's pixels fits into a few short arrays, and loops over these take eight pixels at once. What happens per run, in
which pixels show one face, may write a few places too many: the next run overwrites them.
"""

from __future__ import annotations

from .interpolate import CORNERS
from .lanes import LANES, LOWEST

STRIP = 64  # pixels, on a processor; a bit for each fits into a number


def strips_across(width: int) -> int:
    """How many strips an image's row has."""
    return -(-width // STRIP)


# C++ as in ``lookup``. ``room`` is the length of a strip's arrays, ``lanes`` how many pixels are worth being computed at once.
STRIPS = f"const int most_pixels = {STRIP};" + LANES + LOWEST + """
#if defined(__CUDA_ARCH__)
const int most = 1;  // an owner has one pixel
#else
const int most = most_pixels;
#endif
const int room = most + lanes - 1;
const int* const seen = face_id.data;
const int row_start = y * lens.width;
"""

# A loop over strips, each from pixel ``base`` on, and in it one over stretches of a material, -1 for none, from ``from`` to ``to``.
EACH_STRETCH = """
for (int base = row_start + x, end = base + count; base < end; base += most) {
    const int size = end - base < most ? end - base : most;
    const int* const shown = seen + base;
    const int strip = y * ((lens.width + most - 1) / most) + (base - row_start) / most;
    unsigned long long ends = 1ull << (size - 1);  // a bit for the last pixel of each run: to look for them one by one is slow
    for (int k = 0; k < size - 1; ++k) ends |= (unsigned long long)(shown[k] != shown[k + 1]) << k;
    const auto run_end = [&](int k) { return k + lowest(ends >> k) + 1; };
    const auto material_at = [&](int k) { return shown[k] < 0 ? -1 : face_material.data ? face_material.data[shown[k]] : 0; };
    for (int from = 0, to; from < size; from = to) {
        const int material = material_at(from);
        to = run_end(from);
        while (to < size && material_at(to) == material) to = run_end(to);
"""

# In that a loop over runs, from ``start`` to ``stop``; one that goes on from the strip before is ``old``.
EACH_RUN = """
        for (int start = from, stop; start < to; start = stop) {
            stop = run_end(start);
            const int face = shown[start], pixel = base + start;
            const bool old = start == 0 && base > row_start + x && shown[-1] == face;
""" + CORNERS
