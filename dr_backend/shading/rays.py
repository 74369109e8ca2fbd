"""The ray query as a Warp kernel: for each surface point and direction, whether anything stands in the way."""

import warp as wp

wp.config.quiet = True


@wp.kernel(enable_backward=False, module="unique")
def cast(
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    outward: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    lifts: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    distances: wp.array(dtype=wp.float32),
    samples: int,
    shared: int,
    margin: float,
    visible: wp.array(dtype=wp.uint8),
):
    """One thread per surface point and sample. ``outward`` is the geometric normal on the lit side, ``lifts`` moves a point from its facet
    toward the smooth surface that it stands for; the lift grows as the ray comes to graze the facet."""
    index = wp.tid()
    point = index // samples
    place = index
    if shared == 1:
        place = index % samples
    direction = directions[place]
    visible[index] = wp.uint8(0)
    if wp.dot(normals[point], direction) <= 0.0:
        return
    side = wp.dot(outward[point], direction)
    step = margin
    if side < 0.0:
        step = -margin
    amount = wp.clamp(1.0 - side * 10.0, 0.0, 1.0)
    origin = origins[point] + outward[point] * step + lifts[point] * amount
    reach = distances[place] - 2.0 * margin
    if reach <= 0.0 or not wp.mesh_query_ray_anyhit(mesh, origin, direction, reach):
        visible[index] = wp.uint8(1)
