"""Normals as Blender shades them: flat, smooth, sharp edges, custom; and what belongs to corners and faces."""

import bpy
import numpy as np

from .fixture import UNSHADOWED, fixture
from .studio import Studio


def _light(studio: Studio) -> None:
    studio.lamp("SUN", 2, eye=(3, -2, 2))
    studio.lamp("SUN", 1, eye=(-3, -1, 1), color=(0.2, 0.5, 1.0))
    studio.aim((0, -5, 3))


def _tumbler(studio: Studio) -> bpy.types.Object:
    """A smooth prism of eight sides with rims."""
    angles = np.arange(8) * 2 * np.pi / 8
    points = [(np.cos(a), np.sin(a), z) for z in (-1.0, 1.0) for a in angles]
    sides = [(i, (i + 1) % 8, 8 + (i + 1) % 8, 8 + i) for i in range(8)]
    obj = studio.mesh("Tumbler", points, [*sides, tuple(range(7, -1, -1)), tuple(range(8, 16))], studio.diffuse())
    obj.data.polygons.foreach_set("use_smooth", np.ones(10, bool))
    obj.rotation_euler = (0.3, 0.2, 0.1)
    return obj


@fixture("normals", UNSHADOWED, variants=["flat", "smooth"])
def ball(studio: Studio, variant: str) -> None:
    studio.ball(studio.diffuse(), smooth=variant == "smooth", segments=12, rings=6).scale = (1.5, 1.0, 1.3)
    _light(studio)


@fixture("normals", UNSHADOWED)
def flat_and_smooth_faces_of_one_mesh(studio: Studio) -> None:
    obj = studio.ball(studio.diffuse(), segments=12, rings=6)
    obj.scale = (1.5, 1.5, 1.5)
    obj.data.polygons.foreach_set("use_smooth", np.arange(len(obj.data.polygons)) % 3 > 0)
    _light(studio)


@fixture("normals", UNSHADOWED, variants=["rims", "one side"])
def sharp_edges(studio: Studio, variant: str) -> None:
    obj = _tumbler(studio)
    for edge in obj.data.edges:
        low, high = (obj.data.vertices[v].co.z > 0 for v in edge.vertices)
        edge.use_edge_sharp = low == high if variant == "rims" else (low != high and edge.index % 3 == 0)
    _light(studio)


@fixture("normals", UNSHADOWED, variants=["plain", "mirrored and stretched"])
def custom_split_normals(studio: Studio, variant: str) -> None:
    obj = _tumbler(studio)
    rng = np.random.default_rng(3)
    bent = np.array([n.vector for n in obj.data.corner_normals]) + rng.normal(0, 0.25, (len(obj.data.loops), 3))
    obj.data.normals_split_custom_set((bent / np.linalg.norm(bent, axis=1, keepdims=True)).tolist())
    if variant != "plain":
        obj.scale = (-1.3, 0.8, 1.1)
    _light(studio)


@fixture("normals", UNSHADOWED)
def smooth_under_negative_scale(studio: Studio) -> None:
    obj = studio.ball(studio.diffuse(), segments=12, rings=6)
    obj.scale, obj.rotation_euler = (-1.6, 1.0, 1.2), (0.4, 0.3, 0.2)
    _light(studio)


@fixture("normals", UNSHADOWED)
def inside_of_an_open_bowl(studio: Studio) -> None:
    obj = studio.ball(studio.diffuse(), segments=24, rings=12)
    low = [tuple(p.vertices) for p in obj.data.polygons if p.center.z < 0.1]
    bowl = studio.mesh("Bowl", [tuple(v.co) for v in obj.data.vertices], low, studio.diffuse())
    bowl.data.polygons.foreach_set("use_smooth", np.ones(len(low), bool))
    bowl.scale, obj.location, obj.scale = (1.6, 1.6, 1.6), (0, 0, 1.2), (0.3, 0.3, 0.3)
    for both in (bowl, obj):
        both.visible_shadow = both.visible_diffuse = False
    _light(studio)


@fixture("normals", UNSHADOWED)
def modifiers_with_smooth_shading(studio: Studio) -> None:
    box = studio.box(studio.diffuse())
    box.data.polygons.foreach_set("use_smooth", np.ones(6, bool))
    made = box.modifiers.new("Bevel", "BEVEL")
    made.width, made.segments, made.harden_normals = 0.4, 2, True
    box.rotation_euler = (0.3, 0.2, 0.5)
    _light(studio)


@fixture("normals", UNSHADOWED)
def materials_that_modifiers_bring_along(studio: Studio) -> None:
    """Solidify with another slot for its rim, and geometry nodes that set a material of no slot on every second face."""
    obj = studio.ball(studio.diffuse(), segments=12, rings=6)
    obj.data.materials.append(studio.diffuse((0.1, 0.6, 0.3), "Rim"))
    obj.data.materials.append(studio.diffuse((0.9, 0.9, 0.9), "Unused"))
    cut = bpy.data.meshes.new("Bowl")
    rows = [tuple(v.co) for v in obj.data.vertices]
    cut.from_pydata(rows, [], [tuple(p.vertices) for p in obj.data.polygons if p.center.z < 0.3])
    for material in obj.data.materials:
        cut.materials.append(material)
    obj.data = cut
    made = obj.modifiers.new("Thick", "SOLIDIFY")
    made.thickness, made.material_offset_rim = 0.3, 1
    tree = bpy.data.node_groups.new("Dots", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end, paint = (tree.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeSetMaterial"))
    paint.inputs["Material"].default_value = studio.diffuse((0.2, 0.2, 0.9), "Dots")
    odd, index = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("GeometryNodeInputIndex")
    odd.operation, odd.inputs[1].default_value = "MODULO", 2
    tree.links.new(index.outputs[0], odd.inputs[0])
    tree.links.new(odd.outputs[0], paint.inputs["Selection"])
    tree.links.new(start.outputs[0], paint.inputs["Geometry"])
    tree.links.new(paint.outputs[0], end.inputs[0])
    obj.modifiers.new("Dots", "NODES").node_group = tree
    obj.scale, obj.rotation_euler = (1.5, 1.5, 1.5), (0.4, 0, 0)
    _light(studio)
