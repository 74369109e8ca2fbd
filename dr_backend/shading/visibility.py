"""Shadows: which samples of a lamp or of the sky each surface point sees, by ray queries against all meshes that cast them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.topology import Topology

try:
    import warp as wp

    from . import rays
except ImportError as error:
    NO_SHADOWS = f"Shadows are left out, because Warp cannot be loaded ({error}). Install 'warp-lang', or turn off the lights' shadows."
else:
    NO_SHADOWS = ""

KEPT_BYTES = 512 * 2**20  # of answers that may be asked for again
MARGIN = 2e-5  # of the scene's size: how far rays start from their surface


@dataclass(frozen=True)
class Points:
    """Where rays start: all constants."""

    positions: Float[Tensor, "P 3"]
    outward: Float[Tensor, "P 3"]  # geometric normal on the viewer's side
    normals: Float[Tensor, "P 3"]  # that the surface is shaded with
    lifts: Float[Tensor, "P 3"]  # see ``lift``


def lift(
    positions: Float[Tensor, "P 3"], corners: Float[Tensor, "P 3 3"], normals: Float[Tensor, "P 3 3"], barycentric: Float[Tensor, "P 3"]
) -> Float[Tensor, "P 3"]:
    """From points on facets to the smooth surface that the corner normals suggest; zero where the facet is flat or hollow.

    Without it facets shadow their neighbours in steps (Hanika 2021, "Hacking the shadow terminator", Ray Tracing Gems II, chapter 4).
    """
    depth = ((positions[:, None] - corners) * normals).sum(-1).clamp_max(0.0)
    return -(barycentric * depth)[:, None].bmm(normals).squeeze(1)


class Shadows:
    """The meshes of one topology that cast shadows, and the last answers. Safe to ask from several threads."""

    def __init__(self, topology: Topology) -> None:
        wp.init()
        self._faces = topology.faces[topology.casts_shadow]
        self._lock = threading.Lock()
        self._positions: Tensor | None = None
        self._mesh: Any = None
        self._margin = 0.0
        self._answers: deque[tuple[str, list[Tensor], Tensor]] = deque()

    def _follow(self, positions: Tensor) -> None:
        """Brings the mesh to these positions; what was answered before is forgotten if they moved."""
        if self._positions is not None and self._positions.device == positions.device and torch.equal(self._positions, positions):
            return
        self._answers.clear()
        self._positions = positions.detach().float().clone().contiguous()
        points = wp.from_torch(self._positions, dtype=wp.vec3)
        with _torchs_stream(positions.device):
            if self._mesh is None:
                self._mesh = wp.Mesh(points, wp.from_torch(self._faces.to(torch.int32).reshape(-1).contiguous()))
            else:
                self._mesh.points = points  # Warp refits its boxes
        low, high = self._positions.aminmax(dim=0)
        self._margin = MARGIN * float((high - low).norm())

    def visible(
        self,
        scene: FlatScene,
        points: Points,
        kind: str,
        source: Sequence[Tensor],
        directions: Float[Tensor, "N S 3"],
        distances: Float[Tensor, "N S"],
    ) -> Float[Tensor, "P S"]:
        """1 where nothing stands between a point and a sample, else 0; also 0 below the shaded surface.

        ``directions`` and ``distances`` have one row per point, or a single one for all; they follow from ``kind``,
        ``source`` and the points.
        Constant for the gradient. An answer is kept until positions move, and given again to the same question.
        """
        question = [points.positions, points.outward, points.normals, points.lifts, *(t.detach() for t in source)]
        with self._lock:
            self._follow(scene.positions.detach())
            for of, asked, answer in self._answers:
                if of == kind and len(asked) == len(question) and all(torch.equal(a, b) for a, b in zip(asked, question, strict=True)):
                    return answer.to(points.positions.dtype)
        answer = self._cast(points, directions.detach(), distances.detach())
        with self._lock:
            self._answers.append((kind, question, answer))
            while len(self._answers) > 1 and sum(_bytes(*entry[1:]) for entry in self._answers) > KEPT_BYTES:
                self._answers.popleft()
        return answer.to(points.positions.dtype)

    def cast(
        self, scene: FlatScene, points: Points, directions: Float[Tensor, "N S 3"], distances: Float[Tensor, "N S"]
    ) -> Float[Tensor, "P S"]:
        """``visible`` for a question that is asked only once."""
        with self._lock:
            self._follow(scene.positions.detach())
        return self._cast(points, directions.detach(), distances.detach()).to(points.positions.dtype)

    def _cast(self, points: Points, directions: Tensor, distances: Tensor) -> Tensor:
        count, samples = len(points.positions), directions.shape[1]
        answer = torch.zeros(count, samples, dtype=torch.uint8, device=points.positions.device)
        starts = (points.positions, points.outward, points.normals, points.lifts, directions.reshape(-1, 3))
        vectors = [wp.from_torch(v.float().contiguous(), dtype=wp.vec3) for v in starts]
        reach = wp.from_torch(distances.float().contiguous().reshape(-1))
        inputs = [self._mesh.id, *vectors, reach, samples, int(len(directions) == 1), self._margin, wp.from_torch(answer.view(-1))]
        with _torchs_stream(answer.device):
            wp.launch(rays.cast, count * samples, inputs, device=wp.device_from_torch(answer.device))
        return answer


def _torchs_stream(device: torch.device) -> AbstractContextManager[Any]:
    """Makes Warp work in order with torch on a GPU."""
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device))) if device.type == "cuda" else nullcontext()


def _bytes(question: list[Tensor], answer: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in question) + answer.numel()


_SHADOWS: WeakKeyDictionary[Topology, Shadows] = WeakKeyDictionary()
_SHADOWS_LOCK = threading.Lock()


def shadows_of(scene: FlatScene) -> Shadows | None:
    """Shadows of the scene; None where nothing casts any, or where Warp is missing (``NO_SHADOWS`` says so)."""
    if NO_SHADOWS or not scene.topology.any_shadow:
        return None
    with _SHADOWS_LOCK:
        if scene.topology not in _SHADOWS:
            _SHADOWS[scene.topology] = Shadows(scene.topology)
        return _SHADOWS[scene.topology]
