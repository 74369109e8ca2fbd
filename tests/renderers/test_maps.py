"""Maps of faces, barycentric coordinates, depth, normals and attributes, by both rasterizers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from tests.shapes import camera, flat, icosphere


def world_points(maps, scene) -> torch.Tensor:
    """What the maps say of where each seen pixel lies on the surface, (P, 3)."""
    seen = maps.face_index_map >= 0
    corners = scene.positions[scene.faces[maps.face_index_map[seen].long()]]
    return (corners * maps.weight_map[seen][..., None]).sum(1)


@pytest.mark.parametrize("renderer", [ReferenceRenderer(), NativeRenderer(threads=1)], ids=["reference", "native"])
@pytest.mark.parametrize("orthographic", [False, True])
def test_maps_agree_with_one_another_and_with_the_sphere(renderer, orthographic):
    positions, faces = icosphere(4)
    scene, view = flat(positions, faces, smooth=True), camera(64, 48, orthographic=orthographic)
    maps = renderer.maps(scene, view, attributes=scene.positions)
    seen = maps.face_index_map >= 0
    points = world_points(maps, scene)
    assert torch.allclose(points, maps.attributes[seen], atol=1e-5)
    assert torch.allclose(3.0 - points[:, 2], maps.depth[seen], atol=1e-5)
    assert torch.allclose(maps.normals[seen], points / points.norm(dim=1, keepdim=True), atol=0.02)
    assert torch.allclose(maps.weight_map.sum(-1), seen.float(), atol=1e-6)
    for hidden in (maps.normals[~seen], maps.attributes[~seen], maps.weight_map[~seen]):
        assert not hidden.any()
    assert torch.isinf(maps.depth[~seen]).all()


def test_both_rasterizers_make_the_same_maps_and_gradients():
    positions, faces = icosphere(3)
    scene, view = flat(positions * [1.0, 0.8, 0.9], faces, smooth=True), camera(64, 64)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(positions), 5, generator=generator)
    weight = torch.randn(64, 64, 9, generator=generator)
    results = []
    for renderer in (ReferenceRenderer(), NativeRenderer(threads=1)):
        points, attributes = scene.positions.clone().requires_grad_(), values.clone().requires_grad_()
        maps = renderer.maps(replace(scene, positions=points), view, attributes)
        depth = torch.where(maps.face_index_map >= 0, maps.depth, 0.0)
        loss = (torch.cat([maps.attributes, maps.normals, depth[..., None]], -1) * weight).sum()
        results.append((maps, *torch.autograd.grad(loss, [points, attributes])))
    (first, *expected), (second, *found) = results
    assert torch.equal(first.face_index_map.long(), second.face_index_map.long())
    assert np.allclose(first.weight_map.detach(), second.weight_map.detach(), atol=1e-4)
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-4
