from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, prepare, to_tensors
from dr_backend.geometry.normals import face_normals
from dr_backend.geometry.topology import edge_table
from dr_backend.scene import Light, Material, Mesh, Scene, World
from tests.shapes import camera, corner_uvs, flat, icosphere

LAMP = Light(np.eye(4), np.ones(3), np.array(10.0))


def test_meshes_merge_in_order_with_their_materials():
    positions, faces = icosphere(0)
    moved = np.eye(4)
    moved[:3, 3] = [5, 0, 0]
    red, image = Material(np.array([1.0, 0, 0])), Material(np.ones(3), np.zeros((2, 2, 3)))
    meshes = {
        "a": Mesh(positions, faces, np.eye(4), materials=("red", "image"), face_material=np.arange(20) % 2),
        "b": Mesh(positions, faces, moved, uvs=corner_uvs(positions, faces), materials=("image",)),
        "bare": Mesh(positions, faces, np.eye(4)),
    }
    scene = flatten(Scene(meshes=meshes, materials={"red": red, "image": image}))
    assert torch.equal(scene.faces[20:40], scene.faces[:20] + 12)
    assert torch.allclose(scene.positions[12:24], scene.positions[:12] + torch.tensor([5.0, 0, 0]))
    shown = [scene.materials[i] for i in (scene.face_material[0], scene.face_material[1], scene.face_material[20], scene.face_material[40])]
    assert [m.image is None for m in shown] == [True, True, False, True]  # without UVs an image cannot be placed
    assert shown[0].base_color.tolist() == [1, 0, 0]
    assert shown[3].base_color.tolist() == pytest.approx([0.8] * 3)


def test_mirrored_mesh_keeps_its_outside_and_its_uvs():
    positions, faces = icosphere(1)
    uvs = corner_uvs(positions, faces)
    mirror = np.diag([-1.0, 1, 1, 1])
    scene = flatten(Scene(meshes={"m": Mesh(positions, faces, mirror, uvs=uvs)}))
    normals = face_normals(scene.positions, scene.faces).T
    assert bool(((scene.positions[scene.faces].mean(1) * normals).sum(1) > 0.9).all())
    original = torch.tensor(corner_uvs(positions, faces), dtype=torch.float32)
    own = torch.stack([-scene.positions[scene.faces][..., 0], scene.positions[scene.faces][..., 1]], -1) * 0.4 + 0.5
    assert torch.allclose(own, scene.uvs, atol=1e-6)
    assert scene.uvs.shape == original.shape


def test_smooth_sphere_normals_are_radial_and_flat_ones_are_not():
    positions, faces = icosphere(2)
    smooth = flat(positions, faces, smooth=True, lights={"l": LAMP})
    assert torch.allclose(smooth.corner_normals, smooth.positions[smooth.faces], atol=0.02)
    hard = flat(positions, faces, lights={"l": LAMP})
    assert torch.equal(hard.corner_normals[:, 0], hard.corner_normals[:, 2])
    assert torch.allclose(hard.corner_normals[:, 0], face_normals(hard.positions, hard.faces).T)


def test_cube_corner_normal_weighs_angles_not_triangles():
    # A corner of a triangulated cube meets one face as two triangles; weighted by angle it counts once.
    positions = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    scene = flat(positions, faces, smooth=True, lights={"l": LAMP})
    assert torch.allclose(scene.corner_normals, scene.positions[scene.faces] / 3**0.5, atol=1e-6)


def test_faces_without_area_have_zero_normals_and_finite_gradients():
    positions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]], requires_grad=True)
    normals = face_normals(positions, torch.tensor([[0, 1, 2], [0, 0, 1], [0, 1, 3]])).T
    assert normals[:2].abs().max() == 0
    normals.sum().backward()
    assert bool(torch.isfinite(positions.grad).all())


def test_edges_of_a_closed_mesh_have_two_faces_that_run_against_each_other():
    _, faces = icosphere(2)
    edges = edge_table(torch.tensor(faces))
    assert len(edges.vertices) == len(faces) * 3 // 2
    assert bool((edges.faces >= 0).all())
    assert bool((edges.direction.sum(1) == 0).all())


def test_boundary_and_crowded_edges():
    edges = edge_table(torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4], [5, 5, 6]]))
    shared = (edges.vertices == torch.tensor([0, 1])).all(1)
    assert edges.faces[shared].tolist() == [[0, 1], [1, 2]]  # three faces: a pair for each two that follow each other
    assert edges.direction[shared].tolist() == [[1, -1], [-1, 1]]
    assert int((edges.faces[~shared, 1] < 0).sum()) == 6
    assert not bool((edges.vertices[:, 0] == edges.vertices[:, 1]).any())


def test_gradients_reach_positions_matrix_and_light():
    positions, faces = icosphere(1)
    scene = to_tensors(Scene(meshes={"m": Mesh(positions, faces, np.eye(4))}, lights={"l": LAMP}, world=World(np.ones(3))))
    mesh = scene.meshes["m"]
    matrix, points = mesh.world_from_object.requires_grad_(), mesh.positions.requires_grad_()
    seen = flatten(scene, topology=prepare(scene))
    (seen.positions.square().sum() + seen.corner_normals[:, 0].sum() + seen.world_radiance.sum()).backward()
    assert float(matrix.grad[:3, :3].diagonal().sum()) == pytest.approx(2 * float(points.detach().square().sum()), rel=1e-3)
    assert bool(torch.isfinite(points.grad).all())


def test_normals_of_an_earlier_result_are_taken_only_where_no_vertex_has_moved():
    ball = Mesh(*icosphere(1), np.eye(4), face_smooth=np.ones(80, bool))
    scene = to_tensors(Scene(meshes={"Ball": ball}, lights={"l": LAMP}))
    first = flatten(scene)
    assert flatten(scene, before=first).corner_normals.data_ptr() == first.corner_normals.data_ptr()
    scene.meshes["Ball"].positions[0] *= 2.0
    moved = flatten(scene, before=first).corner_normals
    assert torch.equal(moved, flatten(scene).corner_normals)
    assert not torch.equal(moved, first.corner_normals)


def test_scene_without_meshes_is_empty_not_an_error():
    scene = flatten(Scene(cameras={"c": camera()}))
    assert scene.positions.shape == (0, 3)
    assert scene.unlit


def test_impossible_faces_are_refused_by_name():
    positions, faces = icosphere(0)
    mesh = Mesh(positions[:5], faces, np.eye(4))
    with pytest.raises(ValueError, match="'Head' has faces"):
        prepare(Scene(meshes={"Head": mesh}))
    assert len(prepare(Scene(meshes={"Head": replace(mesh, positions=positions)})).faces) == 20
