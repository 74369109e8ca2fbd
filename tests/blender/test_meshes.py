"""Meshes: what is read, the shape key that is written, and its removal."""

import json

import bmesh
import bpy
import numpy as np
import pytest

from blender_addon.exchange import Bindings, SceneProblem, has_result, read_scene, revert_all, write_result
from blender_addon.exchange.meshes import SHAPE_KEY, read_mesh, write_mesh
from blender_addon.exchange.unwrap import UV_MAP
from dr_backend.geometry import flatten
from dr_backend.scene import with_leaves
from tests.blender.conftest import CUBE, QUADS, evaluated_positions, fingerprint

PENTAGON = [(np.cos(a), np.sin(a), 0.0) for a in np.arange(5) * 2 * np.pi / 5]


def export(build, *meshes, texture=False):
    cameras = [o for o in bpy.data.objects if o.type == "CAMERA"] or [build.camera()]
    return read_scene(build.scene, list(meshes), cameras, [], texture=texture)


def fitted(exported, obj, seed=3):
    """The read positions, moved about."""
    positions = exported.scene.meshes[obj.name].positions
    return positions + np.random.default_rng(seed).normal(0, 0.1, positions.shape).astype(np.float32)


def test_corners_faces_and_uvs_agree_with_blender(build):
    obj = build.mesh()
    obj.data.polygons[2].use_smooth = True
    mesh = read_mesh(obj, ("Paint",)).mesh
    assert mesh.positions.dtype == np.float32
    assert mesh.faces.shape == (12, 3)
    assert mesh.faces.dtype == np.int32
    assert mesh.uvs.shape == (12, 3, 2)
    assert mesh.face_smooth.sum() == 2
    layer = obj.data.uv_layers[0].uv
    for triangle, uvs, corners in zip(obj.data.loop_triangles, mesh.uvs, mesh.faces, strict=True):
        for loop, uv, vertex in zip(triangle.loops, uvs, corners, strict=True):
            assert tuple(layer[loop].vector) == pytest.approx(tuple(uv))
            assert obj.data.loops[loop].vertex_index == vertex
    edges = mesh.positions[mesh.faces]
    normals = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    assert (np.einsum("fk,fk->f", normals, edges.mean(1)) > 0).all(), "counter-clockwise seen from outside"


def test_reads_the_uv_map_that_renders(build):
    obj = build.mesh()
    other = obj.data.uv_layers.new(name="Bake")
    other.uv.foreach_set("vector", np.full(len(obj.data.loops) * 2, 0.25, np.float32))
    other.active_render = True
    read = read_mesh(obj, ("Paint",))
    assert read.binding["uv_map"] == "Bake"
    assert (read.mesh.uvs == 0.25).all()


def test_ngons_loose_vertices_and_non_manifold_edges(build):
    vertices = [*PENTAGON, (0, 0, 1), (0, 0, -1), (5, 5, 5)]
    obj = build.mesh("Odd", vertices, [(0, 1, 2, 3, 4), (0, 1, 5), (0, 1, 6)])
    exported = export(build, obj)
    mesh = exported.scene.meshes["Odd"]
    assert mesh.faces.shape == (5, 3)
    assert len(mesh.positions) == 8
    value = fitted(exported, obj)
    write_result(exported.bindings, {"meshes/Odd/positions": value})
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)
    assert len(obj.data.polygons) == 3


def test_negative_scale_and_parents_are_in_the_matrix(build):
    parent = build.link(bpy.data.objects.new("Rig", None))
    parent.location, parent.rotation_euler, parent.scale = (0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (1, 1.5, 1)
    obj = build.mesh()
    obj.parent, obj.scale = parent, (-0.5, 1, 1)
    exported = export(build, obj)
    matrix = exported.scene.meshes["Cube"].world_from_object
    np.testing.assert_allclose(matrix, np.array(obj.matrix_world), atol=1e-6)
    assert np.linalg.det(matrix[:3, :3]) < 0
    value = fitted(exported, obj)
    write_result(exported.bindings, {"meshes/Cube/positions": value})
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)


def test_several_materials(build):
    obj = build.mesh()
    obj.data.materials.append(build.material("Other", (0, 1, 0)))
    obj.data.materials.append(None)
    obj.data.polygons.foreach_set("material_index", np.array([0, 1, 2, 1, 0, 7], np.int32))
    mesh = export(build, obj).scene.meshes["Cube"]
    assert mesh.materials == ("Paint", "Other", "Fit to Photo Cube")
    assert mesh.face_material.tolist() == [0, 0, 1, 1, 2, 2, 1, 1, 0, 0, 2, 2]


@pytest.mark.parametrize("keys", [False, True])
def test_shape_key_is_exact_off_is_bit_identical_and_revert_restores(build, keys):
    obj = build.mesh()
    group = obj.vertex_groups.new(name="Half")
    group.add([0, 1, 2, 3], 0.5, "REPLACE")
    if keys:
        add_keys(obj)
    camera_made = build.camera()
    assert camera_made
    before, positions = fingerprint(), evaluated_positions(obj)
    exported = export(build, obj)
    np.testing.assert_allclose(exported.scene.meshes["Cube"].positions, positions, atol=1e-6)
    bindings = Bindings.from_json(json.loads(json.dumps(exported.bindings.to_json())))
    value = fitted(exported, obj)
    said = write_result(bindings, {"meshes/Cube/positions": value})
    assert "'Cube'" in said[0]
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)
    key = obj.data.shape_keys.key_blocks[SHAPE_KEY]
    assert (key.value, key.slider_min, key.slider_max) == (1, 0, 1)
    key.value = 0
    assert np.array_equal(evaluated_positions(obj), positions)
    key.value = 0.5
    np.testing.assert_allclose(evaluated_positions(obj), (positions + value) / 2, atol=1e-6)
    assert has_result(build.scene)
    revert_all(build.scene)
    assert fingerprint() == before
    assert not has_result(build.scene)


def add_keys(obj):
    obj.shape_key_add(name="Basis")
    for index, name in enumerate(("Wide", "Muted", "Off")):
        key = obj.shape_key_add(name=name)
        offset = np.random.default_rng(index).normal(0, 0.3, (len(obj.data.vertices), 3))
        key.data.foreach_set("co", (np.array([v.co for v in obj.data.vertices]) + offset).astype(np.float32).ravel())
        key.value = (0.7, 0.4, 0)[index]
    obj.data.shape_keys.key_blocks["Muted"].mute = True
    obj.data.shape_keys.key_blocks["Wide"].vertex_group = "Half"


def test_second_fit_starts_from_the_first_and_replaces_it(build):
    obj = build.mesh()
    first = export(build, obj)
    write_result(first.bindings, {"meshes/Cube/positions": fitted(first, obj)})
    obj.data.shape_keys.key_blocks[SHAPE_KEY].value = 0.5
    second = export(build, obj)
    np.testing.assert_allclose(second.scene.meshes["Cube"].positions, evaluated_positions(obj), atol=1e-6)
    value = fitted(second, obj, seed=9)
    write_result(second.bindings, {"meshes/Cube/positions": value})
    assert [k.name for k in obj.data.shape_keys.key_blocks] == ["Basis", SHAPE_KEY]
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)
    revert_all(build.scene)
    assert obj.data.shape_keys is None


def test_a_slider_moved_during_the_fit_is_not_undone(build):
    obj = build.mesh()
    obj.shape_key_add(name="Basis")
    key = obj.shape_key_add(name="Wide")
    key.data.foreach_set("co", (np.array(CUBE, np.float32) * 2).ravel())
    key.value = 0
    exported = export(build, obj)
    value = fitted(exported, obj)
    key.value = 1
    write_result(exported.bindings, {"meshes/Cube/positions": value})
    np.testing.assert_allclose(evaluated_positions(obj), value + np.array(CUBE), atol=1e-6)


def test_revert_works_after_saving_and_reopening(build):
    obj = build.mesh(uvs=False, material=None)
    build.camera()
    before = fingerprint()
    exported = export(build, obj, texture=True)
    image = np.random.default_rng(0).random((16, 16, 3), np.float32)
    write_result(exported.bindings, {"meshes/Cube/positions": fitted(exported, obj), "materials/Fit to Photo Cube/base_color_image": image})
    changed = evaluated_positions(obj)
    path = str(build.folder / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    np.testing.assert_array_equal(evaluated_positions(bpy.data.objects["Cube"]), changed)
    assert has_result(bpy.context.scene)
    revert_all(bpy.context.scene)
    assert fingerprint() == before


def test_reads_and_writes_in_edit_mode_and_stays_there(build):
    obj, other = build.mesh(), build.mesh("Other", material="Second")
    bpy.context.view_layer.objects.active = obj
    obj.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    bm = bmesh.from_edit_mesh(obj.data)
    bm.verts.ensure_lookup_table()
    bm.verts[0].co = (-1.5, -1.5, -1.5)
    exported = export(build, obj, other, texture=True)
    mesh = exported.scene.meshes["Cube"]
    assert mesh.positions[0] == pytest.approx((-1.5, -1.5, -1.5))
    assert mesh.uvs.shape == (12, 3, 2)
    value = fitted(exported, obj)
    write_result(exported.bindings, {"meshes/Cube/positions": value})
    assert obj.mode == "EDIT"
    bpy.ops.object.mode_set(mode="OBJECT")
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)
    assert len(bpy.data.meshes) == 2


def test_a_mesh_without_uvs_is_unwrapped_aside(build):
    obj, busy = build.mesh(uvs=False), build.mesh("Busy", material="Second")
    build.camera()
    bpy.context.view_layer.objects.active = busy
    busy.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    before = fingerprint()
    exported = export(build, obj, texture=True)
    assert fingerprint() == before
    assert (busy.mode, bpy.context.view_layer.objects.active, obj.select_get(), busy.select_get()) == ("EDIT", busy, False, True)
    assert any("'Cube' has no UV map" in w for w in exported.warnings)
    uvs = exported.scene.meshes["Cube"].uvs
    assert 0 <= uvs.min() < uvs.max() <= 1
    bpy.ops.object.mode_set(mode="OBJECT")
    write_result(exported.bindings, {"meshes/Cube/positions": fitted(exported, obj)})
    assert not obj.data.uv_layers, "no texture, no UV map"
    image = np.zeros((8, 8, 3), np.float32)
    write_result(exported.bindings, {"materials/Paint/base_color_image": image})
    assert [layer.name for layer in obj.data.uv_layers] == [UV_MAP]
    np.testing.assert_array_equal(read_mesh(obj, ("Paint",)).mesh.uvs, uvs)
    revert_all(build.scene)
    assert not obj.data.uv_layers


def test_modifiers_and_shared_meshes_are_warned_of(build):
    obj = build.mesh()
    obj.modifiers.new("Smooth It", "SUBSURF")
    twin = build.link(bpy.data.objects.new("Twin", obj.data))
    warnings = export(build, obj, texture=True).warnings
    assert any("'Cube'" in w and "Smooth It" in w for w in warnings)
    assert any("share the mesh of 'Cube'" in w for w in warnings)
    assert not any("share the mesh" in w for w in export(build, obj, twin).warnings)


def test_linked_copies_move_together(build):
    obj = build.mesh()
    twin = build.link(bpy.data.objects.new("Twin", obj.data))
    twin.location = (0, 0, 2)
    exported = export(build, obj, twin)
    assert [mesh.shape_of for mesh in exported.scene.meshes.values()] == ["", "Cube"]
    value = fitted(exported, obj)
    moved = with_leaves(exported.scene, {"meshes/Cube/positions": value})
    positions = flatten(moved).positions.numpy()
    np.testing.assert_allclose(positions[8:], positions[:8] + [0, 0, 2], atol=1e-6)
    write_result(exported.bindings, {"meshes/Cube/positions": value})
    for both in (obj, twin):
        np.testing.assert_allclose(evaluated_positions(both), value, atol=1e-6)


def test_without_geometry_meshes_are_read_as_they_render(build):
    obj = build.mesh()
    made = obj.modifiers.new("Round", "SUBSURF")
    made.levels, made.render_levels = 0, 1
    before = fingerprint()
    read = read_mesh(obj, ("Paint",), geometry=False)
    assert (len(read.mesh.positions), len(read.mesh.faces), read.mesh.uvs.shape) == (26, 48, (48, 3, 2))
    assert (read.binding["vertices"], read.binding["corners"], read.warnings) == (8, 24, [])
    assert (made.levels, fingerprint()) == (0, before)


def test_sharp_edges_part_normals_and_custom_ones_are_carried(build):
    obj = build.mesh()
    obj.data.polygons.foreach_set("use_smooth", np.ones(6, bool))
    assert read_mesh(obj, ("Paint",)).mesh.normal_groups is None
    for edge in obj.data.edges:
        edge.use_edge_sharp = obj.data.vertices[edge.vertices[0]].co.z > 0 and obj.data.vertices[edge.vertices[1]].co.z > 0
    mesh = read_mesh(obj, ("Paint",)).mesh
    assert mesh.normal_groups.max() + 1 == 4 + 2 * 4, "one group at each lower vertex, the lid's and the sides' at each upper one"
    assert mesh.custom_normals is None
    obj.data.normals_split_custom_set([(0, 0, 1)] * len(obj.data.loops))
    np.testing.assert_allclose(read_mesh(obj, ("Paint",)).mesh.custom_normals, np.broadcast_to((0, 0, 1), (12, 3, 3)), atol=1e-3)


# -- what cannot be fitted ------------------------------------------------------------------------------------------------------------


def linked_mesh(build):
    obj = build.mesh("Far")
    path = str(build.folder / "library.blend")
    bpy.data.libraries.write(path, {obj})
    bpy.data.batch_remove([obj, obj.data])
    with bpy.data.libraries.load(path, link=True) as (_, to):
        to.objects = ["Far"]
    return build.link(to.objects[0])


def bad_mesh(build, kind):
    """A mesh list that cannot be fitted, and what the sentence must name."""
    if kind == "none":
        return [], "Scene"
    if kind == "no faces":
        return [build.mesh("Bare", CUBE, [])], "'Bare'"
    if kind == "not a number":
        return [build.mesh("Broken", [(float("nan"), 0, 0), *CUBE[1:]])], "'Broken'"
    if kind == "out of view":
        obj = build.mesh("Away")
        obj.location = (0, -40, 0)
        return [obj], "'Away'"
    if kind == "linked":
        return [linked_mesh(build)], "'Far'"
    if kind == "flat":
        obj = build.mesh("Nothing")
        obj.scale = (0, 0, 0)
        return [obj], "'Nothing'"
    if kind == "pinned":
        obj = build.mesh("Pinned")
        obj.shape_key_add(name="Basis")
        obj.show_only_shape_key = True
        return [obj], "'Pinned'"
    return [build.light("Lamp")], "'Lamp'"


BAD = ["none", "no faces", "not a number", "out of view", "linked", "flat", "pinned", "lamp"]


@pytest.mark.parametrize("kind", BAD)
def test_bad_meshes_are_named_and_nothing_changes(build, kind):
    camera = build.camera()
    meshes, name = bad_mesh(build, kind)
    bpy.context.view_layer.update()
    before = fingerprint()
    with pytest.raises(SceneProblem, match=name):
        read_scene(build.scene, meshes, [camera], [], texture=True)
    assert fingerprint() == before


def edit(obj):
    mesh = bpy.data.meshes.new("New")
    mesh.from_pydata(CUBE[:7], [], QUADS[:1])
    obj.data = mesh


@pytest.mark.parametrize("kind", ["deleted", "edited", "not finite", "wrong count", "unknown", "no material"])
def test_all_or_nothing(build, kind):
    obj, other = build.mesh(), build.mesh("Other", material="Second")
    exported = export(build, obj, other, texture=True)
    values = {f"meshes/{o.name}/positions": fitted(exported, o) for o in (obj, other)}
    values["materials/Second/base_color_image"] = np.zeros((4, 4, 3), np.float32)
    if kind == "deleted":
        bpy.data.objects.remove(other)
    elif kind == "edited":
        edit(other)
    elif kind == "not finite":
        values["meshes/Other/positions"][3, 1] = np.nan
    elif kind == "wrong count":
        values["meshes/Other/positions"] = values["meshes/Other/positions"][:5]
    elif kind == "unknown":
        values["cameras/Front/hue"] = np.ones(2)
    else:
        bpy.data.materials.remove(bpy.data.materials["Second"])
    before = fingerprint()
    with pytest.raises(SceneProblem, match="Front" if kind == "unknown" else "Second" if kind == "no material" else "Other"):
        write_result(exported.bindings, values)
    assert fingerprint() == before


def test_a_renamed_object_is_found_again(build):
    obj = build.mesh()
    exported = export(build, obj)
    value = fitted(exported, obj)
    obj.name = "Renamed"
    build.mesh("Cube", CUBE[:7], QUADS[:1], material=None)
    write_result(exported.bindings, {"meshes/Cube/positions": value})
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)


def test_write_mesh_alone_uses_current_sliders(build):
    obj = build.mesh()
    value = np.array(CUBE, np.float32) * 1.25
    assert "0.433" in write_mesh(obj, value)
    np.testing.assert_allclose(evaluated_positions(obj), value, atol=1e-6)
