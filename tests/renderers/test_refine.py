"""Faces split for a lens: every pixel shows the point that the lens shows there, and the surface stays what it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, to_tensors
from dr_backend.raster.project import View, bend, to_screen, view_of
from dr_backend.raster.refine import TOLERANCE_PX, refine, refined
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Camera
from tests.renderers.parity import body, scene_of
from tests.scenes import look_at
from tests.shapes import camera, corner_uvs, flat

WIDE = np.array([-0.3, 0.1, -0.01, 0.01, 0.02])
TURN = np.linalg.qr([[1, 2, 0], [0.4, 1, 3], [3, 0, 1]])[0]
CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) @ TURN
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE_FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))])
FLOOR = np.array([(-50, -50, 0), (50, -50, 0), (50, 50, 0), (-50, 50, 0)], float)
FLOOR_FACES = np.array([(0, 1, 2), (0, 2, 3)])
SIGHTS = {
    "cube": (CUBE, CUBE_FACES, camera(320, 240, distance=3.6)),
    "cube, orthographic": (CUBE, CUBE_FACES, camera(320, 240, focal=0.8, orthographic=True)),
    "floor that reaches behind the camera": (FLOOR, FLOOR_FACES, look_at(np.array([0.3, -5.0, 1.6]), (320, 240), 250.0)),
    "cube from within": (CUBE, CUBE_FACES, replace(camera(320, 240, distance=0.2, focal=0.5), near=0.3)),
}


def farthest_off(scene, view: Camera) -> float:
    """How far, in pixels, points of the surface are drawn from where the lens shows them."""
    seen = ReferenceRenderer().maps(scene, view, scene.positions)
    tensors: View = view_of(view, scene.positions)
    shown = seen.face_index_map >= 0
    points = seen.attributes[shown]
    exact, _ = to_screen(bend(points @ tensors.rotation.T + tensors.translation, tensors), tensors)
    row, column = torch.nonzero(shown).T
    return float((exact - torch.stack([column, row], 1) - 0.5).norm(dim=1).max())


@pytest.mark.parametrize("sight", SIGHTS)
def test_every_pixel_shows_the_point_that_the_lens_shows_there(sight):
    positions, faces, view = SIGHTS[sight]
    scene, view = flat(positions, faces, dtype=torch.float64), replace(view, distortion=WIDE)
    fine = refined(scene, refine(scene, [view]))
    assert farthest_off(scene, view) > 1
    assert farthest_off(fine, view) < TOLERANCE_PX * 4 / 3  # within a face as much as a third more than along its edges


def test_the_surface_stays_what_it_was():
    scene = flat(CUBE, CUBE_FACES, uvs=corner_uvs(CUBE, CUBE_FACES), image=np.zeros((4, 4, 3)), dtype=torch.float64)
    found = refine(scene, [replace(camera(320, 240, distance=3.6), distortion=WIDE)])
    fine = refined(scene, found)
    corners = [s.positions[s.faces] for s in (scene, fine)]
    normals = [torch.linalg.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in corners]
    summed = torch.zeros_like(normals[0]).index_add(0, found.face, normals[1])
    torch.testing.assert_close(summed, normals[0])
    assert bool(((normals[1] * normals[0][found.face]).sum(1) > 0).all()), "no piece is turned over"
    assert torch.equal(fine.positions[: len(CUBE)], scene.positions)
    assert bool((fine.topology.edges.faces >= 0).all()), "a closed surface stays closed"
    assert torch.equal(found.face, found.face.sort().values)
    on_face = torch.einsum("gck,gkx->gcx", found.corners, corners[0][found.face])
    torch.testing.assert_close(corners[1], on_face)
    torch.testing.assert_close(fine.uvs, torch.einsum("gck,gkx->gcx", found.corners, scene.uvs[found.face]))


def test_gradients_reach_the_coarse_vertices():
    scene = flat(CUBE, CUBE_FACES, dtype=torch.float64)
    found = refine(scene, [replace(camera(320, 240, distance=3.6), distortion=WIDE)])
    points = scene.positions.clone().requires_grad_()
    weight, motion = (torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (len(found.parents), 8))

    def loss(where: torch.Tensor) -> torch.Tensor:
        return (refined(replace(scene, positions=where), found).positions * weight).sum()

    (gradient,) = torch.autograd.grad(loss(points), points)
    truth = float(loss(scene.positions + motion) - loss(scene.positions))  # the map is linear
    assert float((gradient * motion).sum()) == pytest.approx(truth, rel=1e-9)


def test_light_and_colour_do_not_tell_the_pieces():
    """A lit, smooth, painted body through a straight lens: split or whole, the picture is the same."""
    made = scene_of(body(level=1), lit=True)
    scene = flatten(to_tensors(made, dtype=torch.float64), dtype=torch.float64)
    found = refine(scene, [replace(camera(640, 480), distortion=WIDE)])
    straight = camera(80, 60)
    whole, split = (ReferenceRenderer().render(s, [straight])[0] for s in (scene, refined(scene, found)))
    assert len(found.face) > 4 * len(scene.faces)
    torch.testing.assert_close(split.rgb, whole.rgb, atol=1e-6, rtol=0)
    torch.testing.assert_close(split.alpha, whole.alpha, atol=1e-6, rtol=0)


def test_nothing_is_split_without_need():
    view = replace(camera(64, 48), distortion=WIDE)
    scene = scene_of(body(level=4))
    fine = flatten(to_tensors(scene))
    coarse = flat(CUBE, CUBE_FACES)
    assert refine(coarse, [camera(64, 48)]) is None, "a straight lens"
    assert refine(fine, [view]) is None, "faces of few pixels"
    assert refine(flat(CUBE + [0, 0, 20], CUBE_FACES), [view]) is None, "behind the camera"
    assert refine(flat(CUBE + [40, 0, 0], CUBE_FACES), [view]) is None, "beside the picture"
    assert refine(flat(CUBE[:0], CUBE_FACES[:0]), [view]) is None
    assert refined(coarse, None) is coarse
