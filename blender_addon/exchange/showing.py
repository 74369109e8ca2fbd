"""Materials that show what feeds one input of their shader, as light of its own: for bakes, and for pictures without light."""

from collections.abc import Iterator

import bpy

from .alpha import AlphaInput
from .sources import Groups


def show_input(
    material: bpy.types.Material, socket: bpy.types.NodeSocket, around: Groups = (), alpha: AlphaInput | None = None
) -> list[bpy.types.NodeTree]:
    """Lets ``material``, a copy, emit what feeds the input, which is found by names as it is in the artist's; as see-through as ``alpha``
    says.

    Returns copies of the groups around the input, which are the material's own now: who removes it removes them too.
    """
    output = material.node_tree.get_output_node("CYCLES") or material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    nodes = list(_own_groups(material.node_tree, around))
    trees = [material.node_tree, *(node.node_tree for node in nodes)]
    emission = trees[-1].nodes.new("ShaderNodeEmission")
    source = _twin(trees[-1], socket)
    if source.links:
        trees[-1].links.new(source.links[0].from_socket, emission.inputs["Color"])
    else:
        emission.inputs["Color"].default_value = source.default_value
    surface = emission.outputs["Emission"]
    for depth in reversed(range(len(trees))):
        if alpha is not None and len(alpha.around_whole) == depth:
            surface = _mixed(trees[depth], surface, alpha)
        if depth:
            surface = _handed_out(nodes[depth - 1], surface)
    material.node_tree.links.new(surface, output.inputs["Surface"])
    return trees[1:]


def _own_groups(tree: bpy.types.NodeTree, around: Groups) -> Iterator[bpy.types.Node]:
    """The group nodes of those names in a material's tree, each with a tree of its own now: the artist's may be used elsewhere too."""
    for group in around:
        node = tree.nodes[group.name]
        node.node_tree = tree = node.node_tree.copy()
        yield node


def _twin(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The input of that name in a copy of its tree."""
    return next(s for s in tree.nodes[socket.node.name].inputs if s.identifier == socket.identifier)


def _mixed(tree: bpy.types.NodeTree, surface: bpy.types.NodeSocket, alpha: AlphaInput) -> bpy.types.NodeSocket:
    """The surface, a shader's output, mixed with what is behind it."""
    mix, clear, whole = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent"), _twin(tree, alpha.whole)
    factor, first, second = mix.inputs[:3]
    factor.default_value = whole.default_value
    if whole.links:
        tree.links.new(whole.links[0].from_socket, factor)
    tree.links.new(clear.outputs["BSDF"], second if alpha.mixed_backward else first)
    tree.links.new(surface, first if alpha.mixed_backward else second)
    return mix.outputs[0]


def _handed_out(group: bpy.types.Node, surface: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The output of a group's node that shows this surface, which is inside of it: the first that is made for shaders."""
    tree = group.node_tree
    end = next(node for node in tree.nodes if node.type == "GROUP_OUTPUT" and node.is_active_output)
    place = next(socket for socket in end.inputs if socket.type == "SHADER")
    tree.links.new(surface, place)
    return next(socket for socket in group.outputs if socket.identifier == place.identifier)
