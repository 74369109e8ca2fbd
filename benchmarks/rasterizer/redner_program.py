"""What redner does in a process of its own, under the old Python that its last release is for: passes when it is asked for them.

    python3.7 redner_program.py PROBLEM.npz

Each line of its input is answered by one of its output: ``pass`` when a forward and backward pass is done, ``picture FILE.npy`` when
what it sees is in that file. It imports nothing of ours.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pyredner
import torch

SAMPLES = 4


class Pass:
    """Renders the albedo of each view, sums the weighted pixels and differentiates for positions and texture."""

    def __init__(self, problem: Mapping[str, np.ndarray]) -> None:
        pyredner.set_use_gpu(False)
        pyredner.set_print_timing(False)
        tensors = {name: torch.from_numpy(problem[name].astype(np.float32)) for name in ("positions", "uvs", "image", "weights")}
        self.positions, self.image = tensors["positions"].requires_grad_(), tensors["image"].requires_grad_()
        self.weights = tensors["weights"]
        self.faces = torch.from_numpy(problem["faces"].astype(np.int32))
        self.corners = torch.arange(3 * len(self.faces), dtype=torch.int32).view(-1, 3)
        self.uvs = (tensors["uvs"].reshape(-1, 2) * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])).contiguous()
        matrices, focal_px, size = problem["camera_from_world"], problem["focal_px"], tuple(self.weights.shape[:2])
        self.cameras = [self._camera(matrix, focal_px[index], size) for index, matrix in enumerate(matrices)]
        self.seed = 0

    @staticmethod
    def _camera(matrix: np.ndarray, focal_px: np.ndarray, size: tuple[int, ...]) -> pyredner.Camera:
        """Matrices would have to be mirrored; what they mean need not be."""
        rotation = matrix[:3, :3]
        place, back, up = -rotation.T @ matrix[:3, 3], rotation[2], rotation[1]
        place, ahead, up = (torch.from_numpy(value.astype(np.float32)) for value in (place, place - back, up))
        fov = torch.tensor([math.degrees(2 * math.atan(size[1] / 2 / focal_px[0]))])
        return pyredner.Camera(position=place, look_at=ahead, up=up, fov=fov, clip_near=0.01, resolution=size)

    def images(self) -> Iterator[torch.Tensor]:
        """What each view sees."""
        material = pyredner.Material(diffuse_reflectance=pyredner.Texture(self.image))
        surface = pyredner.Object(self.positions, self.faces, material, uvs=self.uvs, uv_indices=self.corners)
        for camera in self.cameras:
            self.seed += 1
            scene = pyredner.Scene(camera=camera, objects=[surface])
            yield pyredner.render_albedo(scene, num_samples=(SAMPLES, SAMPLES), seed=self.seed)

    def __call__(self) -> None:
        self.positions.grad = self.image.grad = None
        images = list(self.images())
        torch.autograd.backward(images, [self.weights] * len(images))


def main() -> None:
    """Answers until the input ends."""
    run = Pass(np.load(sys.argv[1]))
    for line in sys.stdin:
        what, _, path = line.strip().partition(" ")
        if what == "pass":
            run()
        else:
            with torch.no_grad():
                np.save(path, torch.stack(list(run.images())).numpy())
        print("done", flush=True)


if __name__ == "__main__":
    main()
