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

from ..geometry.flatten import FlatOpacity, FlatScene
from ..geometry.topology import Topology
from ..language import told
from .opacity import opacity_at, see_through_faces

try:
    import warp as wp

    from ..kernels.launch import Launch, shared_launcher
    from . import rays
except ImportError as error:
    NO_SHADOWS = told(
        "Shadows are left out, because Warp cannot be loaded ({reason}). Install 'warp-lang', or turn off the lights' shadows.",
        reason=error,
    )
else:
    NO_SHADOWS = ""

KEPT_BYTES = 512 * 2**20  # of answers that may be asked for again
MARGIN = 2e-5  # of the scene's size: how far rays start from their surface
MAX_PASSED = 8  # see-through surfaces that light passes, as Cycles has it unless it is told otherwise; none beyond them is met
RAYS_AT_ONCE = 1 << 20  # that are followed through see-through surfaces: about 100 MB
DARK = 1e-3  # share of light that is followed no further


def load_rays(device: torch.device) -> None:
    """Compiles the ray queries for a device, or takes them from Warp's cache: the first shadow then has not to wait for that."""
    if not NO_SHADOWS:
        wp.load_module(rays.MODULE, device="cpu" if device.type == "cpu" else f"cuda:{device.index or 0}")


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
    """The meshes of one topology that cast shadows, and the last answers. Safe to ask from several threads.

    ``see_through`` marks faces (F,) of materials that may let light through.
    """

    def __init__(self, topology: Topology, see_through: Tensor | None = None) -> None:
        load_rays(topology.faces.device)  # threads that ask first, at once, would each load them over the others
        solid = topology.casts_shadow if see_through is None else topology.casts_shadow & ~see_through
        self._faces = topology.faces[solid] if bool(solid.any()) else topology.faces[:1, :1].expand(1, 3)  # a point, which no ray meets
        self._clear = torch.nonzero(topology.casts_shadow & ~solid).squeeze(1)
        self._clear_faces = topology.faces[self._clear]
        self._clear_mesh: Any = None
        self._lock = threading.Lock()
        self._launcher = shared_launcher(topology.faces.device)
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
            self._mesh = _moved(self._mesh, self._faces, points)
            if len(self._clear):
                self._clear_mesh = _moved(self._clear_mesh, self._clear_faces, points)
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
        """1 where nothing stands between a point and a sample, else 0; also 0 below the shaded surface. See-through surfaces let their
        part of the light pass.

        ``directions`` and ``distances`` have one row per point, or a single one for all; they follow from ``kind``,
        ``source`` and the points.
        Constant for the gradient. An answer is kept until positions move, and given again to the same question.
        """
        question = [points.positions, points.outward, points.normals, points.lifts, *(t.detach() for t in source)]
        if len(self._clear):
            question += [t.detach() for m in scene.materials if m.opacity is not None for t in (m.opacity.alpha, _texels(m.opacity))]
        with self._lock:
            self._follow(scene.positions.detach())
            for of, asked, answer in self._answers:
                if of == kind and len(asked) == len(question) and all(torch.equal(a, b) for a, b in zip(asked, question, strict=True)):
                    return answer.to(points.positions.dtype)
        answer = self._cast(scene, points, directions.detach(), distances.detach())
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
        return self._cast(scene, points, directions.detach(), distances.detach()).to(points.positions.dtype)

    @torch.no_grad()
    def _cast(self, scene: FlatScene, points: Points, directions: Tensor, distances: Tensor) -> Tensor:
        answer = self._free(self._mesh, points, directions, distances)
        if not len(self._clear):
            return answer
        shaded = torch.nonzero((answer > self._free(self._clear_mesh, points, directions, distances)).view(-1)).squeeze(1)
        result = answer.float()
        for rays_at_once in shaded.split(RAYS_AT_ONCE):
            self._dim(scene, points, directions, distances, rays_at_once, result)
        return result

    def _free(self, mesh: Any, points: Points, directions: Tensor, distances: Tensor) -> Tensor:
        """1 for rays (P, S) that meet nothing of the mesh."""
        count, samples = len(points.positions), directions.shape[1]
        answer = torch.zeros(count, samples, dtype=torch.uint8, device=points.positions.device)
        starts = (points.positions, points.outward, points.normals, points.lifts, directions.reshape(-1, 3))
        vectors, reach = [v.float().contiguous() for v in starts], distances.float().contiguous()
        with _torchs_stream(answer.device):
            shared = int(len(directions) == 1)
            self._launcher.run([Launch(rays.cast, count * samples, mesh.id, *vectors, reach, samples, shared, self._margin, answer)])
        return answer

    def _dim(self, scene: FlatScene, points: Points, directions: Tensor, distances: Tensor, ray: Tensor, result: Tensor) -> None:
        """Multiplies these rays' results by what the see-through surfaces on their way let pass."""
        point, sample = torch.div(ray, result.shape[1], rounding_mode="floor"), ray % result.shape[1]
        row = point if len(directions) > 1 else torch.zeros_like(point)
        toward, reach = directions[row, sample].float(), distances.expand(len(directions), -1)[row, sample].float() - 2.0 * self._margin
        side = (points.outward[point] * toward).sum(1, keepdim=True)  # from here on as in ``rays.cast``
        start = points.positions[point] + points.outward[point] * torch.where(side < 0, -self._margin, self._margin)
        start = (start + points.lifts[point] * (1.0 - side * 10.0).clamp(0.0, 1.0)).float()
        for _ in range(MAX_PASSED):
            face, weights, distance = self._meet(start, toward, reach)
            met = torch.nonzero(face >= 0).squeeze(1)
            if not len(met):
                break
            ray = ray[met]
            passing = 1.0 - opacity_at(scene, self._clear[face[met].long()], weights[met].to(scene.positions.dtype)).float()
            left = result.view(-1)[ray] * passing
            result.view(-1)[ray] = left
            kept = left > DARK
            step = (distance[met] + self._margin)[kept]
            ray, toward = ray[kept], toward[met][kept]
            start, reach = start[met][kept] + toward * step[:, None], reach[met][kept] - step

    def _meet(self, start: Tensor, toward: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first see-through face on each ray's way, -1 for none, barycentric coordinates on it, and the distance."""
        face = torch.empty(len(start), dtype=torch.int32, device=start.device)
        weights, distance = torch.empty_like(start), torch.empty_like(reach)
        start, toward, reach = start.contiguous(), toward.contiguous(), reach.contiguous()
        with _torchs_stream(start.device):
            self._launcher.run([Launch(rays.meet, len(start), self._clear_mesh.id, start, toward, reach, face, weights, distance)])
        return face, weights, distance


def _moved(mesh: Any, faces: Tensor, points: Any) -> Any:
    """The mesh of these faces with its points there; made where there is none yet."""
    if mesh is None:
        return wp.Mesh(points, wp.from_torch(faces.to(torch.int32).reshape(-1).contiguous()))
    mesh.points = points  # Warp refits its boxes
    return mesh


def _texels(opacity: FlatOpacity) -> Tensor:
    return opacity.alpha if opacity.texture is None else opacity.texture.image


def _torchs_stream(device: torch.device) -> AbstractContextManager[Any]:
    """Makes Warp work in order with torch on a GPU."""
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device))) if device.type == "cuda" else nullcontext()


def _bytes(question: list[Tensor], answer: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in (*question, answer))


_SHADOWS: WeakKeyDictionary[Topology, Shadows] = WeakKeyDictionary()
_SHADOWS_LOCK = threading.Lock()


def shadows_of(scene: FlatScene) -> Shadows | None:
    """Shadows of the scene; None where nothing casts any, or where Warp is missing (``NO_SHADOWS`` says so)."""
    if NO_SHADOWS or not scene.topology.any_shadow:
        return None
    with _SHADOWS_LOCK:
        if scene.topology not in _SHADOWS:
            _SHADOWS[scene.topology] = Shadows(scene.topology, see_through_faces(scene))
        return _SHADOWS[scene.topology]
