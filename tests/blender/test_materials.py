"""Materials: what feeds the base colour, the image that is written, and its removal."""

from dataclasses import replace

import bpy
import numpy as np
import pytest

from blender_addon.exchange import SceneProblem, read_scene, revert_all, write_result
from blender_addon.exchange.gloss import write_gloss
from blender_addon.exchange.images import load_png, read_image, save_png, to_linear, to_srgb, write_image
from blender_addon.exchange.materials import (
    LABEL,
    PLAIN_SIZE,
    check_material,
    find_shader,
    read_material,
    write_base_color,
    write_material,
)
from tests.blender.conftest import fingerprint

RGB = np.random.default_rng(5).random((12, 20, 3), np.float32)


def export(build, *meshes, **options):
    cameras = [o for o in bpy.data.objects if o.type == "CAMERA"] or [build.camera()]
    return read_scene(build.scene, list(meshes), cameras, [], **({"texture": True} | options))


def principled(material):
    return material.node_tree.nodes["Principled BSDF"]


def add_image(material, image, extension="REPEAT"):
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image, node.extension = image, extension
    material.node_tree.links.new(node.outputs["Color"], principled(material).inputs["Base Color"])
    return node


def test_images_round_trip_to_eight_bits(build):
    image = write_image("Try", RGB)
    assert image.packed_file is not None
    rgba, has_alpha = read_image(image)
    assert not has_alpha
    np.testing.assert_allclose(to_srgb(rgba[..., :3]), to_srgb(RGB), atol=0.5 / 255 + 1e-6)
    again = read_image(write_image("Again", rgba[..., :3]))[0]
    np.testing.assert_array_equal(again, rgba)
    np.testing.assert_allclose(to_linear(to_srgb(RGB)), RGB, atol=1e-6)
    image.colorspace_settings.name = "Non-Color"
    np.testing.assert_allclose(read_image(image)[0], np.concatenate([to_srgb(rgba[..., :3]), rgba[..., 3:]], -1), atol=1e-6)


def test_rows_start_at_the_top(build):
    image = write_image("Top", np.concatenate([np.ones((1, 4, 3)), np.zeros((3, 4, 3))]))
    assert image.pixels[0] == 0
    assert read_image(image)[0][0, 0, 0] == 1
    path = build.folder / "top.png"
    save_png(path, np.concatenate([np.ones((1, 4, 3)), np.zeros((3, 4, 3))]))
    assert load_png(path)[0, 0, 0] == 1
    count = len(bpy.data.images)
    assert count == 1


def test_float_images_are_linear_already(build):
    image = bpy.data.images.new("Float", 20, 12, float_buffer=True)
    image.pixels.foreach_set(np.concatenate([RGB[::-1], np.ones((12, 20, 1), np.float32)], -1).ravel())
    np.testing.assert_array_equal(read_image(image)[0][..., :3], RGB)


def test_constant_colour_and_diffuse_bsdf(build):
    read, warnings = read_material(build.material(color=(0.1, 0.2, 0.3)))
    assert read.base_color == pytest.approx((0.1, 0.2, 0.3))
    assert read.base_color_image is None
    assert warnings == []
    other = build.material("Chalk")
    tree = other.node_tree
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (0.4, 0.5, 0.6, 1)
    tree.links.new(diffuse.outputs[0], tree.get_output_node("ALL").inputs["Surface"])
    assert read_material(other)[0].base_color == pytest.approx((0.4, 0.5, 0.6))


@pytest.mark.parametrize("extension", ["REPEAT", "EXTEND", "CLIP", "MIRROR"])
def test_image_texture(build, extension):
    material, image = build.material(), write_image("Wood", RGB)
    node = add_image(material, image, extension)
    node.interpolation = "Closest"
    read, warnings = read_material(material, ["UVMap"])
    np.testing.assert_array_equal(read.base_color_image, read_image(image)[0][..., :3])
    assert (read.extension, read.interpolation, read.encoded, warnings) == (extension.lower(), "linear", False, [])
    read, warnings = read_material(material, ["UVMap"], painted=False)
    assert (read.extension, read.interpolation, read.encoded, warnings) == (extension.lower(), "closest", True, [])
    node.interpolation = "Cubic"
    assert "interpolation Cubic" in read_material(material)[1][0]


def test_other_placements_and_sources_are_warned_of(build):
    material = build.material()
    tree = material.node_tree
    node = add_image(material, write_image("Wood", RGB))
    uv_map = tree.nodes.new("ShaderNodeUVMap")
    uv_map.uv_map = "Bake"
    tree.links.new(uv_map.outputs["UV"], node.inputs["Vector"])
    assert read_material(material, ["Bake"])[0].base_color_image is not None
    read, warnings = read_material(material, ["UVMap"])
    assert read.base_color_image is None
    assert read.base_color == pytest.approx(RGB.mean((0, 1)), abs=0.01)
    assert "'Paint' does not place its image by the UV map" in warnings[0]
    noise = tree.nodes.new("ShaderNodeTexNoise")
    tree.links.new(noise.outputs["Color"], principled(material).inputs["Base Color"])
    read, warnings = read_material(material)
    assert read.base_color == pytest.approx((0.8, 0.2, 0.1))
    assert "Noise Texture" in warnings[0]


def test_what_is_not_carried_is_listed_once(build):
    material = build.material()
    principled(material).inputs["Metallic"].default_value = 0.5
    principled(material).inputs["Transmission Weight"].default_value = 1
    bump = material.node_tree.nodes.new("ShaderNodeBump")
    material.node_tree.links.new(bump.outputs["Normal"], principled(material).inputs["Normal"])
    warnings = read_material(material)[1]
    assert len(warnings) == 1
    assert all(word in warnings[0] for word in ("'Paint'", "Metallic", "Transmission", "Normal"))
    shiny = build.material("Shiny")
    principled(shiny).inputs["Specular IOR Level"].default_value = 0.5
    assert read_material(shiny)[1] == []
    read, warnings = read_material(shiny, lit=True)
    assert (read.shader, float(read.specular), warnings) == ("principled", 0.5, [])


def test_mixed_shaders_and_none_at_all(build):
    material = build.material()
    tree = material.node_tree
    output = tree.get_output_node("ALL")
    mix = tree.nodes.new("ShaderNodeMixShader")
    tree.links.new(principled(material).outputs[0], mix.inputs[1])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    read, warnings = read_material(material)
    assert read.base_color == pytest.approx((0.8, 0.2, 0.1))
    assert "mixes shaders" in warnings[0]
    check_material(material)
    tree.nodes.remove(principled(material))
    assert "no Principled" in read_material(material)[1][0]
    with pytest.raises(SceneProblem, match="'Paint' has no Principled BSDF"):
        check_material(material)


@pytest.mark.parametrize("had_image", [False, True])
def test_write_keeps_the_artists_image_and_revert_restores(build, had_image):
    obj = build.mesh()
    build.camera()
    material = obj.data.materials[0]
    if had_image:
        own = write_image("Wood", RGB)
        add_image(material, own)
        stored = read_image(own)[0]
    before = fingerprint()
    exported = export(build, obj)
    start = exported.scene.materials["Paint"].base_color_image
    assert start.shape == (RGB.shape if had_image else (PLAIN_SIZE, PLAIN_SIZE, 3))
    for size in (16, 32):  # the second fit replaces the first
        painted = np.random.default_rng(size).random((size, size, 3), np.float32)
        said = write_result(exported.bindings, {"materials/Paint/base_color_image": painted})
        assert f"{size} × {size}" in said[0]
        read = read_material(material, ["UVMap"])[0]
        np.testing.assert_allclose(to_srgb(read.base_color_image), to_srgb(painted), atol=0.5 / 255 + 1e-6)
        exported = export(build, obj)
    labelled = [n for n in material.node_tree.nodes if n.label == LABEL]
    assert [n.image.name for n in labelled] == ["Fit to Photo Paint"]
    assert sum("Paint" in i.name for i in bpy.data.images) == 1
    if had_image:
        np.testing.assert_array_equal(read_image(own)[0], stored)
    revert_all(build.scene)
    assert fingerprint() == before


def test_texture_size_is_that_of_a_new_image(build):
    obj = build.mesh()
    image = export(build, obj, texture_size=32).scene.materials["Paint"].base_color_image
    assert image.shape == (32, 32, 3)
    np.testing.assert_allclose(image[5, 7], (0.8, 0.2, 0.1), atol=1e-6)
    assert export(build, obj, texture=False).scene.materials["Paint"].base_color_image is None


def test_a_material_without_nodes(build):
    material = bpy.data.materials.new("Plain")
    if material.use_nodes:
        pytest.skip("this Blender always uses nodes")
    material.diffuse_color = (0.3, 0.4, 0.5, 1)
    assert read_material(material)[0].base_color == pytest.approx((0.3, 0.4, 0.5))
    check_material(material)
    write_material(material, RGB)
    assert read_material(material)[0].base_color_image.shape == RGB.shape


def test_another_active_uv_map_gets_a_uv_map_node(build):
    obj = build.mesh()
    exported = export(build, obj)
    obj.data.uv_layers.new(name="Bake").active_render = True
    write_result(exported.bindings, {"materials/Paint/base_color_image": RGB})
    nodes = obj.data.materials[0].node_tree.nodes
    assert [n.uv_map for n in nodes if n.type == "UVMAP"] == ["UVMap"]
    revert_all(build.scene)
    assert not [n for n in nodes if n.type in ("UVMAP", "TEX_IMAGE")]


@pytest.mark.parametrize("slot", ["none", "empty"])
def test_empty_slots_get_a_material_of_their_own(build, slot):
    obj = build.mesh(material=None)
    build.camera()
    if slot == "empty":
        obj.data.materials.append(None)
    before = fingerprint()
    exported = export(build, obj)
    assert exported.scene.meshes["Cube"].materials == ("Fit to Photo Cube",)
    assert fingerprint() == before
    for _ in range(2):  # the second time as a fit that crashed, kept its best result and was resumed
        write_result(exported.bindings, {"materials/Fit to Photo Cube/base_color_image": RGB})
        assert [material.name for material in bpy.data.materials] == ["Fit to Photo Cube"]
    assert obj.material_slots[0].material.name == "Fit to Photo Cube"
    assert read_material(obj.material_slots[0].material)[0].base_color_image.shape == RGB.shape
    revert_all(build.scene)
    assert fingerprint() == before


def test_sharing_is_warned_of(build):
    obj, twin, stranger = build.mesh(), build.mesh("Twin", material=None), build.mesh("Stranger", material=None)
    for other in (twin, stranger):
        other.data.materials.append(obj.data.materials[0])
    warnings = export(build, obj, twin).warnings
    assert any("'Paint' is also used by 'Stranger'" in w for w in warnings)
    assert any("'Cube' and 'Twin' use the same places of material 'Paint'" in w for w in warnings)
    uvs = twin.data.uv_layers[0].uv
    for index, scale, shift in ((obj, 0.5, 0), (twin, 0.5, 0.5)):
        uvs = index.data.uv_layers[0].uv
        values = np.empty(len(uvs) * 2, np.float32)
        uvs.foreach_get("vector", values)
        uvs.foreach_set("vector", values * scale + shift)
    assert not any("same places" in w for w in export(build, obj, twin).warnings)


def test_a_missing_texture_file_is_named(build):
    obj = build.mesh()
    image = bpy.data.images.new("Gone", 4, 4)
    image.filepath, image.source = str(build.folder / "gone.png"), "FILE"
    add_image(obj.data.materials[0], image)
    with pytest.raises(SceneProblem, match=r"Material 'Paint'.*gone\.png"):
        export(build, obj)


GLOSS = ("metallic", "roughness", "ior", "specular", "emission")


def test_gloss_round_trips_exactly(build):
    shader = principled(build.material())
    for name, value in {"Metallic": 0.3, "Roughness": 0.7, "IOR": 1.8, "Specular IOR Level": 0.4, "Emission Strength": 2.5}.items():
        shader.inputs[name].default_value = value
    shader.inputs["Emission Color"].default_value = (0.1, 0.5, 0.9, 1)
    read, warnings = read_material(bpy.data.materials["Paint"], lit=True)
    assert (warnings, read.emission) == ([], pytest.approx((0.25, 1.25, 2.25)))
    rng = np.random.default_rng(0)
    widths = {"metallic": 1, "roughness": 1, "emission": 3, "normal": 3}
    images = {f"{channel}_image": rng.random((4, 6, width), np.float32) for channel, width in widths.items()}
    placements = {c.split("_")[0]: {"extension": "clip", "interpolation": "closest", "encoded": False} for c in images}
    wanted = replace(read, **images, placements=placements, normal_strength=0.5)
    other = build.material("Other")
    for _ in range(2):  # also over its own nodes
        write_gloss(find_shader(other), wanted)
        again, warnings = read_material(other, lit=True)
        assert warnings == []
        assert (again.placements, again.normal_strength) == (placements, 0.5)
        for field in GLOSS:
            np.testing.assert_allclose(getattr(again, field), getattr(wanted, field), rtol=2e-7)
        for field, image in images.items():
            np.testing.assert_allclose(getattr(again, field), image, rtol=2e-7, atol=1e-7)


def test_what_feeds_the_gloss_and_is_not_carried_is_named(build):
    material = build.material()
    tree, shader = material.node_tree, principled(material)
    noise, bump = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeBump")
    tree.links.new(noise.outputs[0], shader.inputs["Roughness"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.projection = write_image("Wood", RGB), "BOX"
    tree.links.new(node.outputs["Color"], shader.inputs["Metallic"])
    shader.inputs["Coat Weight"].default_value = 0.5
    shift = tree.nodes.new("ShaderNodeDisplacement")
    tree.links.new(shift.outputs[0], tree.get_output_node("ALL").inputs["Displacement"])
    warnings = " ".join(read_material(material, lit=True)[1])
    for words in ("Displacement", "Roughness of material 'Paint' comes from a Noise Texture", "Bump", "Box projection", "Coat Weight"):
        assert words in warnings


def test_base_color_round_trips_exactly(build):
    material = build.material()
    wanted = np.array([0.123456, 0.7, 1.5], np.float32)
    write_base_color(material, wanted)
    np.testing.assert_array_equal(read_material(material)[0].base_color, wanted)
    add_image(material, write_image("Wood", RGB))
    with pytest.raises(SceneProblem, match="feeds the base colour of material 'Paint'"):
        write_base_color(material, wanted)


def test_a_texture_of_nodes_is_baked_and_the_file_stays_as_it_is(build):
    obj = build.mesh()
    build.camera()
    material = obj.data.materials[0]
    checker = material.node_tree.nodes.new("ShaderNodeTexChecker")
    material.node_tree.links.new(checker.outputs["Color"], principled(material).inputs["Base Color"])
    before = fingerprint()
    exported = export(build, obj)
    assert fingerprint() == before
    assert any("Checker Texture feeding Base Color of material 'Paint' is baked" in w for w in exported.warnings)
    image = exported.scene.materials["Paint"].base_color_image
    assert image.shape == (512, 512, 3)
    assert image.std() > 0.1
    obj.data.uv_layers.remove(obj.data.uv_layers[0])
    exported = export(build, obj, texture=False)
    assert any("comes from a Checker Texture node" in w for w in exported.warnings), "nothing to bake on"


def test_the_uv_map_that_renders_goes_by_its_name_too(build):
    mesh, camera, lamp = build.mesh(), build.camera(), build.light()
    material = mesh.data.materials[0]
    tree, shader = material.node_tree, principled(material)
    nodes = {}
    for socket in ("Base Color", "Roughness"):
        nodes[socket] = tree.nodes.new("ShaderNodeTexImage")
        nodes[socket].image = write_image(socket, RGB)
        tree.links.new(nodes[socket].outputs["Color"], shader.inputs[socket])
    place = tree.nodes.new("ShaderNodeUVMap")
    place.uv_map = "UVMap"
    for named in nodes.values():
        for link in list(place.outputs["UV"].links):
            tree.links.remove(link)
        tree.links.new(place.outputs["UV"], named.inputs["Vector"])
        exported = read_scene(build.scene, [mesh], [camera], [lamp], texture=False, geometry=False)
        assert exported.warnings == []
        assert exported.scene.materials["Paint"].roughness_image.shape == (*RGB.shape[:2], 1)
