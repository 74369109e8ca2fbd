"""Meshes and materials that cannot be fitted: each is a sentence, and the scene stays as it was."""

import sys

import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.operators.conftest import Cases, two_meshes  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")
bad = Cases()


def cube() -> "bpy.types.Object":
    return bpy.data.objects["Cube"]


def library(tmp_path, block) -> str:
    path = str(tmp_path / "library.blend")
    bpy.data.libraries.write(path, {block})
    return path


def link_cube(tmp_path) -> "bpy.types.Object":
    path = library(tmp_path, cube())
    bpy.data.objects.remove(cube())
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = ["Cube"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    return wanted.objects[0]


@bad("Several meshes are visible: select the one to fit")
def none_of_two_selected(tmp_path):
    two_meshes()


@bad("There is no mesh to fit: add or unhide one")
def no_mesh(tmp_path):
    bpy.data.objects.remove(cube())


@bad("There is no mesh to fit: add or unhide one")
def hidden_mesh(tmp_path):
    cube().hide_viewport = True


@bad("There is no mesh to fit: add or unhide one")
def mesh_in_an_excluded_collection(tmp_path):
    collection = bpy.data.collections.new("Apart")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(cube())
    bpy.context.scene.collection.objects.unlink(cube())
    bpy.context.view_layer.layer_collection.children["Apart"].exclude = True


@bad("'Title' is a text, not a mesh: convert it with Object > Convert > Mesh")
def a_text_instead(tmp_path):
    bpy.data.objects.remove(cube())
    title = bpy.data.objects.new("Title", bpy.data.curves.new("Title", "FONT"))
    bpy.context.scene.collection.objects.link(title)
    title.select_set(True)


@bad("'Chair 1' shows the collection 'Chair' without being a mesh: use Object > Apply > Make Instances Real")
def an_instance_of_a_collection(tmp_path):
    chair = bpy.data.collections.new("Chair")
    chair.objects.link(cube())
    bpy.context.scene.collection.objects.unlink(cube())
    shown = bpy.data.objects.new("Chair 1", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", chair
    bpy.context.scene.collection.objects.link(shown)
    shown.select_set(True)


@bad("'Cube' has no faces: choose a mesh with faces, or fill it")
def empty_mesh(tmp_path):
    cube().data.clear_geometry()


@bad("'Cube' has no faces")
def only_loose_edges(tmp_path):
    cube().data.clear_geometry()
    cube().data.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])


@bad("'Cube' has vertices whose coordinates are not numbers: delete them in Edit Mode")
def a_vertex_is_not_a_number(tmp_path):
    cube().data.vertices[3].co.y = float("nan")


@bad("'Cube' has vertices too far away")
def an_infinite_vertex(tmp_path):
    cube().data.vertices[3].co.y = float("inf")


@bad("'Cube' has vertices whose coordinates are not numbers")
def a_shape_key_is_not_a_number(tmp_path):
    cube().shape_key_add(name="Basis")
    key = cube().shape_key_add(name="Broken")
    key.value, key.data[0].co.x = 1, float("nan")


@bad("All faces of 'Cube' are flattened to lines or points: choose another mesh")
def all_vertices_in_one_place(tmp_path):
    for vertex in cube().data.vertices:
        vertex.co = 0.5, 0.5, 0.5


@bad("All faces of 'Cube' are flattened")
def all_vertices_on_a_line(tmp_path):
    for vertex in cube().data.vertices:
        vertex.co = vertex.co.x, 2 * vertex.co.x, 0


@bad("'Cube' is scaled to nothing: give it a scale other than 0")
def scale_zero(tmp_path):
    cube().scale = 0, 0, 0


@bad("'Cube' is scaled to nothing")
def a_singular_matrix(tmp_path):
    cube().scale.z = 0


@bad("The UV map 'UVMap' of 'Cube' holds places that are not numbers: unwrap the mesh again")
def a_uv_is_not_a_number(tmp_path):
    cube().data.uv_layers[0].uv[5].vector.x = float("nan")


@bad("'Cube' is linked from another file: make it local with Object > Relations > Make Local")
def linked_object(tmp_path):
    link_cube(tmp_path)


@bad("'Cube' is linked from another file")
def library_override(tmp_path):
    link_cube(tmp_path).override_create(remap_local_usages=True)


@bad("'Cube' is linked from another file")
def linked_mesh_of_a_local_object(tmp_path):
    link_cube(tmp_path).make_local()


@bad("Material 'Far' is linked from another file: make it local first")
def linked_material(tmp_path):
    far = bpy.data.materials.new("Far")
    path = library(tmp_path, far)
    bpy.data.materials.remove(far)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.materials = ["Far"]
    cube().data.materials.append(wanted.materials[0])


@bad("'Cube' has absolute shape keys: turn on Relative in its Shape Keys panel")
def absolute_shape_keys(tmp_path):
    cube().shape_key_add(name="Basis")
    cube().data.shape_keys.use_relative = False


@bad("'Cube' shows only one shape key: turn off the pin in its Shape Keys panel")
def a_pinned_shape_key(tmp_path):
    cube().shape_key_add(name="Basis")
    cube().show_only_shape_key = True


@bad("The modifiers of 'Cube' leave no faces of it: turn them off, or choose another mesh")
def geometry_nodes_without_a_mesh(tmp_path):
    tree = bpy.data.node_groups.new("Nothing", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.nodes.new("NodeGroupOutput")
    cube().modifiers.new("Nothing", "NODES").node_group = tree


@bad("The modifiers of 'Cube' leave no faces of it")
def a_modifier_that_masks_all_for_a_texture(tmp_path):
    cube().vertex_groups.new(name="None")
    cube().modifiers.new("Mask", "MASK").vertex_group = "None"
    bpy.context.scene.fit_to_photo.geometry = False


@bad("Material 'Bare' has no Principled BSDF to paint: connect one to its Material Output")
def a_material_without_a_surface(tmp_path):
    bare = bpy.data.materials.new("Bare")
    bare.use_nodes = True
    bare.node_tree.nodes.clear()
    cube().data.materials.append(bare)


@bad("Material 'Wood': The file of image 'Bark' is missing: .*bark.png. Find it with File > External Data")
def a_missing_texture_file(tmp_path):
    wood = bpy.data.materials.new("Wood")
    wood.use_nodes = True
    node = wood.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("Bark", 8, 8)
    wood.node_tree.links.new(node.outputs["Color"], wood.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    cube().data.materials.append(wood)
    node.image.source, node.image.filepath = "FILE", str(tmp_path / "bark.png")


@bad("Nothing to fit: turn on Geometry or Texture")
def nothing_to_fit(tmp_path):
    bpy.context.scene.fit_to_photo.geometry = bpy.context.scene.fit_to_photo.texture = False


@pytest.mark.parametrize("name", bad)
def test_a_bad_mesh_is_a_sentence(refused, tmp_path, name):
    spoil, words = bad[name]
    spoil(tmp_path)
    bpy.context.view_layer.update()
    refused(words)
