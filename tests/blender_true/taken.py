"""A fixture as a Blender has it: built, read by the add-on and rendered by Cycles. No torch, so that any Blender can do it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dr_backend.scene import Scene, from_structure, leaves, structure


@dataclass(frozen=True)
class Taken:
    """What our picture is made of, and what it is compared with."""

    scene: Scene
    camera: str
    cycles: np.ndarray  # (H, W, 4)
    warnings: list[str]  # of the reader


def save_taken(path: Path, taken: Taken) -> None:
    """Writes ``path``.npz and ``path``.json."""
    values = {f"leaf {key}": value for key, value in leaves(taken.scene).items()}
    np.savez(path.with_name(path.name + ".npz"), cycles=taken.cycles, **values)
    said = {"structure": structure(taken.scene), "camera": taken.camera, "warnings": taken.warnings}
    path.with_name(path.name + ".json").write_text(json.dumps(said), "utf-8")


def load_taken(path: Path) -> Taken:
    """The inverse of ``save_taken``."""
    said = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
    with np.load(path.with_name(path.name + ".npz"), allow_pickle=False) as arrays:
        values = {key.removeprefix("leaf "): arrays[key] for key in arrays.files if key != "cycles"}
        return Taken(from_structure(said["structure"], values), said["camera"], arrays["cycles"], said["warnings"])
