"""The job folder: how a scene, its photos, the settings and the result lie on disk.

In: ``job.json``, ``scene.npz`` (one array per leaf path), ``photos/0.npz`` and so on. Out: ``preview.npz``, ``checkpoint.npz``,
``result.npz`` and, last, ``result.json``: whoever finds that file finds a whole result.
Every file is written under a temporary name and moved into place; arrays are read with ``allow_pickle=False``.
"""

import errno
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..language import told
from ..scene import Photo, Scene, from_structure, leaves, structure
from .events import PROTOCOL_VERSION, JobError
from .settings import FitSettings


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JobError(
                "disk_full", told("The disk is full: cannot write {path}", path=path), told("Free some space or choose another job folder")
            ) from error
        raise JobError(
            "cannot_write",
            told("Cannot write {path}: {reason}", path=path, reason=error.strerror or error),
            told("Check the job folder's permissions"),
        ) from error


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with _disk_errors(path):
        try:
            with open(temporary, "wb") as file:
                fill(file)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _fill_archive(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """What ``numpy.savez`` writes; that leaves its archive open where the disk is full, and Python then complains on the terminal."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise JobError(
            "bad_job", told("{path} cannot be read: {reason}", path=path.name, reason=error), told("Run Fit to Photo again")
        ) from error


class JobFolder:
    """A job on disk. Nothing is read or written outside ``path``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def save(self, scene: Scene, photos: Sequence[Photo], settings: FitSettings) -> None:
        """Writes the input side; creates the folder.

        Raises:
            JobError: The disk is full or not writable.
        """
        with _disk_errors(self.path):
            (self.path / "photos").mkdir(parents=True, exist_ok=True)
        arrays = {path: np.asarray(value) for path, value in leaves(scene).items()}
        self.save_arrays("scene.npz", arrays)
        for index, photo in enumerate(photos):
            images = {"rgb": np.asarray(photo.rgb, np.float16)}
            if photo.mask is not None:
                images["mask"] = np.asarray(photo.mask, np.float16)
            self.save_arrays(f"photos/{index}.npz", images)
        job = {
            "protocol": PROTOCOL_VERSION,
            "settings": settings.to_json(),
            "scene": structure(scene),
            "leaves": {path: {"dtype": str(a.dtype), "shape": list(a.shape)} for path, a in arrays.items()},
            "photos": [{"camera": p.camera, "held_out": p.held_out} for p in photos],
        }
        self.save_json("job.json", job)

    def load(self) -> tuple[Scene, list[Photo], FitSettings]:
        """Reads the input side, as NumPy.

        Raises:
            JobError: A file is missing or damaged, or another major version of the protocol wrote it.
        """
        job = self.load_json("job.json")
        version = str(job.get("protocol", "?"))
        if version.split(".")[0] != PROTOCOL_VERSION.split(".")[0]:
            raise JobError(
                "bad_job",
                told("This job speaks protocol {version}, this backend {ours}", version=version, ours=PROTOCOL_VERSION),
                told("Update the add-on and its backend to the same version"),
            )
        arrays = _load_arrays(self.path / "scene.npz")
        for path, spec in job.get("leaves", {}).items():
            found = arrays.get(path)
            if found is None or list(found.shape) != spec["shape"] or str(found.dtype) != spec["dtype"]:
                raise JobError(
                    "bad_job", told("scene.npz does not hold '{path}' as job.json describes it", path=path), told("Run Fit to Photo again")
                )
        try:
            scene = from_structure(job["scene"], arrays)
            settings = FitSettings.from_json(job.get("settings", {}))
            photos = [self._load_photo(index, entry) for index, entry in enumerate(job["photos"])]
            for name, camera in scene.cameras.items():
                if len(camera.size) != 2 or not all(isinstance(side, int) and side > 0 for side in camera.size):
                    raise ValueError(f"camera '{name}' has the size {camera.size}, not a width and a height")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise JobError("bad_job", told("job.json is not a job: {reason}", reason=error), told("Run Fit to Photo again")) from error
        return scene, photos, settings

    def _load_photo(self, index: int, entry: dict[str, Any]) -> Photo:
        images = _load_arrays(self.path / "photos" / f"{index}.npz")
        mask = images["mask"].astype(np.float32) if "mask" in images else None
        return Photo(entry["camera"], images["rgb"].astype(np.float32), mask, bool(entry.get("held_out", False)))

    def save_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Writes an ``.npz`` keyed by leaf path."""
        _write(self.path / name, lambda file: _fill_archive(file, arrays))

    def save_json(self, name: str, data: dict[str, Any]) -> None:
        """Writes strict JSON (no NaN)."""
        text = json.dumps(data, indent=1, allow_nan=False)
        _write(self.path / name, lambda file: file.write(text.encode()))

    def load_json(self, name: str) -> dict[str, Any]:
        """Reads a JSON object.

        Raises:
            JobError: The file is missing or is not a JSON object.
        """
        try:
            data = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise JobError(
                "bad_job", told("{path} cannot be read: {reason}", path=self.path / name, reason=error), told("Run Fit to Photo again")
            ) from error
        if not isinstance(data, dict):
            raise JobError("bad_job", told("{path} is not a JSON object", path=self.path / name), told("Run Fit to Photo again"))
        return data

    def save_result(self, values: dict[str, np.ndarray], summary: dict[str, Any]) -> None:
        """Writes fitted leaves, then the summary that commits them."""
        self.save_arrays("result.npz", values)
        self.save_json("result.json", summary)

    def load_result(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Fitted leaves by path and the summary; None without a whole result."""
        if not (self.path / "result.json").exists():
            return None
        return _load_arrays(self.path / "result.npz"), self.load_json("result.json")

    def save_preview(self, values: dict[str, np.ndarray]) -> None:
        """Shows the parent where the fit is."""
        self.save_arrays("preview.npz", values)

    def save_look(self, render: np.ndarray) -> None:
        """Shows the parent how one camera sees the fit, (H, W, 4): linear, premultiplied."""
        self.save_arrays("look.npz", {"render": render})

    def load_look(self) -> np.ndarray | None:
        """The last such picture; None without one."""
        path = self.path / "look.npz"
        return _load_arrays(path)["render"] if path.exists() else None

    def load_preview(self) -> dict[str, np.ndarray] | None:
        """Leaves of the last preview; None without one."""
        path = self.path / "preview.npz"
        return _load_arrays(path) if path.exists() else None

    def save_checkpoint(self, values: dict[str, np.ndarray], stage: int = 0) -> None:
        """Keeps the best leaves so far and the stage they are of, so that a crash costs seconds and the fit can be resumed."""
        self.save_arrays("checkpoint.npz", values)
        self.save_json("checkpoint.json", {"stage": stage})

    def load_checkpoint(self) -> dict[str, np.ndarray] | None:
        """Leaves of the last checkpoint; None without one."""
        path = self.path / "checkpoint.npz"
        return _load_arrays(path) if path.exists() else None

    def load_checkpoint_stage(self) -> int:
        """Index of the stage that the last checkpoint is of; 0 without one."""
        if not (self.path / "checkpoint.json").exists():
            return 0
        stage = self.load_json("checkpoint.json").get("stage")
        if not isinstance(stage, int) or stage < 0:
            raise JobError(
                "bad_job",
                told("checkpoint.json names no stage: {stage!r}", stage=stage),
                told("Discard this fit and run Fit to Photo again"),
            )
        return stage

    def is_done(self) -> bool:
        """Whether a run came to its end, rather than being stopped or killed."""
        return (self.path / "result.json").exists() and self.load_json("result.json").get("status") == "done"

    def discard_result(self) -> None:
        """Takes an earlier result away, mark first, before the job runs again."""
        for name in ("result.json", "result.npz"):
            (self.path / name).unlink(missing_ok=True)
