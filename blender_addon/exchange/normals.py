"""Which corners of a mesh share a normal, and normals that the artist set by hand."""

import bpy
import numpy as np


def _shared_corners(mesh: bpy.types.Mesh, smooth: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Pairs of corners (P, 2) that lie at the same vertex on both sides of an edge that is shaded smoothly."""
    loops = len(mesh.loops)
    edge, vertex = np.empty(loops, np.int32), np.empty(loops, np.int32)
    mesh.loops.foreach_get("edge_index", edge)
    mesh.loops.foreach_get("vertex_index", vertex)
    start, total = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", start)
    mesh.polygons.foreach_get("loop_total", total)
    polygon = np.repeat(np.arange(len(total)), total)
    following = np.arange(loops) + 1
    following[start + total - 1] = start
    order = np.argsort(edge, kind="stable")
    ends = np.searchsorted(edge[order], np.arange(len(mesh.edges) + 1))
    first = ends[:-1][(np.diff(ends) == 2) & ~sharp]  # edges between exactly two faces
    a, b = order[first], order[first + 1]
    sound = (vertex[a] != vertex[b]) & smooth[polygon[a]] & smooth[polygon[b]]  # both wind the same way round
    a, b = a[sound], b[sound]
    return np.concatenate([np.stack([a, following[b]], 1), np.stack([following[a], b], 1)])


def read_normal_groups(mesh: bpy.types.Mesh, smooth: np.ndarray) -> np.ndarray | None:
    """A number per corner (L,) int32: corners of equal number share a smooth normal. None where each vertex has only one.

    ``smooth`` (P,) says which polygons are. Without sharp edges Cycles takes the mean over all faces around a vertex, before Blender 5
    also where some of them are flat; since then it parts those, as the viewport always did.
    """
    sharp = np.empty(len(mesh.edges), bool)
    mesh.edges.foreach_get("use_edge_sharp", sharp)
    mixed = bpy.app.version >= (5, 0, 0) and not smooth.all()
    if not smooth.any() or not (mixed or sharp.any()):
        return None
    pairs = _shared_corners(mesh, smooth, sharp)
    group = np.arange(len(mesh.loops), dtype=np.int32)
    while True:  # the lowest number travels around its vertex
        before = group.copy()
        np.minimum.at(group, pairs[:, 0], before[pairs[:, 1]])
        np.minimum.at(group, pairs[:, 1], before[pairs[:, 0]])
        if np.array_equal(group, before):
            return np.unique(group, return_inverse=True)[1].astype(np.int32)


def read_custom_normals(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """Normal per corner (L, 3) in object space where the artist set any by hand, else None."""
    if not mesh.has_custom_normals:
        return None
    flat = np.empty(len(mesh.loops) * 3, np.float32)
    mesh.corner_normals.foreach_get("vector", flat)
    return flat.reshape(-1, 3)


def read_tangents(mesh: bpy.types.Mesh, uv_map: str) -> np.ndarray | None:
    """Tangent and sign per corner (L, 4) in object space, as normal images are turned by; None where Blender cannot tell them."""
    layer = mesh.uv_layers.get(uv_map) if uv_map else next((layer for layer in mesh.uv_layers if layer.active_render), None)
    if layer is None:
        return None
    try:
        mesh.calc_tangents(uvmap=layer.name)
    except RuntimeError:  # polygons of more than four corners
        return None
    tangent, sign = np.empty(len(mesh.loops) * 3, np.float32), np.empty(len(mesh.loops), np.float32)
    mesh.loops.foreach_get("tangent", tangent)
    mesh.loops.foreach_get("bitangent_sign", sign)
    mesh.free_tangents()
    return np.concatenate([tangent.reshape(-1, 3), sign[:, None]], 1)
