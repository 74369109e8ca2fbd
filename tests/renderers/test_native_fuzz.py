"""500 random scenes that no artist would make: the native renderer neither crashes nor hangs, and every number stays finite.

They run in a process of their own, for a crash would take pytest with it; ``python -m tests.renderers.test_native_fuzz 17`` runs seed 17.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dr_backend.geometry import flatten, to_tensors
from dr_backend.renderers.native import NativeRenderer
from dr_backend.renderers.reference import ReferenceRenderer
from dr_backend.scene import Camera, Light, Material, Mesh, Scene, World, leaves
from tests.renderers.parity import body, bumpy, rendered, scene_of

SEEDS = 500
LIMIT_S = 240
ROOT = Path(__file__).parents[2]
MOVED = ("positions", "base_color_image", "base_color", "camera_from_world", "focal_px", "centre_px")
Random = np.random.Generator


def soup(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Triangles anywhere."""
    count = int(random.integers(3, 30))
    return random.normal(size=(count, 3)), random.integers(0, count, (int(random.integers(1, 60)), 3))


def slivers(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of hardly any area, and of none."""
    positions, faces = soup(random)
    positions = positions[:, :1] * random.normal(size=3) + 10.0 ** -random.uniform(2, 12) * positions
    return positions, faces


def coincident(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """A body twice in the same place, once turned inside out, with vertices that lie on each other."""
    positions, faces = bumpy(1, int(random.integers(1000)))
    positions[random.integers(0, len(positions), 9)] = positions[0]
    return positions, np.concatenate([faces, faces[:, ::-1], faces[::3]])


def gridded(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Vertices exactly on pixel centres and borders, edges along rows and columns of pixels, whole faces edge-on."""
    return random.integers(-4, 5, (20, 3)) * 0.125, random.integers(0, 20, (40, 3))


def broken_body(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """A body with some vertices far away or behind the camera, and faces that repeat a vertex."""
    positions, faces = bumpy(2, int(random.integers(1000)))
    lost = random.integers(0, len(positions), 8)
    positions[lost] *= 10.0 ** random.uniform(0, 5, (8, 1))
    faces[::13, 1] = faces[::13, 0]
    return positions, faces


MAKERS = (soup, slivers, coincident, gridded, broken_body)


def mesh_of(random: Random) -> Mesh:
    positions, faces = MAKERS[random.integers(len(MAKERS))](random)
    matrix = np.eye(4)
    matrix[:3, :3] *= random.choice([1.0, 1.0, 1e6, 1e-6, 30.0, -1.0])
    matrix[:3, 3] = random.choice([0.0, 0.0, 3.0, 1e3, 1e7]) * random.normal(size=3)
    uvs = None if random.random() < 0.2 else random.normal(size=(len(faces), 3, 2)) * random.choice([0.0, 1.0, 30.0, -1e4, 1e9])
    materials = ("image", "other")[: int(random.integers(0, 3))]
    smooth = random.random(len(faces)) < 0.5
    return Mesh(positions, faces, matrix, uvs, smooth, random.integers(0, 2, len(faces)), materials)


def camera_of(random: Random) -> Camera:
    matrix = np.eye(4)
    if random.random() < 0.5:
        matrix[:3, :3] = np.linalg.qr(random.normal(size=(3, 3)))[0]
    matrix[2, 3] = -random.choice([0.0, 0.5, 3.0, 3.0, 3.0, 1e3, -2.0])
    size = tuple(int(side) for side in random.integers(1, 65, 2))
    focal = max(size) * random.choice([0.01, 1.0, 1.0, 1.0, 100.0, 1e4]) * random.uniform(0.8, 1.2, 2)
    centre = np.array(size) / 2 + random.choice([0.0, 0.0, 1.0, 1e4]) * random.normal(size=2)
    projection, near = str(random.choice(["perspective", "orthographic"])), float(random.choice([1e-6, 0.01, 1, 100]))
    return Camera(matrix, focal, centre, size, projection, near)


def material_of(random: Random) -> Material:
    image = random.random((*random.integers(1, 40, 2), 3)) if random.random() < 0.8 else None
    return Material(
        random.random(3), image, str(random.choice(["repeat", "extend", "clip", "mirror"])), str(random.choice(["linear", "closest"])),
        bool(random.random() < 0.3), uv_matrix=random.normal(size=(2, 3)) if random.random() < 0.3 else None,
        backface_culling=bool(random.random() < 0.3),
    )


def anything(seed: int) -> tuple[Scene, bool]:
    """A scene, and whether it is rendered in colour."""
    random = np.random.default_rng(seed)
    scene = Scene(
        {f"view {i}": camera_of(random) for i in range(random.integers(1, 4))},
        {f"mesh {i}": mesh_of(random) for i in range(random.integers(1, 3))},
        {name: material_of(random) for name in ("image", "other")},
        {"sun": Light(np.eye(4), np.ones(3), np.array(2.0), "sun", casts_shadow=False)} if random.random() < 0.15 else {},
        World(np.full(3, 0.3)) if random.random() < 0.1 else None,
    )
    return scene, random.random() < 0.75


def faults(seed: int, renderer: NativeRenderer) -> list[str]:
    """What is wrong with the images and gradients of a seed's scene."""
    scene, color = anything(seed)
    outputs, gradients = rendered(renderer, scene, color=color, moved=MOVED)
    again, gradients_again = rendered(renderer, scene, color=color, moved=MOVED)  # by a recipe, where there is one
    same = all(torch.equal(*pair) for pair in zip(gradients.values(), gradients_again.values(), strict=True))
    for mine, other in zip(outputs, again, strict=True):
        same &= torch.equal(mine.rgb, other.rgb) and torch.equal(mine.depth, other.depth)
    found = [] if same else ["the second time something else was seen"]
    found += [f"the gradient of {path} is not finite" for path, gradient in gradients.items() if not torch.isfinite(gradient).all()]
    for out, name in zip(outputs, scene.cameras, strict=True):
        shown = out.face_id >= 0
        if not torch.isfinite(out.rgb).all():
            found.append(f"colours of {name} are not finite")
        if not bool(((out.alpha > -1e-5) & (out.alpha < 1 + 1e-5)).all()):
            found.append(f"coverage of {name} is not within 0..1")
        if not torch.equal(torch.isfinite(out.depth), shown):
            found.append(f"depths of {name} are not finite where a face is seen, or are elsewhere")
        if int(out.face_id.max()) >= sum(len(mesh.faces) for mesh in scene.meshes.values()):
            found.append(f"{name} shows faces that there are not")
    return found


def main(seeds: list[int]) -> None:
    """Prints each seed before it runs, and behind it what is wrong."""
    torch.set_num_threads(1)
    renderers = NativeRenderer(threads=1), NativeRenderer(threads=2)
    for seed in seeds:
        print(f"\nseed {seed}:", end=" ", flush=True)
        print("; ".join(faults(seed, renderers[seed % 2])), end="", flush=True)


def test_random_scenes_stay_finite():
    command = [sys.executable, "-m", "tests.renderers.test_native_fuzz", *map(str, range(SEEDS))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, complaint = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, complaint = process.communicate()
            pytest.fail(f"still at '{said.splitlines()[-1]}' after {LIMIT_S} s\n{complaint[-2000:]}")
    lines = [line.rstrip() for line in said.strip().splitlines()]
    assert process.returncode == 0, f"ended at '{lines[-1:]}' with {process.returncode}\n{complaint[-3000:]}"
    assert [line for line in lines if not line.endswith(":")] == []
    assert len(lines) == SEEDS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["positions", "camera_from_world", "focal_px", "centre_px"])
def test_numbers_that_are_not_finite_are_refused(field, value):
    scene = to_tensors(scene_of(body()))
    path = next(path for path in leaves(scene) if path.endswith(field))
    leaves(scene)[path].view(-1)[0] = value
    for renderer in (NativeRenderer(threads=1), NativeRenderer(threads=2), ReferenceRenderer()):
        with pytest.raises(ValueError, match="not a number"):
            renderer.render(flatten(scene), list(scene.cameras.values()), color=False)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
