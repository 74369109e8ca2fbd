"""Node trees as artists leave them: what passes through, what is switched off, and which output counts."""

import bpy

from .fixture import GLOSSY, TEXTURE, fixture
from .studio import Studio

_PLAIN = [
    "muted curves over an image",
    "muted mix",
    "muted noise",
    "muted link",
    "value through a reroute",
    "loose reroute",
    "red of an image",
    "alpha of an image",
    "outputs for cycles and eevee",
]


def _stage(studio: Studio) -> bpy.types.Material:
    """A painted board under a sun."""
    material = studio.diffuse((0.7, 0.6, 0.2))
    studio.plane(material)
    studio.lamp("SUN", 2.5, color=(1, 1, 1))
    return material


@fixture("trees", TEXTURE, variants=_PLAIN, supersample=4)
def base_color(studio: Studio, variant: str) -> None:
    material = _stage(studio)
    tree, shader = material.node_tree, studio.shader(material)
    socket = shader.inputs["Color"]
    if variant in ("muted curves over an image", "muted mix", "muted noise"):
        kinds = {"muted curves over an image": "ShaderNodeRGBCurve", "muted mix": "ShaderNodeMixRGB", "muted noise": "ShaderNodeTexNoise"}
        node = tree.nodes.new(kinds[variant])
        node.mute = True
        if variant == "muted curves over an image":
            node.mapping.curves[3].points[0].location = (0, 1)
            tree.links.new(studio.image_node(material, studio.picture()).outputs["Color"], node.inputs["Color"])
        elif variant == "muted mix":
            node.inputs["Color1"].default_value, node.inputs["Color2"].default_value = (0.1, 0.3, 0.8, 1), (1, 0, 0, 1)
        tree.links.new(node.outputs["Color"], socket)
    elif variant == "muted link":
        studio.image_node(material, studio.picture())
        socket.links[0].is_muted = True
    elif variant == "value through a reroute":
        value, turn = tree.nodes.new("ShaderNodeValue"), tree.nodes.new("NodeReroute")
        value.outputs[0].default_value = 0.4
        tree.links.new(value.outputs[0], turn.inputs[0])
        tree.links.new(turn.outputs[0], socket)
    elif variant == "loose reroute":
        tree.links.new(tree.nodes.new("NodeReroute").outputs[0], socket)
    elif variant == "red of an image":
        part = tree.nodes.new("ShaderNodeSeparateColor")
        tree.links.new(studio.image_node(material, studio.picture()).outputs["Color"], part.inputs["Color"])
        tree.links.new(part.outputs["Red"], socket)
    elif variant == "alpha of an image":
        image = bpy.data.images.new("Veil", 8, 8, alpha=True, float_buffer=True)
        image.pixels.foreach_set([c for i in range(64) for c in (0.2, 0.5, 0.9, 0.1 + 0.8 * (i * 7 % 64) / 64)])
        image.pack()
        tree.links.new(studio.image_node(material, image).outputs["Alpha"], socket)
    else:
        both = tree.get_output_node("ALL")
        tree.nodes.remove(both)
        for target, color in (("EEVEE", (1, 0, 0, 1)), ("CYCLES", (0.1, 0.6, 0.3, 1))):
            matte = tree.nodes.new("ShaderNodeBsdfDiffuse")
            matte.inputs["Color"].default_value = color
            output = tree.nodes.new("ShaderNodeOutputMaterial")
            output.target = target
            tree.links.new(matte.outputs[0], output.inputs["Surface"])


_BAKED = ["color ramp", "curves over an image", "group in a group", "image without a file"]


@fixture("trees", TEXTURE, variants=_BAKED, supersample=4, warns="is baked")
def baked_base_color(studio: Studio, variant: str) -> None:
    material = _stage(studio)
    tree, socket = material.node_tree, studio.shader(material).inputs["Color"]
    if variant == "color ramp":
        node = tree.nodes.new("ShaderNodeValToRGB")
        node.color_ramp.elements[0].color, node.color_ramp.elements[1].color = (0.9, 0.2, 0.1, 1), (0.1, 0.3, 0.9, 1)
        noise = tree.nodes.new("ShaderNodeTexNoise")
        noise.inputs["Scale"].default_value = 1.5
        tree.links.new(noise.outputs[0], node.inputs["Fac"])
    elif variant == "curves over an image":
        node = tree.nodes.new("ShaderNodeRGBCurve")
        node.mapping.curves[3].points[0].location = (0, 0.3)
        tree.links.new(studio.image_node(material, studio.picture()).outputs["Color"], node.inputs["Color"])
    elif variant == "group in a group":
        node = _group_in_a_group(tree)
    else:
        node = tree.nodes.new("ShaderNodeTexImage")
    tree.links.new(node.outputs[0], socket)


def _group_in_a_group(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """A node whose group holds a group that holds a checker."""
    inner, outer = (bpy.data.node_groups.new(name, "ShaderNodeTree") for name in ("Squares", "Cloth"))
    for group in (inner, outer):
        group.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    checker, end = inner.nodes.new("ShaderNodeTexChecker"), inner.nodes.new("NodeGroupOutput")
    checker.inputs["Scale"].default_value = 3
    inner.links.new(inner.nodes.new("ShaderNodeTexCoord").outputs["UV"], checker.inputs["Vector"])
    inner.links.new(checker.outputs["Color"], end.inputs[0])
    made, end = outer.nodes.new("ShaderNodeGroup"), outer.nodes.new("NodeGroupOutput")
    made.node_tree = inner
    outer.links.new(made.outputs[0], end.inputs[0])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = outer
    return node


_GROUPED = ["an image and values handed in", "everything inside", "alpha beside it", "noise inside"]


def _paint_group(studio: Studio, variant: str) -> bpy.types.NodeTree:
    """A group that holds a Principled BSDF, and a Mapping node for an image that is inside or handed in."""
    tree = bpy.data.node_groups.new("Paint", "ShaderNodeTree")
    for name, kind in (("Tint", "Color"), ("Wear", "Float"), ("Shine", "Float"), ("Veil", "Float")):
        tree.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
    tree.interface.new_socket("BSDF", in_out="OUTPUT", socket_type="NodeSocketShader")
    start, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    tree.links.new(shader.outputs[0], end.inputs["BSDF"])
    tree.links.new(start.outputs["Wear"], shader.inputs["Roughness"])
    tree.links.new(start.outputs["Shine"], shader.inputs["Metallic"])
    if variant == "an image and values handed in":
        tree.links.new(start.outputs["Tint"], shader.inputs["Base Color"])
    elif variant == "alpha beside it":
        tree.links.new(start.outputs["Veil"], shader.inputs["Alpha"])
        tree.links.new(start.outputs["Tint"], shader.inputs["Base Color"])
    else:
        kind = "ShaderNodeTexNoise" if variant == "noise inside" else "ShaderNodeTexImage"
        node, place = tree.nodes.new(kind), tree.nodes.new("ShaderNodeMapping")
        if variant == "everything inside":
            node.image = studio.picture((24, 16))
        place.inputs["Scale"].default_value, place.inputs["Rotation"].default_value = (2, 1.5, 1), (0, 0, 0.4)
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["UV"], place.inputs["Vector"])
        tree.links.new(place.outputs["Vector"], node.inputs["Vector"])
        tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return tree


def _grouped(studio: Studio, variant: str) -> None:
    material = studio.diffuse(name="Grouped")
    tree = material.node_tree
    outer = bpy.data.node_groups.new("Car", "ShaderNodeTree")
    outer.interface.new_socket("Surface", in_out="OUTPUT", socket_type="NodeSocketShader")
    for name, kind in (("Paint", "Color"), ("Thin", "Float")):
        outer.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
    start, end, within = (outer.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "ShaderNodeGroup"))
    within.node_tree = _paint_group(studio, variant)
    within.inputs["Wear"].default_value, within.inputs["Shine"].default_value = 0.35, 0.4
    outer.links.new(start.outputs["Paint"], within.inputs["Tint"])
    outer.links.new(start.outputs["Thin"], within.inputs["Veil"])
    outer.links.new(within.outputs["BSDF"], end.inputs["Surface"])
    node, image = tree.nodes.new("ShaderNodeGroup"), tree.nodes.new("ShaderNodeTexImage")
    node.node_tree, image.image = outer, studio.picture((24, 16))
    node.inputs["Thin"].default_value = 0.6
    tree.links.new(image.outputs["Color"], node.inputs["Paint"])
    tree.links.new(node.outputs["Surface"], tree.get_output_node("ALL").inputs["Surface"])
    studio.ball(material, segments=48, rings=24).scale = (1.6, 1.6, 1.6)
    studio.lamp("AREA", 200, eye=(2.5, -2.5, 3), size=1.0)
    studio.background((0.5, 0.6, 0.8), 0.3)


@fixture("trees", GLOSSY, variants=_GROUPED[:2], samples=32, supersample=3)
def principled_in_groups(studio: Studio, variant: str) -> None:
    _grouped(studio, variant)


@fixture("trees", GLOSSY, variants=_GROUPED[3:], samples=32, supersample=3, warns="is baked")
def baked_in_groups(studio: Studio, variant: str) -> None:
    _grouped(studio, variant)


@fixture("trees", TEXTURE, variants=_GROUPED[:3], lit=False, supersample=4, warns="does not see the Metallic")
def base_color_in_groups(studio: Studio, variant: str) -> None:
    _grouped(studio, variant)
