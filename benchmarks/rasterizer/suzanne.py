"""Blender's monkey head as arrays. As a program it writes them into the file that its argument names."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .problem import bumpy, geodesic_sphere

ROOT = Path(__file__).parents[2]


def target() -> tuple[str, np.ndarray, np.ndarray]:
    """Name, positions and faces of what is fitted: Suzanne, or a bumpy sphere where there is no bpy.

    bpy runs in another process, because here it could not share an LLVM with Mitsuba.
    """
    if not find_spec("bpy"):
        positions, faces = geodesic_sphere(40)
        return "bumpy sphere (no bpy for Suzanne)", bumpy(positions) * 1.4, faces
    with TemporaryDirectory() as folder:
        path = Path(folder) / "suzanne.npz"
        subprocess.run([sys.executable, "-m", __name__, path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        with np.load(path) as arrays:
            return "Suzanne", arrays["positions"], arrays["faces"]


def main(path: Path) -> None:
    """Adds the monkey to an empty scene and saves its triangles."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add(size=2)
    mesh = bpy.context.object.data
    mesh.calc_loop_triangles()
    np.savez(path, positions=[v.co[:] for v in mesh.vertices], faces=[t.vertices[:] for t in mesh.loop_triangles])
    os._exit(0)  # with bpy loaded, Python's own exit can hang


if __name__ == "__main__":
    main(Path(sys.argv[1]))
