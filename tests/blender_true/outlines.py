"""Meshes as outlines: where transforms, copies and modifiers put them."""

import bpy

from .fixture import OUTLINE, fixture
from .studio import CUBE, CUBE_QUADS, Studio


@fixture("meshes", OUTLINE, lit=False)
def object_transform(studio: Studio) -> None:
    box = studio.box()
    box.location, box.rotation_euler, box.scale = (0.3, 0.2, -0.1), (0.4, 0.2, 0.9), (1.2, 0.5, 0.8)


@fixture("meshes", OUTLINE, lit=False)
def parent_and_its_inverse(studio: Studio) -> None:
    box, rig = studio.box(), studio.link(studio.new_empty("Rig"))
    rig.location, rig.rotation_euler, rig.scale = (0.3, 0.1, 0.2), (0.2, 0.5, 0.1), (0.7, 1.3, 0.9)
    bpy.context.view_layer.update()
    box.parent, box.rotation_euler = rig, (0.5, 0, 0.3)
    box.matrix_parent_inverse = studio.camera.matrix_world.to_3x3().to_4x4()


@fixture("meshes", OUTLINE, lit=False)
def delta_transform(studio: Studio) -> None:
    box = studio.box()
    box.delta_location, box.delta_rotation_euler, box.delta_scale = (0.2, 0.3, 0.1), (0.3, 0.1, 0.7), (0.8, 1.1, 0.6)


@fixture("meshes", OUTLINE, lit=False)
def negative_scale(studio: Studio) -> None:
    box = studio.box()
    box.rotation_euler, box.scale = (0.2, 0.1, 0.5), (-1, 0.7, 1.1)


@fixture("meshes", OUTLINE, lit=False)
def linked_duplicates(studio: Studio) -> None:
    box = studio.box()
    box.scale = (0.5, 0.5, 0.5)
    for index, place in enumerate([(-1.4, 0, 0), (1.3, 0.4, 0.2)]):
        twin = studio.add(bpy.data.objects.new(f"Twin {index}", box.data))
        twin.location, twin.rotation_euler, twin.scale = place, (0.3, index, 0.5), (0.4, 0.7 - 1.2 * index, 0.5)


_MODIFIERS = ["subdivision", "mirror", "array", "displaced", "viewport only", "solidified bowl", "geometry nodes", "several"]


@fixture("meshes", OUTLINE, variants=_MODIFIERS, lit=False)
def modifiers(studio: Studio, variant: str) -> None:
    box = studio.box()
    box.rotation_euler = (0.3, 0.2, 0.5)
    if variant == "subdivision":
        made = box.modifiers.new("Round", "SUBSURF")
        made.levels, made.render_levels = 0, 3
    elif variant == "mirror":
        box.scale, box.location = (0.5, 0.6, 0.7), (1.0, 0, 0)
        box.modifiers.new("Twin", "MIRROR").mirror_object = studio.link(studio.new_empty("Middle"))
    elif variant == "array":
        box.scale = (0.4, 0.4, 0.4)
        made = box.modifiers.new("Row", "ARRAY")
        made.count, made.relative_offset_displace = 3, (-1.3, 0.3, 0.2)
    elif variant == "displaced":
        box.modifiers.new("Round", "SUBSURF").render_levels = 2
        box.modifiers.new("Blow", "DISPLACE").strength = 0.4
    elif variant == "solidified bowl":
        box.data.clear_geometry()
        box.data.from_pydata(CUBE, [], CUBE_QUADS[:5])
        made = box.modifiers.new("Thick", "SOLIDIFY")
        made.thickness, made.offset = 0.5, 1.0
    elif variant == "geometry nodes":
        box.scale = (0.6, 0.6, 0.6)
        box.modifiers.new("Spikes", "NODES").node_group = _spikes(box.data.materials[0])
    elif variant == "several":
        box.scale = (0.7, 0.7, 0.7)
        made = box.modifiers.new("Row", "ARRAY")
        made.count, made.relative_offset_displace = 2, (-1.3, 0.3, 0.2)
        box.modifiers.new("Twist", "SIMPLE_DEFORM").angle = 1.2
        box.modifiers.new("Round", "SUBSURF").render_levels = 2
    else:
        box.modifiers.new("Round", "SUBSURF").show_render = False


def _spikes(material: bpy.types.Material) -> bpy.types.NodeTree:
    """Geometry nodes that draw every face out, and make a small cone at every vertex, realized."""
    tree = bpy.data.node_groups.new("Spikes", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    kinds = ("ExtrudeMesh", "MeshCone", "InstanceOnPoints", "RealizeInstances", "SetMaterial")
    draw, cone, put, real, paint = (tree.nodes.new(f"GeometryNode{kind}") for kind in kinds)
    start = tree.nodes.new("NodeGroupInput")
    join, end = tree.nodes.new("GeometryNodeJoinGeometry"), tree.nodes.new("NodeGroupOutput")
    draw.inputs["Offset Scale"].default_value, put.inputs["Scale"].default_value = 0.4, (0.3, 0.3, 0.3)
    tree.links.new(start.outputs[0], draw.inputs["Mesh"])
    tree.links.new(start.outputs[0], put.inputs["Points"])
    tree.links.new(cone.outputs["Mesh"], put.inputs["Instance"])
    tree.links.new(put.outputs["Instances"], real.inputs[0])
    paint.inputs["Material"].default_value = material
    tree.links.new(real.outputs[0], paint.inputs["Geometry"])
    for part in (draw.outputs["Mesh"], paint.outputs[0]):
        tree.links.new(part, join.inputs[0])
    tree.links.new(join.outputs[0], end.inputs[0])
    return tree


@fixture("meshes", OUTLINE, lit=False)
def shape_keys_and_vertex_groups(studio: Studio) -> None:
    box = studio.box()
    group = box.vertex_groups.new(name="Top")
    group.add([1, 3, 5, 7], 0.7, "REPLACE")
    box.shape_key_add(name="Basis")
    key = box.shape_key_add(name="Wide")
    for point in key.data:
        point.co *= 1.4
    key.vertex_group, key.value = "Top", 0.9


@fixture("meshes", OUTLINE, lit=False)
def polygon_of_ten_corners(studio: Studio) -> None:
    star = [(r * c, r * s, 0.4 * (i % 2)) for i, (r, c, s) in enumerate(_STAR)]
    studio.mesh("Star", star, [tuple(range(len(star)))]).scale = (1.6, 1.6, 1.6)


_STAR = [(1.0, 1, 0), (0.4, 0.81, 0.59), (1.0, 0.31, 0.95), (0.4, -0.31, 0.95), (1.0, -0.81, 0.59), (0.4, -1, 0),
         (1.0, -0.81, -0.59), (0.4, -0.31, -0.95), (1.0, 0.31, -0.95), (0.4, 0.81, -0.59)]  # fmt: skip
