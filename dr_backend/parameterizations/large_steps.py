"""Vertex positions seen through a Laplacian, so that a gradient at one vertex moves its whole neighbourhood.

Nicolet, Jacobson, Jakob, "Large Steps in Inverse Rendering of Geometry", SIGGRAPH Asia 2021: latents ``u = (I + λL) x``
(equation 10), with the combinatorial Laplacian ``L`` of the triangle mesh.
"""

from typing import Any

import torch
from cholespy import CholeskySolverF, MatrixType
from jaxtyping import Float, Int
from torch import Tensor


class _Solve(torch.autograd.Function):
    """``x = M⁻¹ u``. M is symmetric, so the gradient of u is ``M⁻¹`` times the gradient of x: exact."""

    @staticmethod
    def forward(ctx: Any, solver: CholeskySolverF, u: Tensor) -> Tensor:
        ctx.solver = solver
        x = torch.empty_like(u)
        solver.solve(u.contiguous(), x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        out = torch.empty_like(grad)
        ctx.solver.solve(grad.contiguous(), out)
        return None, out


class LargeSteps:
    """Positions ↔ ``(I + λL)`` positions. Vertices without faces keep themselves to themselves."""

    def __init__(self, faces: Int[Tensor, "F 3"], vertex_count: int, smoothing: float) -> None:
        device = faces.device
        halves = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        halves = halves[halves[:, 0] != halves[:, 1]]
        both = torch.cat([halves, halves.flip(1)])
        keys = (both[:, 0] * vertex_count + both[:, 1]).unique()  # as pairs it would take twenty times as long
        edges = torch.stack([keys // vertex_count, keys % vertex_count], 1)
        degree = torch.bincount(edges[:, 0], minlength=vertex_count)
        diagonal = torch.arange(vertex_count, device=device)
        rows = torch.cat([diagonal, edges[:, 0]])
        columns = torch.cat([diagonal, edges[:, 1]])
        values = torch.cat([1 + smoothing * degree.double(), torch.full((len(edges),), -smoothing, dtype=torch.float64, device=device)])
        self._solver = CholeskySolverF(vertex_count, rows, columns, values, MatrixType.COO)
        self._diagonal = 1 + smoothing * degree.double()[:, None]
        self._edges, self._smoothing = edges, smoothing

    def to_latents(self, value: Float[Tensor, "V 3"]) -> list[Tensor]:
        """``(I + λL) value``, computed in float64."""
        exact = value.detach().double()
        neighbours = torch.zeros_like(exact).index_add_(0, self._edges[:, 0], exact[self._edges[:, 1]])
        return [(self._diagonal * exact - self._smoothing * neighbours).to(value.dtype)]

    def to_value(self, latents: list[Tensor]) -> Float[Tensor, "V 3"]:
        """Positions in the mesh's space."""
        return _Solve.apply(self._solver, latents[0])

    @torch.no_grad()
    def to_leaf(self, latents: list[Tensor]) -> Float[Tensor, "V 3"]:
        """The same, detached."""
        return self.to_value(latents)
