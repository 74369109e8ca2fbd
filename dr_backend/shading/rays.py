"""Ray queries as Warp kernels: whether anything stands in the way of surface points, and what a ray meets first."""

import warp as wp

wp.config.log_level = wp.LOG_ERROR

MODULE = wp.get_module("fit_to_photo_rays")  # one for all of them: most of the time to compile any goes into Warp's own header
MODULE.options["enable_backward"] = False


@wp.kernel(module=MODULE)
def cast(
    first: int,
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
    """Whether nothing is in the way. The owner is a surface point and a sample.

    ``outward`` is the geometric normal on the lit side, ``lifts`` moves a point from its facet toward the smooth surface that it stands
    for; the lift grows as the ray comes to graze the facet.
    """
    index = first + wp.tid()
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


@wp.kernel(module=MODULE)
def meet(
    first: int,
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    reach: wp.array(dtype=wp.float32),
    face: wp.array(dtype=wp.int32),
    weights: wp.array(dtype=wp.vec3),
    distance: wp.array(dtype=wp.float32),
):
    """The first face of the mesh on each ray's way, -1 where there is none; where on it, in barycentric coordinates, and how far.

    The owner is a ray.
    """
    index = first + wp.tid()
    face[index] = -1
    if reach[index] > 0.0:
        hit = wp.mesh_query_ray(mesh, origins[index], directions[index], reach[index])
        if hit.result:
            face[index] = hit.face
            weights[index] = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)
            distance[index] = hit.t
