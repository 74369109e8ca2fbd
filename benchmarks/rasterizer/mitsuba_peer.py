"""Mitsuba 3 as a peer: its own arrays from end to end, nothing of torch in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from dr_backend.scene import Camera

from .peers import THREADS, Pass, Peer
from .problem import Case, Problem

VARIANT = "llvm_ad_rgb"
SAMPLES = 4
INTEGRATORS: dict[str, dict[str, Any]] = {
    # The surface shines by itself with the colour of its texture, so that light need not be sampled; as it comes the integrator does.
    "Mitsuba direct": {"type": "direct"},
    "Mitsuba direct, no light": {"type": "direct", "emitter_samples": 0, "bsdf_samples": 1},
    "Mitsuba direct_projective": {"type": "direct_projective", "sppc": SAMPLES, "sppp": SAMPLES, "sppi": 0},
}
PROBE = f"""
import mitsuba, drjit
mitsuba.set_variant({VARIANT!r})
drjit.eval(mitsuba.render(mitsuba.load_dict(mitsuba.cornell_box()), spp=1))
drjit.sync_thread()
"""


def find_mitsuba() -> tuple[list[Peer], str | None]:
    """All integrators, or none and a sentence why. Asked in another process: with an unfit libLLVM Mitsuba ends the one it is in."""
    if not find_spec("mitsuba"):
        return [], "Mitsuba is left out: install the extra 'peers'."
    if subprocess.run([sys.executable, "-c", PROBE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        place = os.environ.get("DRJIT_LIBLLVM_PATH")
        tried = f"the one at {place}" if place else "the one it found by itself"
        return [], f"Mitsuba is left out: it does not run with {tried}. Set DRJIT_LIBLLVM_PATH to a libLLVM 19 (see docs/benchmarks.md)."
    return [Peer(name, _prepare(settings), _takes(name)) for name, settings in INTEGRATORS.items()], None


def _takes(name: str) -> Callable[[Case, str], bool]:
    limit = 1024**2 if name == "Mitsuba direct, no light" else 512**2
    return lambda case, device: case.task == "textured" and case.views * case.size**2 <= limit


def _prepare(settings: dict[str, Any]) -> Callable[[Problem, str], Pass]:
    return lambda problem, device: MitsubaPass(problem, settings)


class MitsubaPass:
    """Renders each view, sums the weighted pixels and differentiates for positions and texture."""

    def __init__(self, problem: Problem, integrator: dict[str, Any]) -> None:
        import drjit
        import mitsuba

        mitsuba.set_variant(VARIANT)
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
        drjit.set_thread_count(THREADS)
        self._drjit, self._mitsuba, self._problem = drjit, mitsuba, problem
        sensors = {f"sensor{index}": self._sensor(camera) for index, camera in enumerate(problem.cameras)}
        self._scene = mitsuba.load_dict({"type": "scene", "integrator": integrator, "shape": self._mesh(), **sensors})
        self._parameters = mitsuba.traverse(self._scene)
        self._positions = mitsuba.Float(self._parameters["shape.vertex_positions"])
        self._texture = mitsuba.TensorXf(self._parameters["shape.emitter.radiance.data"])
        self._weights = mitsuba.TensorXf(problem.weights.astype(np.float32))
        self._seed = 0
        drjit.eval(self._positions, self._texture, self._weights)

    def _mesh(self) -> Any:
        """The surface with one vertex for each texture coordinate, shining with its texture's colour and reflecting nothing."""
        problem, mitsuba = self._problem, self._mitsuba
        # Latitude belongs to the vertex, so longitude tells the two sides of the seam apart.
        key = problem.faces.reshape(-1) * 2**22 + np.round(problem.uvs[..., 0].reshape(-1) * 2**21).astype(np.int64)
        _, first, merged = np.unique(key, return_index=True, return_inverse=True)
        texture = {"type": "bitmap", "bitmap": mitsuba.Bitmap(problem.image.astype(np.float32)), "raw": True, "wrap_mode": "clamp"}
        properties = mitsuba.Properties()
        properties["emitter"] = mitsuba.load_dict({"type": "area", "radiance": texture})
        properties["bsdf"] = mitsuba.load_dict({"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}})
        properties["face_normals"] = True
        mesh = mitsuba.Mesh("sphere", len(first), len(problem.faces), has_vertex_texcoords=True, props=properties)
        values = mitsuba.traverse(mesh)
        values["vertex_positions"] = self._floats(problem.positions[problem.faces.reshape(-1)[first]])
        values["vertex_texcoords"] = self._floats(problem.uvs.reshape(-1, 2)[first] * [1, -1] + [0, 1])
        values["faces"] = mitsuba.UInt32(merged.reshape(-1).astype(np.uint32))
        values.update()
        return mesh

    def _floats(self, array: np.ndarray) -> Any:
        return self._mitsuba.Float(np.ascontiguousarray(array, dtype=np.float32).reshape(-1))

    def _sensor(self, camera: Camera) -> dict[str, Any]:
        """Mitsuba's camera looks along +z with x to the left; ours looks along -z with x to the right."""
        width, height = camera.size
        world_from_camera = np.linalg.inv(np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.camera_from_world)
        return {
            "type": "perspective",
            "fov": float(np.degrees(2 * np.arctan(width / 2 / camera.focal_px[0]))),
            "near_clip": camera.near,
            "to_world": self._mitsuba.ScalarTransform4f(world_from_camera),
            "film": {
                "type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"},
                "pixel_format": "rgb", "component_format": "float32", "sample_border": False,
            },
            "sampler": {"type": "independent"},
        }  # fmt: skip

    def __call__(self) -> None:
        drjit, mitsuba, parameters = self._drjit, self._mitsuba, self._parameters
        positions, texture = mitsuba.Float(self._positions), mitsuba.TensorXf(self._texture)
        drjit.enable_grad(positions, texture)
        parameters["shape.vertex_positions"] = positions
        for view in range(len(self._problem.cameras)):
            parameters["shape.emitter.radiance.data"] = texture  # again for each view: a backward pass cuts the texture off
            parameters.update()
            self._seed += 1
            image = mitsuba.render(self._scene, parameters, sensor=view, spp=SAMPLES, seed=self._seed)
            drjit.backward(drjit.sum(image * self._weights))
        drjit.eval(drjit.grad(positions), drjit.grad(texture))
        drjit.sync_thread()

    def picture(self) -> np.ndarray:
        views = range(len(self._problem.cameras))
        return np.stack([np.array(self._mitsuba.render(self._scene, sensor=view, spp=SAMPLES)) for view in views])
