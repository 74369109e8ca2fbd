"""A known scene, perturbed and recovered; and failures that must say why."""

import gc
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from dr_backend import fit as fit_module
from dr_backend.fit import Fit
from dr_backend.geometry.flatten import flatten, to_tensors
from dr_backend.job import FitSettings, JobError
from dr_backend.problem import make_problem
from dr_backend.raster.refine import refine, refined
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.renderers.table import choose
from dr_backend.scene import Photo, Scene, with_leaves
from tests.scenes import painted, ring, sphere_scene

TRUTH = (1.0, 0.75, 0.6)


def photograph(scene: Scene, *, masks: bool = True) -> list[Photo]:
    """What the reference renderer sees of the scene from each camera."""
    renderer, _ = choose("reference", "cpu")
    tensors = to_tensors(scene)
    flat, cameras = flatten(tensors), list(tensors.cameras.values())
    with torch.no_grad():
        outputs = renderer.render(refined(flat, refine(flat, cameras)), cameras)
    photos = []
    for name, out in zip(scene.cameras, outputs, strict=True):
        alpha = out.alpha.numpy()
        rgb = out.rgb.numpy() / np.maximum(alpha, 1e-3)[..., None]
        photos.append(Photo(name, rgb, alpha if masks else None))
    return photos


def iou(scene: Scene, photos: list[Photo]) -> float:
    """Mean intersection over union of the scene's outlines with the photos' masks."""
    scores = []
    for photo, again in zip(photos, photograph(scene), strict=True):
        a, b = photo.mask > 0.5, again.mask > 0.5
        scores.append((a & b).sum() / (a | b).sum())
    return float(np.mean(scores))


def run(scene: Scene, photos: list[Photo], settings: FitSettings) -> tuple[Fit, Scene]:
    fit = Fit(make_problem(scene, photos, settings))
    for _ in fit.run():
        pass
    return fit, with_leaves(scene, {path: value.cpu().numpy() for path, value in fit.best().items()})


@pytest.mark.parametrize("renderer", ["reference", "native"])
def test_steps_leave_no_tensors_that_wait_for_a_search_for_cycles(renderer):
    cameras = ring(3, (32, 32))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    settings = FitSettings(quality="draft", renderer=renderer, device="cpu")
    steps = Fit(make_problem(sphere_scene(cameras, (0.8, 0.8, 0.8)), photos, settings)).run()
    next(steps)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.disable()
    try:
        for _ in itertools.islice(steps, 200):  # through all stages
            pass
        gc.collect()
        assert [each for each in gc.garbage if isinstance(each, torch.Tensor)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_geometry_and_texture_of_an_ellipsoid_come_back():
    cameras = ring(6)
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    start = sphere_scene(cameras, (0.8, 0.8, 0.8))
    before = iou(start, photos)
    _, fitted = run(start, photos, FitSettings(quality="draft"))
    assert before < 0.85
    assert iou(fitted, photos) > 0.985
    error = np.concatenate([(a.rgb - b.rgb)[a.mask > 0.99] for a, b in zip(photos, photograph(fitted), strict=True)])
    assert np.sqrt((error**2).mean()) < 0.04


@pytest.mark.usefixtures("unchecked")
def test_distorted_photos_are_fitted_as_they_were_taken():
    """Also by a body of long edges, which the lens bends."""
    straight = ring(4, (96, 96))
    cameras = {name: replace(camera, distortion=np.array([-0.35, 0.1, 0.0, 0.02, -0.03])) for name, camera in straight.items()}
    photos = photograph(sphere_scene(cameras, TRUTH, segments=8, rings=4))
    scores = {}
    for name, known in (("lens", cameras), ("no lens", straight)):
        start = sphere_scene(known, (0.8, 0.8, 0.8), segments=8, rings=4)
        fit, fitted = run(start, photos, FitSettings(quality="draft", texture=False))
        scores[name] = iou(replace(fitted, cameras=cameras), photos)
        if name == "lens":
            shown, mask = fit.look(photos[0].camera)[..., 3].numpy() > 0.5, photos[0].mask > 0.5
            assert (shown & mask).sum() / (shown | mask).sum() > 0.97, "what the running fit shows lies on the photo as it was taken"
    assert scores["lens"] > 0.98
    assert scores["lens"] > scores["no lens"] + 0.01


@pytest.mark.usefixtures("unchecked")
def test_a_see_through_ellipsoid_gets_its_texture_back():
    """Also that of its far side, which shows through."""
    cameras = ring(3, (48, 48))

    def see_through(scene: Scene) -> Scene:
        paint = replace(scene.materials["Paint"], alpha_image=painted()[..., 2:] + 0.1)
        return replace(scene, materials={"Paint": paint})

    photos = photograph(see_through(sphere_scene(cameras, TRUTH, painted(), 16, 8)))
    start = see_through(sphere_scene(cameras, TRUTH, segments=16, rings=8))
    _, fitted = run(start, photos, FitSettings(geometry=False, quality="draft"))

    def error(scene: Scene) -> float:
        seen = zip(photos, photograph(scene), strict=True)
        return float(np.sqrt(np.mean([((a.rgb * a.mask[..., None] - b.rgb * b.mask[..., None]) ** 2).mean() for a, b in seen])))

    assert error(fitted) < 0.3 * error(start)
    assert np.array_equal(fitted.materials["Paint"].alpha_image, start.materials["Paint"].alpha_image)


def test_texture_alone_leaves_the_geometry():
    cameras = ring(4, (64, 64))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    fit, fitted = run(sphere_scene(cameras, TRUTH), photos, FitSettings(geometry=False, quality="draft"))
    assert set(fit.best()) == {"materials/Paint/base_color_image"}
    assert np.array_equal(fitted.meshes["Ball"].positions, sphere_scene(cameras, TRUTH).meshes["Ball"].positions)


def test_small_photos_move_large_images_without_wiping_their_detail():
    """Where the shape moves too, photos are small, and so are the images that are painted from them."""
    cameras = ring(2, (96, 96))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    detail = 0.4 + 0.2 * np.random.default_rng(0).random((256, 256, 3), np.float32)
    problem = make_problem(sphere_scene(cameras, TRUTH, detail), photos, FitSettings(quality="draft", texture_size=256))
    both = replace(problem.stages[2], max_side=48, steps=12)
    fit = Fit(replace(problem, stages=[both]))
    for _ in fit.run():
        assert fit._run._leaves[1].value().shape == (128, 128, 3)
    found = fit.best()["materials/Paint/base_color_image"].numpy()

    def fine(image: np.ndarray) -> np.ndarray:
        return image - image.reshape(64, 4, 64, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1)

    assert np.abs(found - detail).max() > 0.1, "photos change it"
    assert np.corrcoef(fine(found).ravel(), fine(detail).ravel())[0, 1] > 0.95


@pytest.mark.usefixtures("unchecked")
def test_the_same_seed_gives_the_same_fit():
    cameras = ring(4, (48, 48))
    photos = photograph(sphere_scene(cameras, TRUTH, painted(), 16, 8))
    results = [run(sphere_scene(cameras, segments=16, rings=8), photos, FitSettings(quality="draft", seed=3))[0].best() for _ in range(2)]
    for path in results[0]:
        assert torch.equal(results[0][path], results[1][path]), path


def test_threads_share_no_leaf(monkeypatch):
    """Torch 2.11 can lock up where they do."""
    cameras = ring(4, (16, 16))
    problem = make_problem(sphere_scene(cameras, segments=8, rings=4), photograph(sphere_scene(cameras)), FitSettings(renderer="reference"))
    seen, true_render = [], ReferenceRenderer.render

    def render(self, scene, cameras, *, color=True):
        seen.append([tensor for tensor in (scene.positions, *(m.image for m in scene.materials)) if tensor.requires_grad])
        return true_render(self, scene, cameras, color=color)

    monkeypatch.setattr(ReferenceRenderer, "render", render)
    next(Fit(problem).run())
    assert len(seen) == len(cameras)
    assert len({id(tensor) for tensors in seen for tensor in tensors}) == sum(map(len, seen)) > 0


def test_without_masks_the_colours_alone_say_so():
    cameras = ring(4, (64, 64))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()), masks=False)
    problem = make_problem(sphere_scene(cameras), photos, FitSettings(quality="draft"))
    assert problem.warnings[0].startswith("No photo has a mask")
    assert all(stage.photometric for stage in problem.stages)
    assert "vertices are few" in problem.warnings[1]
    some = make_problem(sphere_scene(cameras), [*photograph(sphere_scene(cameras))[:3], photos[3]], FitSettings(quality="draft"))
    assert some.warnings[0].startswith(f"{photos[3].camera}: no mask")


@pytest.mark.usefixtures("unchecked")
def test_a_smaller_object_matrix_fits_as_well():
    cameras = ring(5, (96, 96))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    start = sphere_scene(cameras)
    ball = start.meshes["Ball"]
    scaled = replace(ball, positions=ball.positions * 50, world_from_object=np.diag([-0.016, 0.016, 0.016, 1.0]))
    _, fitted = run(replace(start, meshes={"Ball": scaled}), photos, FitSettings(texture=False, quality="draft"))
    assert iou(fitted, photos) > 0.97


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, p: (replace(s, meshes={}), p), "no mesh"),
        (lambda s, p: (s, [replace(x, held_out=True) for x in p]), "no photo"),
        (lambda s, p: (s, [replace(p[0], rgb=p[0].rgb[:-1])]), "differ in size"),
        (lambda s, p: (s, [replace(p[0], camera="Nobody")]), "has no camera"),
        (lambda s, p: (with_leaves(s, {"meshes/Ball/positions": np.full((3, 3), np.nan, np.float32)}), p), "not finite"),
        (lambda s, p: (with_leaves(s, {"meshes/Ball/faces": np.zeros((0, 3), np.int32)}), p), "no faces"),
        (lambda s, p: (with_leaves(s, {"meshes/Ball/faces": np.full((1, 3), 10**6, np.int32)}), p), "vertices that do not exist"),
        (lambda s, p: (replace(s, meshes={"Ball": replace(s.meshes["Ball"], uvs=None)}), p), "no UV map"),
    ],
)
def test_impossible_jobs_are_refused_with_a_sentence(change, words):
    cameras = ring(2, (16, 16))
    photos = [Photo(name, np.zeros((16, 16, 3), np.float32), np.ones((16, 16), np.float32)) for name in cameras]
    with pytest.raises(JobError, match=words):
        make_problem(*change(sphere_scene(cameras), photos), FitSettings())


def test_a_fit_that_runs_away_ends_with_a_reason(monkeypatch):
    cameras = ring(2, (32, 32))
    photos = photograph(sphere_scene(cameras, TRUTH, painted()))
    problem = make_problem(sphere_scene(cameras), photos, FitSettings(quality="draft"))
    monkeypatch.setattr(type(problem), "rate", lambda self, parameter, value: 1e4)
    with pytest.raises(JobError) as caught:
        for _ in Fit(problem).run():
            pass
    assert caught.value.code == "diverged"
    assert "Stiffness" in caught.value.hint


def test_a_step_into_nowhere_is_taken_back(monkeypatch):
    photos = photograph(sphere_scene(ring(2, (48, 48)), TRUTH, segments=12, rings=8))
    true_loss, calls = fit_module.view_loss, iter(range(10**6))

    def loss_with_one_bad_gradient(out, target, stage):
        bad = next(calls) == 20
        return true_loss(out, target, stage) + ((out.alpha - out.alpha.detach()).sum().sqrt() if bad else 0.0)

    monkeypatch.setattr(fit_module, "view_loss", loss_with_one_bad_gradient)
    start = sphere_scene(ring(2, (48, 48)), (0.8, 0.8, 0.8), segments=12, rings=8)
    _, fitted = run(start, photos, FitSettings(quality="draft"))
    assert next(calls) > 21
    assert iou(fitted, photos) > 0.95
