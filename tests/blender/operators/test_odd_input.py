"""Odd but fit to be fitted: each is written, some with a warning, and Revert gives everything back."""

import json
import re
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from blender_addon import preferences  # noqa: E402
from tests.blender.conftest import fingerprint as contents  # noqa: E402
from tests.blender.operators.conftest import Cases, heights  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")
odd = Cases()
ODD_NAME = "a/b%2F c 模型 é 🎥"


def cube() -> "bpy.types.Object":
    return bpy.data.objects["Cube"]


def backgrounds() -> list["bpy.types.CameraBackgroundImage"]:
    return [bpy.data.cameras[name].background_images[0] for name in ("Front", "Side")]


def shaped(vertices, edges, faces) -> None:
    cube().data.clear_geometry()
    cube().data.from_pydata(vertices, edges, faces)


def enter(mode: str) -> None:
    bpy.context.view_layer.objects.active = cube()
    cube().select_set(True)
    bpy.ops.object.mode_set(mode=mode)


@odd("has no UV map: one named 'Fit to Photo' is made with Smart UV Project")
def a_polygon_of_many_corners(tmp_path):
    angles = np.arange(9) * 2 * np.pi / 9
    shaped([(np.cos(a), 0, np.sin(a)) for a in angles], [], [range(9)])


@odd("")
def loose_vertices_and_edges(tmp_path):
    shaped([(0, 0, 0), (1, 0, 0), (0, 0, 1), (5, 5, 5), (6, 6, 6), (7, 7, 7)], [(3, 4)], [(0, 1, 2)])


@odd("")
def an_edge_of_three_faces(tmp_path):
    shaped([(0, 0, -1), (0, 0, 1), (1, 0, 0), (-1, 0, 0), (0, 1, 0)], [], [(0, 1, 2), (0, 1, 3), (0, 1, 4)])


@odd("")
def some_faces_without_area(tmp_path):
    shaped([(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 0, 1), (0, 0, 1)], [], [(0, 1, 2), (0, 1, 3), (0, 3, 4)])


@odd("has no UV map")
def no_uv_map(tmp_path):
    cube().data.uv_layers.remove(cube().data.uv_layers[0])


@odd("Faces of 'Cube' lie over one another in its UV map and will show the same paint")
def overlapping_uvs(tmp_path):
    corners = np.tile(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32), (6, 1))
    cube().data.uv_layers[0].uv.foreach_set("vector", corners.ravel())


@odd("The UV map of 'Cube' gives its faces no room to be painted: unwrap it")
def uvs_in_one_place(tmp_path):
    cube().data.uv_layers[0].uv.foreach_set("vector", np.full(48, 0.5, np.float32))


@odd("")
def negative_scale(tmp_path):
    cube().scale.x = -1


@odd("")
def edit_mode(tmp_path):
    enter("EDIT")


@odd("")
def sculpt_mode(tmp_path):
    enter("SCULPT")


@odd("")
def texture_paint_mode(tmp_path):
    enter("TEXTURE_PAINT")


@odd("Other objects share the mesh of 'Cube' and change with it")
def a_mesh_of_two_objects(tmp_path):
    twin = bpy.data.objects.new("Twin", cube().data)
    twin.location.x = 3
    bpy.context.scene.collection.objects.link(twin)
    cube().select_set(True)


@odd("")
def shape_keys_and_our_name_taken(tmp_path):
    cube().shape_key_add(name="Basis")
    cube().shape_key_add(name="Fit to Photo").value = 0.5
    cube().data.shape_keys.key_blocks[1].data[0].co.z += 0.1


@odd("")
def all_our_names_taken(tmp_path):
    for kind in ("materials", "meshes", "scenes", "collections", "cameras"):
        for name in ("Fit to Photo", "Fit to Photo Cube", "Fit to Photo As Rendered", "Imported Cameras"):
            getattr(bpy.data, kind).new(name)
    bpy.data.images.new("Fit to Photo Cube", 4, 4)
    cube().data.uv_layers.new(name="Fit to Photo")


@odd("")
def strange_names(tmp_path):
    cube().name = bpy.data.objects["Front"].name = ODD_NAME


@odd("")
def strange_paths(tmp_path):
    folder = tmp_path / "Fotos für Ömer 写真 & co"
    folder.mkdir()
    image = backgrounds()[0].image
    image.filepath_raw, image.file_format = str(folder / "bild 1 ü.png"), "PNG"
    image.save()
    backgrounds()[0].image = bpy.data.images.load(str(folder / "bild 1 ü.png"))
    preferences.job_root = lambda: folder / "jöbs und so"  # the test's monkeypatch gives it back


@odd("")
def a_packed_photo(tmp_path):
    backgrounds()[0].image.pack()


@odd("")
def a_path_beside_the_saved_file(tmp_path):
    image = backgrounds()[0].image
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    loaded = bpy.data.images.load(str(tmp_path / "photo.png"))
    loaded.filepath = "//photo.png"
    backgrounds()[0].image = loaded


@odd(r"the photos of 'Front' \(20 × 40\) have another shape, which is used")
def a_photo_of_another_shape(tmp_path):
    backgrounds()[0].image.scale(20, 40)


@odd("The mask of camera 'Front' is white all over, as if the object filled the photo")
def a_white_mask(tmp_path):
    mask = bpy.data.images.new("Mask", 32, 24)
    mask.pixels.foreach_set(np.ones(32 * 24 * 4, np.float32))
    bpy.data.cameras["Front"].background_images.new().image = mask


@odd("Camera 'Front' has 3 background images: only the first two, photo and mask, are used")
def a_third_background_image(tmp_path):
    for _ in range(2):
        bpy.data.cameras["Front"].background_images.new().image = backgrounds()[0].image


@odd("Camera 'Front' looks past what is fitted: line it up with its photo, or leave the photo out")
def one_camera_that_looks_away(tmp_path):
    bpy.data.objects["Front"].rotation_euler.rotate_axis("Y", np.pi)


@odd("")
def a_camera_inside_the_mesh(tmp_path):
    bpy.data.objects["Front"].location = 0, 0, 0


@odd("")
def a_linked_camera(tmp_path):
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {bpy.data.objects["Front"]})
    bpy.data.objects.remove(bpy.data.objects["Front"])
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["Front"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])


@odd("")
def a_dark_lamp_in_a_bright_world(tmp_path):
    bpy.data.objects["Lamp"].data.energy = 0
    bpy.data.objects["Lamp"].select_set(True)
    bpy.context.scene.world = bpy.data.worlds.new("Day")


@odd("The fit moves 'Cube' before its modifiers")
def geometry_nodes_that_pass_the_mesh_on(tmp_path):
    tree = bpy.data.node_groups.new("Same", "GeometryNodeTree")
    for side in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=side, socket_type="NodeSocketGeometry")
    tree.links.new(tree.nodes.new("NodeGroupInput").outputs[0], tree.nodes.new("NodeGroupOutput").inputs[0])
    cube().modifiers.new("Same", "NODES").node_group = tree


@pytest.mark.parametrize("name", odd)
def test_odd_input_is_fitted_and_reverted(tmp_path, scene, monkeypatch, name):
    monkeypatch.setattr(preferences, "job_root", preferences.job_root)
    fitted = cube()
    spoil, warning = odd[name]
    spoil(tmp_path)
    bpy.context.view_layer.update()
    before, mode = contents()[0], fitted.mode
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    assert fitted.mode == mode
    report = json.loads(scene.fit_to_photo.last_report)
    if warning:
        assert re.search(warning, " ".join(report["warnings"])), report["warnings"]
    if mode == "OBJECT":
        evaluated = fitted.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        moved = np.array([v.co.z for v in evaluated.vertices]) - [v.co.z for v in fitted.data.vertices]
        assert np.allclose(np.median(moved), 1, atol=0.1)
    assert bpy.ops.fit_to_photo.revert() == {"FINISHED"}
    assert contents()[0] == before


def test_a_large_mesh_is_read_in_seconds(scene):
    """A quarter of a million vertices, without a fit worth the name."""
    mesh, side = cube().data, 512
    mesh.clear_geometry()
    x, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side)))
    mesh.vertices.add(side * side)
    mesh.vertices.foreach_set("co", np.stack([x, 0 * x, z], 1).astype(np.float32).ravel())
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + side + 1, corner + side], 1)
    mesh.loops.add(quads.size)
    mesh.loops.foreach_set("vertex_index", quads.ravel().astype(np.int32))
    mesh.polygons.add(len(quads))
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    scene.fit_to_photo.texture = False
    assert bpy.ops.fit_to_photo.run() == {"FINISHED"}
    report = json.loads(scene.fit_to_photo.last_report)
    assert report["seconds"] < 30
    assert any("'Cube' has 262,144 vertices, which takes long" in warning for warning in report["warnings"])
    assert np.isclose(heights().max(), 2, atol=1e-3)
