"""Every leaf of the scene: changed, written into the file, read again, and reverted."""

from dataclasses import fields
from typing import Any, Optional

import bpy
import numpy as np
import pytest

from blender_addon.exchange import Bindings, SceneProblem, has_result, keep_all, read_scene, revert_all, write_result
from blender_addon.exchange.before import TRANSFORM
from blender_addon.exchange.clips import Lens, write_lens
from blender_addon.exchange.distortion import Distortion
from blender_addon.exchange.images import write_float_image
from dr_backend.scene import World, leaves, split_path
from dr_backend.scene.leaves import GROUPS
from tests.blender.conftest import fingerprint

# What no fit moves, and why it has no writer.
STRUCTURE = {
    "meshes/faces": "topology",
    "meshes/face_smooth": "topology",
    "meshes/face_material": "topology",
    "meshes/normal_groups": "topology",
    "meshes/uvs": "where textures lie is the artist's",
    "meshes/colors": "a copy of an attribute, one per corner of a triangle",
    "meshes/tangents": "follow from the UVs",
    "materials/base_color_weights": "the alpha of the artist's image",
    "meshes/custom_normals": "set by hand, and kept by Blender in 16 bits",
    "world/harmonics": "become an image: test_lights.py",
}
# Which of the scenes below has the leaf; the first one where nothing is said.
SCENES = {
    "lights/size": "area",
    "lights/angle_rad": "sun",
    "world/image": "sun",
    "world/strength": "sun",
    "world/image_from_world": "sun",
    "materials/uv_matrix": "sun",
    "materials/base_color": "area",
    "cameras/distortion": "spot",
    "cameras/distortion_focal_px": "spot",
    "cameras/distortion_centre_px": "spot",
}
for channel in ("base_color", "metallic", "roughness", "emission", "normal", "alpha"):
    SCENES[f"materials/{channel}_image"] = "area" if channel != "base_color" else "sun"
LEAVES = [
    f"{group}/{field.name}"
    for group, kind in (GROUPS | {"world": World}).items()
    for field in fields(kind)
    if field.type in (Any, Optional[Any]) and f"{group}/{field.name}" not in STRUCTURE  # noqa: UP045  # an Array is Any to the scene
]


def turn(seed):
    """A rotation (3, 3)."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def another(field, value, rng):
    """A legal value of a leaf, not near its present one."""
    if field == "positions":
        return value + rng.normal(0, 0.1, value.shape)
    if field in ("camera_from_world", "world_from_light", "world_from_object"):
        matrix = np.eye(4)
        moves = field == "world_from_object"
        matrix[:3, :3], matrix[:3, 3] = turn(3) * (1.3 if moves else 1), (0.3, -0.2, 0.1 if moves else -7)
        return matrix
    if field == "image_from_world":
        return turn(5)
    if field == "focal_px":
        return value * 1.2  # what makes its two numbers differ is the render's, not the camera's
    if field.startswith("distortion"):
        return value * 1.1
    if value is None:
        return np.array([1.1, 1.0, 0.9]) if field == "white_balance" else np.array(0.7)
    return rng.uniform(0.1, 0.9, np.shape(value)) + (1 if field == "ior" else 0)


def image_into(material, socket, *, shear=False):
    """A float image node that feeds an input of the material's shader."""
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = write_float_image(socket, np.random.default_rng(len(socket)).random((6, 4, 3), np.float32))
    if shear:
        mapping = tree.nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = (2, 3, 1)
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["UV"], mapping.inputs["Vector"])
        tree.links.new(mapping.outputs["Vector"], node.inputs["Vector"])
    tree.links.new(node.outputs["Color"], shader.inputs[socket])
    return node


def make_scene(build, kind):
    """A mesh, a camera and a lamp; ``area`` has images for gloss, ``sun`` one for the base colour and one for the sky."""
    material = (mesh := build.mesh()).data.materials[0]
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Color"].default_value, shader.inputs["Emission Strength"].default_value = (0.3, 0.5, 0.7, 1), 2
    world = build.scene.world = bpy.data.worlds.new("Sky")
    if not world.use_nodes:
        world.use_nodes = True
    lamp = build.light("Lamp", "POINT" if kind == "plain" else kind.upper())
    if kind == "area":
        lamp.data.shape, lamp.data.size, lamp.data.size_y = "RECTANGLE", 2, 3
        for socket in ("Metallic", "Roughness", "Emission Color", "Alpha"):
            image_into(material, socket)
        bend = material.node_tree.nodes.new("ShaderNodeNormalMap")
        material.node_tree.links.new(bend.outputs["Normal"], shader.inputs["Normal"])
        material.node_tree.links.new(image_into(material, "Roughness").outputs["Color"], bend.inputs["Color"])
    elif kind == "sun":
        image_into(material, "Base Color", shear=True)
        background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
        texture = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
        texture.image = write_float_image("Dome", np.random.default_rng(2).random((8, 16, 3), np.float32))
        world.node_tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    camera = build.camera()
    if kind == "spot":  # seen through a lens with distortion
        image = camera.data.background_images[0].image
        image.filepath_raw, image.file_format = str(build.folder / "photo.png"), "PNG"
        image.save()
        clip = bpy.data.movieclips.load(image.filepath)
        size = np.array(clip.size, np.float64)
        write_lens(clip, Lens(Distortion(-0.1, 0.04, 0.01, 0.012, -0.02), np.array([1.1, 1.2]) * size[0], size * [0.52, 0.47]))
        background = camera.data.background_images[0]
        background.clip, background.source, background.use_flip_x = clip, "MOVIE_CLIP", True
    return mesh, camera, lamp


def read(build, blocks, *, moves):
    mesh, camera, lamp = blocks
    return read_scene(build.scene, [mesh], [camera], [lamp], texture=False, geometry=moves)


def everything(build, blocks):
    """All that a Revert has to bring back."""
    mesh, camera, lamp = blocks
    world = build.scene.world
    settings = [[p.identifier for p in data.bl_rna.properties if p.type in ("FLOAT", "ENUM")] for data in (camera.data, lamp.data)]
    values = [
        {name: np.array(getattr(block, name)).tolist() for name in names}
        for block, names in zip((*blocks, camera.data, lamp.data), (*[TRANSFORM] * 3, *settings), strict=True)
    ]
    trees = [
        [(n.name, n.label, [np.array(getattr(s, "default_value", 0)).tolist() for s in n.inputs]) for n in tree.nodes]
        for tree in (world.node_tree, mesh.data.materials[0].node_tree)
    ]
    links = [sorted((k.from_node.name, k.to_node.name, k.to_socket.name) for k in world.node_tree.links)]
    notes = [sorted(set(block.keys()) - {"cycles"}) for block in (*blocks, camera.data, lamp.data, world)]
    lenses = [
        {p.identifier: np.array(getattr(clip.tracking.camera, p.identifier)).tolist() for p in clip.tracking.camera.bl_rna.properties}
        for clip in bpy.data.movieclips
    ]
    return fingerprint(), values, trees, links, notes, [{k: v for k, v in lens.items() if k != "rna_type"} for lens in lenses]


def written(build, leaf):
    """The scene's blocks, the new value of one leaf, what it reads as after it was written, and everything as it was before."""
    kind = SCENES.get(leaf, "plain")
    blocks = make_scene(build, kind)
    group, field = leaf.split("/")
    exported = read(build, blocks, moves=field == "positions")
    before = everything(build, blocks)
    name = next(iter(getattr(exported.scene, group))) if group != "world" else ""
    path = f"{group}/{name}/{field}" if name else leaf
    node = exported.scene.world if group == "world" else getattr(exported.scene, group)[name]
    value = np.asarray(another(field, getattr(node, field), np.random.default_rng(11)), np.float32)
    said = write_result(Bindings.from_json(exported.bindings.to_json()), {path: value})
    assert len(said) == 1
    return blocks, value, path, before


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_written_read_again_and_reverted(build, leaf):
    blocks, value, path, before = written(build, leaf)
    field = split_path(path)[2]
    again = leaves(read(build, blocks, moves=field == "positions").scene)[path]
    np.testing.assert_allclose(again, value, rtol=3e-7, atol=1e-6 if "from" in field or field in ("positions", "uv_matrix") else 1e-7)
    assert has_result(build.scene)
    revert_all(build.scene)
    assert not has_result(build.scene)
    assert everything(build, blocks) == before


@pytest.mark.parametrize("leaf", ["cameras/focal_px", "lights/power", "world/radiance", "materials/roughness", "materials/roughness_image"])
def test_kept_values_are_no_longer_reverted(build, leaf):
    blocks, value, path, _ = written(build, leaf)
    keep_all(build.scene)
    assert not has_result(build.scene)
    revert_all(build.scene)
    np.testing.assert_allclose(leaves(read(build, blocks, moves=False).scene)[path], value, rtol=3e-7)


def test_a_second_fit_reverts_to_before_the_first_and_survives_saving(build):
    blocks = make_scene(build, "area")
    before = everything(build, blocks)
    for power in (20.0, 30.0):
        rng = np.random.default_rng(int(power))
        values = {"lights/Lamp/power": np.array(power), "materials/Paint/metallic_image": rng.random((4, 4, 1))}
        values["world/radiance"] = rng.random(3)
        write_result(read(build, blocks, moves=False).bindings, {path: np.asarray(value, np.float32) for path, value in values.items()})
    assert sum("Metallic" in image.name for image in bpy.data.images) == 2, "the artist's and the last of ours"
    path = str(build.folder / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    build.scene = bpy.context.scene
    blocks = tuple(bpy.data.objects[name] for name in ("Cube", "Front", "Lamp"))
    assert blocks[2].data.energy == 30
    revert_all(build.scene)
    assert everything(build, blocks) == before


def test_a_bad_value_changes_nothing(build):
    blocks = make_scene(build, "area")
    bindings, before = read(build, blocks, moves=False).bindings, everything(build, blocks)
    good = {"lights/Lamp/power": np.array(5.0, np.float32)}
    for bad in (
        {"cameras/Front/focal_px": np.array([np.nan, 1])},
        {"cameras/Front/focal_px": np.zeros(3)},
        {"cameras/Front/hue": np.zeros(3)},
        {"cameras/Back/focal_px": np.ones(2)},
        {"meshes/Cube/uvs": np.ones((12, 3, 2))},
        {"materials/Paint/uv_matrix": np.ones((2, 3))},
    ):
        with pytest.raises(SceneProblem):
            write_result(bindings, good | bad)
    blocks[0].data.materials[0].node_tree.links.new(
        next(n for n in blocks[0].data.materials[0].node_tree.nodes if n.type == "TEX_IMAGE").outputs["Color"],
        blocks[0].data.materials[0].node_tree.nodes["Principled BSDF"].inputs["Base Color"],
    )
    with pytest.raises(SceneProblem, match="disconnect it"):
        write_result(bindings, good | {"materials/Paint/base_color": np.ones(3)})
    assert everything(build, blocks)[1] == before[1]


def test_an_undone_write_leaves_nothing_behind(build):
    """Blocks are found by name and uid when they are written, so that undo, which replaces them, does no harm."""
    blocks = make_scene(build, "area")
    bindings, before = read(build, blocks, moves=False).bindings, everything(build, blocks)
    values = {"lights/Lamp/power": np.array(5.0, np.float32), "materials/Paint/roughness_image": np.ones((4, 4, 1), np.float32)}
    bpy.ops.ed.undo_push(message="Before")
    write_result(bindings, values)
    bpy.ops.ed.undo_push(message="Fit to Photo")
    bpy.ops.ed.undo()
    build.scene = bpy.context.scene
    blocks = tuple(bpy.data.objects[name] for name in ("Cube", "Front", "Lamp"))
    assert everything(build, blocks) == before
    write_result(bindings, values)
    assert blocks[2].data.energy == 5
