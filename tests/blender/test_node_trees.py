"""Node trees that cannot be carried as they are: every node in the way is named, and nothing is refused or lost in silence."""

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem, read_scene, revert_all, write_result
from blender_addon.exchange.images import save_png, to_srgb, write_image
from blender_addon.exchange.materials import check_material, read_material
from blender_addon.report import render_views

RGB = np.random.default_rng(3).random((8, 8, 3), np.float32)


def parts(material):
    tree = material.node_tree
    return tree, tree.nodes["Principled BSDF"], tree.get_output_node("ALL")


def group(name, kind="NodeSocketColor"):
    made = bpy.data.node_groups.new(name, "ShaderNodeTree")
    made.interface.new_socket("Out", in_out="OUTPUT", socket_type=kind)
    return made, made.nodes.new("NodeGroupOutput").inputs[0]


def use_group(tree, made):
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = made
    return node


def shader_in_groups(material, *, exposed):
    """The material's surface becomes a Principled BSDF inside of a group in a group; its base colour may be an input of both."""
    tree, _, output = parts(material)
    inner, inner_end = group("Paint Mix", "NodeSocketShader")
    outer, outer_end = group("Car Paint", "NodeSocketShader")
    shader, within, node = inner.nodes.new("ShaderNodeBsdfPrincipled"), use_group(outer, inner), use_group(tree, outer)
    inner.links.new(shader.outputs[0], inner_end)
    outer.links.new(within.outputs[0], outer_end)
    tree.links.new(node.outputs[0], output.inputs["Surface"])
    if exposed:
        for made, target in ((inner, shader.inputs["Base Color"]), (outer, None)):
            made.interface.new_socket("Tint", in_out="INPUT", socket_type="NodeSocketColor")
            made.links.new(made.nodes.new("NodeGroupInput").outputs["Tint"], target or within.inputs["Tint"])
    return shader, node


def test_a_shader_inside_of_groups_is_read_and_its_inputs_are_painted(build):
    mesh, camera = build.mesh(), build.camera()
    material = mesh.data.materials[0]
    shader, node = shader_in_groups(material, exposed=True)
    shader.inputs["Roughness"].default_value, node.inputs["Tint"].default_value = 0.3, (0.2, 0.4, 0.6, 1)
    read, warnings = read_material(material, lit=True)
    assert warnings == []
    assert read.base_color == pytest.approx((0.2, 0.4, 0.6))
    assert read.roughness == pytest.approx(0.3)
    exported = read_scene(build.scene, [mesh], [camera], [], texture=True, texture_size=8)
    before = [link.from_node.name for link in node.inputs["Tint"].links]
    write_result(exported.bindings, {"materials/Paint/base_color_image": RGB})
    assert node.inputs["Tint"].links[0].from_node.image.name.startswith("Fit to Photo")
    again = read_material(material)[0].base_color_image
    np.testing.assert_allclose(to_srgb(again), to_srgb(RGB), atol=0.5 / 255 + 1e-6)
    revert_all(build.scene)
    assert [link.from_node.name for link in node.inputs["Tint"].links] == before
    assert read_material(material)[0].base_color == pytest.approx((0.2, 0.4, 0.6))
    with pytest.raises(SceneProblem, match="inside of its group 'Car Paint'.*Ungroup"):
        write_result(exported.bindings, {"materials/Paint/roughness": np.array(0.5, np.float32)})


def test_a_base_color_that_is_set_inside_of_a_group_is_read_but_not_painted(build):
    material = build.material()
    shader, _ = shader_in_groups(material, exposed=False)
    image = shader.id_data.nodes.new("ShaderNodeTexImage")
    image.image = write_image("Wood", RGB)
    shader.id_data.links.new(image.outputs["Color"], shader.inputs["Base Color"])
    read, warnings = read_material(material, lit=True)
    assert warnings == []
    np.testing.assert_allclose(to_srgb(read.base_color_image), to_srgb(RGB), atol=0.5 / 255 + 1e-6)
    with pytest.raises(SceneProblem, match="base colour of material 'Paint' is inside of its group 'Car Paint'.*Ungroup"):
        check_material(material)


def test_bakes_and_unlit_pictures_leave_groups_as_they_were(build):
    mesh, camera = build.mesh(), build.camera()
    shader, _ = shader_in_groups(mesh.data.materials[0], exposed=False)
    noise = shader.id_data.nodes.new("ShaderNodeTexNoise")
    shader.id_data.links.new(noise.outputs["Color"], shader.inputs["Base Color"])

    def groups():
        return {tree.name: [(node.name, len(node.inputs)) for node in tree.nodes] for tree in bpy.data.node_groups}

    before = groups()
    exported = read_scene(build.scene, [mesh], [camera], [], texture=False)
    assert "Noise Texture feeding Base Color of material 'Paint' is baked to an image first" in exported.warnings
    view = render_views(build.scene, [camera], [mesh], unlit=True)["Front"]
    seen = view[..., :3][view[..., 3] > 0.99]
    assert seen.std(0).min() > 0.01, "the noise is there"
    assert groups() == before


KINDS = {
    "ShaderNodeRGBCurve": "RGB Curves",
    "ShaderNodeValToRGB": "Color Ramp",
    "ShaderNodeHueSaturation": "Hue/Saturation/Value",
    "ShaderNodeMix": "Mix",
    "ShaderNodeTexVoronoi": "Voronoi Texture",
    "ShaderNodeAmbientOcclusion": "Ambient Occlusion",
    "ShaderNodeFresnel": "Fresnel",
    "ShaderNodeObjectInfo": "Object Info",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("socket", ["Base Color", "Metallic", "Roughness", "Emission Color", "IOR", "Specular IOR Level"])
def test_what_feeds_an_input_is_named(build, kind, socket):
    material = build.material()
    tree, shader, _ = parts(material)
    shader.inputs["Emission Strength"].default_value = 1
    node = tree.nodes.new(kind)
    tree.links.new(next(output for output in node.outputs if output.enabled), shader.inputs[socket])
    warnings = " ".join(read_material(material, lit=True)[1])
    own = socket in ("IOR", "Specular IOR Level")
    assert (socket if own or socket != "Base Color" else "base colour") in warnings
    assert own or KINDS[kind] in warnings, warnings


SILENT_ONCE = {
    "volume": "Volume",
    "displacement": "Displacement",
    "rough matte": "Roughness",
    "mixed shaders": "mixes shaders",
    "bump": "Bump",
    "tinted reflection": "Specular Tint",
    "attribute of positions": "Attribute 'Spot' of 'Cube' is no Color Attribute",
}


@pytest.mark.parametrize("case", SILENT_ONCE)
def test_nothing_else_is_silent(build, case):
    mesh, camera, lamp = build.mesh(), build.camera(), build.light()
    material = mesh.data.materials[0]
    tree, shader, output = parts(material)
    if case == "volume":
        tree.links.new(tree.nodes.new("ShaderNodeVolumePrincipled").outputs[0], output.inputs["Volume"])
    elif case == "displacement":
        tree.links.new(tree.nodes.new("ShaderNodeDisplacement").outputs[0], output.inputs["Displacement"])
    elif case == "rough matte":
        matte = tree.nodes.new("ShaderNodeBsdfDiffuse")
        matte.inputs["Roughness"].default_value = 0.5
        tree.links.new(matte.outputs[0], output.inputs["Surface"])
    elif case == "mixed shaders":
        mix = tree.nodes.new("ShaderNodeMixShader")
        tree.links.new(shader.outputs[0], mix.inputs[1])
        tree.links.new(tree.nodes.new("ShaderNodeBsdfGlass").outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], output.inputs["Surface"])
    elif case == "bump":
        tree.links.new(tree.nodes.new("ShaderNodeBump").outputs[0], shader.inputs["Normal"])
    elif case == "tinted reflection":
        shader.inputs["Specular Tint"].default_value = (1, 0.5, 0.2, 1)
    else:
        mesh.data.attributes.new("Spot", "FLOAT_VECTOR", "POINT")
        node = tree.nodes.new("ShaderNodeAttribute")
        node.attribute_name = "Spot"
        tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    warnings = read_scene(build.scene, [mesh], [camera], [lamp], texture=False, geometry=False).warnings
    assert sum(SILENT_ONCE[case] in warning for warning in warnings) == 1, warnings


def feed(material, image, socket="Base Color"):
    tree, shader, _ = parts(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], shader.inputs[socket])
    return node


@pytest.mark.parametrize("socket", ["Base Color", "Roughness"])
def test_tiles_and_missing_files_are_refused_by_name(build, socket):
    mesh, camera, lamp = build.mesh(), build.camera(), build.light()
    material = mesh.data.materials[0]
    node = feed(material, bpy.data.images.new("Skin", 4, 4, tiled=True), socket)
    with pytest.raises(SceneProblem, match="Material 'Paint'.*'Skin'.*tiles"):
        read_scene(build.scene, [mesh], [camera], [lamp], texture=False)
    gone = bpy.data.images.new("Gone", 4, 4)
    gone.source, gone.filepath = "FILE", str(build.folder / "gone.png")
    node.image = gone
    with pytest.raises(SceneProblem, match=r"Material 'Paint'.*'Gone' is missing.*gone\.png"):
        read_scene(build.scene, [mesh], [camera], [lamp], texture=False)


def test_a_sequence_is_baked_at_its_frame(build):
    mesh, camera = build.mesh(), build.camera()
    for frame, value in ((1, 0.2), (2, 0.8)):
        save_png(build.folder / f"frame{frame}.png", np.full((8, 8, 3), value))
    image = bpy.data.images.load(str(build.folder / "frame1.png"))
    image.source = "SEQUENCE"
    node = feed(mesh.data.materials[0], image)
    node.image_user.frame_duration, node.image_user.use_auto_refresh = 2, True
    build.scene.frame_set(2)
    exported = read_scene(build.scene, [mesh], [camera], [], texture=False)
    assert "Image Texture of a sequence feeding Base Color of material 'Paint' is baked to an image first" in exported.warnings
    assert exported.scene.materials["Paint"].base_color_image.max() == pytest.approx(((0.8 + 0.055) / 1.055) ** 2.4, abs=0.02)


def test_a_muted_shader_is_none(build):
    material = build.material()
    parts(material)[1].mute = True
    feed(material, write_image("Wood", RGB))
    read, warnings = read_material(material, lit=True)
    assert warnings == ["Material 'Paint' has no Principled or Diffuse BSDF; its viewport colour is used"]
    assert read.base_color_image is None


@pytest.mark.parametrize("realized", [False, True])
def test_instances_are_warned_of_unless_they_are_realized(build, realized):
    mesh, camera = build.mesh(), build.camera()
    tree = bpy.data.node_groups.new("Cones", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    cone, put, real = (tree.nodes.new(f"GeometryNode{kind}") for kind in ("MeshCone", "InstanceOnPoints", "RealizeInstances"))
    tree.links.new(start.outputs[0], put.inputs["Points"])
    tree.links.new(cone.outputs["Mesh"], put.inputs["Instance"])
    join = tree.nodes.new("GeometryNodeJoinGeometry")
    tree.links.new(put.outputs["Instances"], real.inputs[0])
    for part in (start.outputs[0], real.outputs[0] if realized else put.outputs["Instances"]):
        tree.links.new(part, join.inputs[0])
    tree.links.new(join.outputs[0], end.inputs[0])
    mesh.modifiers.new("Cones", "NODES").node_group = tree
    exported = read_scene(build.scene, [mesh], [camera], [], texture=False, geometry=False)
    assert any("'Cube' shows instances" in warning for warning in exported.warnings) != realized
    read = exported.scene.meshes["Cube"]
    assert len(read.faces) == (12 if not realized else 12 + 8 * (32 + 30))
    assert read.materials == (("Paint",) if not realized else ("Paint", "Fit to Photo Cube Bare"))
    assert sorted(set(read.face_material.tolist())) == ([0] if not realized else [0, 1])


def test_a_material_that_only_modifiers_show_is_read(build):
    mesh, camera = build.mesh(), build.camera()
    tree = bpy.data.node_groups.new("Coat", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end, paint = (tree.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeSetMaterial"))
    paint.inputs["Material"].default_value = build.material("Gold", (0.9, 0.7, 0.2))
    tree.links.new(start.outputs[0], paint.inputs["Geometry"])
    tree.links.new(paint.outputs[0], end.inputs[0])
    mesh.modifiers.new("Coat", "NODES").node_group = tree
    scene = read_scene(build.scene, [mesh], [camera], [], texture=False, geometry=False).scene
    read = scene.meshes["Cube"]
    assert {read.materials[index] for index in read.face_material} == {"Gold"}
    assert scene.materials["Gold"].base_color == pytest.approx((0.9, 0.7, 0.2))
