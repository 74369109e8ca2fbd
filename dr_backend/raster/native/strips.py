"""Going through a row of pixels a strip at a time.

What is known of a strip's pixels fits into a few short arrays, and loops over these take eight pixels at once. What happens per run, in
which pixels show one face, may write a few places too many: the next run overwrites them.
"""

from __future__ import annotations

from .lanes import FETCH, LANES, LOWEST

STRIP = 64  # pixels, on a processor; a bit for each fits into a number


def strips_across(width: int) -> int:
    """How many strips an image's row has."""
    return -(-width // STRIP)


# C++ as in ``lookup``. ``room`` is the length of a strip's arrays, ``lanes`` how many pixels are worth being computed at once.
STRIPS = f"const int most_pixels = {STRIP};" + LANES + LOWEST + FETCH + """
#if defined(__CUDA_ARCH__)
const int most = 1;  // an owner has one pixel
#else
const int most = most_pixels;
#endif
const int room = most + lanes - 1;
const int* const seen = face_id.data;
const int row_start = y * lens.width;
const int* const vertices = faces.data;
const wp::vec3* const points = camera.data;
const float up = sight_y((float)y + 0.5f);
const wp::vec2* const corner_uvs = uvs.data;
int starts[room + 1];
float corner_of[9][room] = {}, uv_of[6][room] = {};  // x, y, z of the three corners, and u, v
float run_a[room], run_b[room], run_c[room], step_a[room], step_b[room], step_c[room], side[room];  // see ``SPOTS``
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
    const auto goes_on = [&]() { return base > row_start + x && shown[0] == shown[-1]; };  // its first run began in the strip before
    const auto material_at = [&](int k) { return shown[k] < 0 ? -1 : face_material.data ? face_material.data[shown[k]] : 0; };
    for (int from = 0, to; from < size; from = to) {
        const int material = material_at(from);
        to = run_end(from);
        while (to < size && material_at(to) == material) to = run_end(to);
"""

# In that, where ``image`` is the material's, what is known of all runs; those after the last, up to a whole number of ``lanes``, are
# empty.
MAKE_RUNS = """
        int runs = 0;
        for (int start = from; start < to; start = run_end(start)) {
            const int face = shown[start], *const corners = vertices + 3 * face;
            for (int n = 0; n < 9; ++n) corner_of[n][runs] = points[corners[n / 3]][n % 3];
            for (int n = 0; n < 6; ++n) uv_of[n][runs] = image.width ? corner_uvs[3 * face + n / 2][n % 2] : 0.0f;
            starts[runs++] = start;
        }
        const int rounded = (runs + lanes - 1) / lanes * lanes;
        for (int n = runs; n <= rounded; ++n) starts[n] = to;
        for (int first = 0; first < rounded; first += lanes) {
            for (int n = first; n < first + lanes; ++n) {
                const wp::vec3 p(corner_of[0][n], corner_of[1][n], corner_of[2][n]), q(corner_of[3][n], corner_of[4][n], corner_of[5][n]);
                const wp::vec3 r(corner_of[6][n], corner_of[7][n], corner_of[8][n]);
                const Run run = run_of(p, q, r, sight_x((float)(base - row_start + starts[n]) + 0.5f), up);
                run_a[n] = run.a, run_b[n] = run.b, run_c[n] = run.c;
                step_a[n] = run.step_a, step_b[n] = run.step_b, step_c[n] = run.step_c, side[n] = run.side;
            }
        }
"""
