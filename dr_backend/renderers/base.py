"""The protocol between the fit and whatever turns a flat scene into images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..scene import Camera


@dataclass(frozen=True)
class RenderOutput:
    """One view. Colours are linear and premultiplied by alpha, over black."""

    rgb: Float[Tensor, "H W 3"]
    alpha: Float[Tensor, "H W"]  # coverage: 1 inside, fractions at silhouettes
    face_id: Int[Tensor, "H W"]  # index into FlatScene.faces, -1 where nothing is seen
    depth: Float[Tensor, "H W"]  # distance along the view axis in world units; infinite where nothing is seen


@dataclass(frozen=True)
class Capabilities:
    """What a renderer can do, for ``problem.py`` and the report."""

    name: str
    devices: tuple[str, ...]
    soft: bool  # silhouettes are blurred: long reach, but no sharp edges
    summary: str


class Renderer(Protocol):
    """Maps a flat scene and cameras to images, with gradients for positions, normals, textures and cameras."""

    capabilities: Capabilities

    def render(self, scene: FlatScene, cameras: Sequence[Camera], *, color: bool = True) -> list[RenderOutput]:
        """One output per camera; ``color=False`` skips shading and leaves ``rgb`` zero."""
        ...

    def plan(self, scene: FlatScene, cameras: Sequence[Camera]) -> int:
        """Bytes that a forward and backward pass over these views will need at its peak."""
        ...


RendererFactory = Callable[[str, int], Renderer]  # device, and threads on a processor that one call may use
