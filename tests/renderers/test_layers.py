"""Layers: what lies behind what a pixel sees, face by face."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten
from dr_backend.kernels.launch import Launcher
from dr_backend.raster.native.batch import Batch
from dr_backend.raster.native.rasterize import rasterize as rasterize_native
from dr_backend.raster.project import project, view_of
from dr_backend.raster.rasterize import FAR, Layer, rasterize
from dr_backend.scene import Camera, Mesh, Scene
from tests.renderers.test_native_fuzz import MAKERS


def native(seen, flat, view, launcher, layer) -> tuple[torch.Tensor, torch.Tensor]:
    face_id, nearness, work = rasterize_native(seen.camera, flat.topology.faces32, seen.bins, view, launcher, layer)
    launcher.run([work])
    return face_id, nearness


def _peeled(rasterizer, shape) -> list[Layer]:
    """All layers, the last of them empty."""
    layers = [Layer(torch.full(shape, -1, dtype=torch.int32), torch.full(shape, torch.inf))]
    while len(layers) < 2 or bool((layers[-1].face_id >= 0).any()):
        layers.append(Layer(*rasterizer(layers[-1])))
        assert len(layers) < 200
    return layers[1:]


def _face_id(positions, faces, camera, launcher) -> torch.Tensor:
    flat = flatten(Scene({"view": camera}, {"mesh": Mesh(positions, faces, np.eye(4))}))
    return Batch(flat.topology, flat.positions, None, [view_of(camera, flat.positions)], launcher).look()[0].face_id


@pytest.mark.parametrize("seed", range(10))
def test_peeling_finds_every_face_once_and_in_order(seed):
    random = np.random.default_rng(seed)
    positions, faces = MAKERS[seed % len(MAKERS)](random)
    faces = faces[:60]
    matrix = np.eye(4)
    matrix[2, 3] = -random.choice([0.5, 3.0])
    camera = Camera(matrix, np.full(2, 20.0), np.full(2, 12.0), (24, 24), str(random.choice(["perspective", "orthographic"])))
    flat = flatten(Scene({"view": camera}, {"mesh": Mesh(positions, faces, np.eye(4))}))
    view = view_of(camera, flat.positions)
    projected = project(flat.positions, view)

    launcher = Launcher(torch.device("cpu"), 1)
    seen = Batch(flat.topology, flat.positions, None, [view], launcher).look()[0]
    ours = _peeled(lambda layer: native(seen, flat, view, launcher, layer), (24, 24))
    twins = _peeled(lambda layer: rasterize(projected, flat.faces, view, None, layer), (24, 24))
    only = [torch.arange(len(faces)) == face for face in range(len(faces))]
    ours_alone = [_face_id(positions, faces[face : face + 1], camera, launcher) for face in range(len(faces))]
    alone = [rasterize(projected, flat.faces, view, one)[0] for one in only]
    for layers, nearest, each in ((ours, seen.face_id, ours_alone), (twins, rasterize(projected, flat.faces, view)[0], alone)):
        covering = torch.stack([face_id >= 0 for face_id in each]).sum(0)
        assert torch.equal(layers[0].face_id, nearest)
        assert torch.equal(torch.stack([layer.face_id >= 0 for layer in layers]).sum(0), covering)
        for index, layer in enumerate(layers):
            assert torch.equal(layer.face_id >= 0, layer.nearness > FAR)
            for other in layers[:index]:
                assert not bool(((layer.face_id == other.face_id) & (layer.face_id >= 0)).any())
                assert bool((layer.nearness <= other.nearness).all())


def test_nothing_is_drawn_where_nothing_more_is_wanted():
    camera = Camera(np.diag([1.0, 1, 1, 1]), np.full(2, 20.0), np.full(2, 12.0), (24, 24))
    positions = np.array([[-9.0, -9, -1], [9, -9, -1], [0, 9, -1]])
    flat = flatten(Scene({"view": camera}, {"mesh": Mesh(positions, np.array([[0, 1, 2]]), np.eye(4))}))
    view = view_of(camera, flat.positions)
    projected = project(flat.positions, view)
    wanted = torch.arange(24)[:, None].expand(24, 24) < 7
    start = Layer(torch.full((24, 24), -1), torch.where(wanted, torch.inf, FAR))
    launcher = Launcher(torch.device("cpu"), 1)
    seen = Batch(flat.topology, flat.positions, None, [view], launcher).look()[0]
    first = Layer(start.face_id.int(), start.nearness)
    assert torch.equal(rasterize(projected, flat.faces, view, None, start)[0] >= 0, wanted)
    assert torch.equal(native(seen, flat, view, launcher, first)[0] >= 0, wanted)
