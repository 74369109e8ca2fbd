"""The GGX microfacet lobe: density, shadowing, sampling, and how much of the light it keeps."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.normals import unit
from . import patterns

MIN_ALPHA = 1e-3  # below, highlights of points and suns would be brighter than float32 can sum up
TABLE = 24  # entries of the tables along roughness and cosine
IOR_STEP = 0.02  # between the tables of dielectrics


def density(alpha: Tensor, cosine: Tensor) -> Tensor:
    """D: microfacets per solid angle whose normal has this cosine to the surface normal (Walter et al. 2007, eq. 33)."""
    squared = alpha * alpha
    return squared / (math.pi * (cosine * cosine * (squared - 1.0) + 1.0).square())


def hidden(alpha: Tensor, cosine: Tensor) -> Tensor:
    """Smith's Λ in a direction of this cosine to the normal (Heitz 2014, "Understanding the masking-shadowing function", eq. 72)."""
    squared = (cosine * cosine).clamp_min(1e-8)
    return 0.5 * ((1.0 + alpha * alpha * (1.0 / squared - 1.0)).sqrt() - 1.0)


def sample_half(alpha: Float[Tensor, "P 1"], view: Float[Tensor, "P 3"], spots: Float[Tensor, "S 2"]) -> Float[Tensor, "P S 3"]:
    """Microfacet normals that a viewer sees, in the frame whose z is the surface normal; ``spots`` are points of the unit disk.

    Heitz 2018, "Sampling the GGX distribution of visible normals". Gradients: exact for roughness and view.
    """
    stretched = unit(torch.cat([alpha * view[:, :2], view[:, 2:]], dim=1))
    flat = stretched[:, :2].square().sum(1, keepdim=True)
    level = flat < 1e-12
    across = torch.where(level, stretched.new_tensor([1.0, 0.0]), stretched[:, [1, 0]] * stretched.new_tensor([-1.0, 1.0]))
    first = torch.cat([across * torch.where(level, 1.0, flat).rsqrt(), torch.zeros_like(flat)], dim=1)
    second = torch.linalg.cross(stretched, first)
    tilt = 0.5 * (1.0 + stretched[:, 2:])
    x = spots[:, 0].expand(len(view), -1)
    y = (1.0 - tilt) * (1.0 - x * x).clamp_min(0.0).sqrt() + tilt * spots[:, 1]
    z = (1.0 - x * x - y * y).clamp_min(1e-9).sqrt()
    half = x[..., None] * first[:, None] + y[..., None] * second[:, None] + z[..., None] * stretched[:, None]
    return unit(torch.cat([alpha[:, None] * half[..., :2], half[..., 2:].clamp_min(1e-6)], dim=-1))


def fresnel_dielectric(cosine: Tensor, ior: Tensor) -> Tensor:
    """Share of unpolarised light that a smooth dielectric reflects at this cosine of incidence. Gradients: exact for both."""
    inside = (ior * ior - 1.0 + cosine * cosine).clamp_min(1e-9).sqrt()
    parallel = (inside - ior * ior * cosine) / (inside + ior * ior * cosine)
    straight = (cosine - inside) / (cosine + inside)
    return 0.5 * (parallel.square() + straight.square())


@lru_cache(maxsize=1)
def _directions() -> tuple[Tensor, Tensor]:
    """For every roughness and cosine of the tables: the share that a perfect mirror's single bounces keep along sampled directions, and
    the cosine at which they meet their microfacets."""
    steps = torch.linspace(0.0, 1.0, TABLE, dtype=torch.float64)
    rough, cosine = (grid.reshape(-1, 1) for grid in torch.meshgrid(steps, steps.clamp_min(1e-3), indexing="ij"))
    alpha = (rough * rough).clamp_min(MIN_ALPHA)
    view = torch.cat([(1.0 - cosine * cosine).clamp_min(0.0).sqrt(), torch.zeros_like(cosine), cosine], dim=1)
    half = sample_half(alpha, view, patterns.disk(1024))
    meeting = torch.einsum("psk,pk->ps", half, view).clamp_min(0.0)
    leaving = 2.0 * meeting * half[..., 2] - view[:, 2:]
    kept = (1.0 + hidden(alpha, cosine)) / (1.0 + hidden(alpha, cosine) + hidden(alpha, leaving)) * (leaving > 0)
    return kept, meeting


@lru_cache(maxsize=1)
def _mirror() -> Float[Tensor, "R C"]:
    """Share of light that single bounces on perfect mirrors keep, by roughness and cosine to the viewer."""
    return _directions()[0].mean(1).view(TABLE, TABLE).float()


@lru_cache(maxsize=64)
def _dielectric(step: int) -> tuple[Float[Tensor, "R C"], float]:
    """The same of a dielectric whose IOR is ``step`` steps above 1, and its smooth surface's share averaged over the hemisphere."""
    ior = torch.tensor(1.0 + step * IOR_STEP, dtype=torch.float64)
    kept, meeting = _directions()
    cosine = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    mean = (2.0 * cosine * fresnel_dielectric(cosine, ior)).mean()
    return (kept * fresnel_dielectric(meeting, ior)).mean(1).view(TABLE, TABLE).float(), float(mean)


def _lookup(table: Float[Tensor, "R C"], rough: Float[Tensor, "P 1"], cosine: Float[Tensor, "P 1"]) -> Float[Tensor, "P 1"]:
    """Bilinear lookup at roughness and cosine in 0..1. Gradients: exact for both coordinates."""
    grid = torch.cat([cosine, rough], dim=1).view(1, -1, 1, 2) * 2.0 - 1.0
    found = torch.nn.functional.grid_sample(table.to(rough)[None, None], grid, align_corners=True, padding_mode="border")
    return found.view(-1, 1)


def mirror_share(rough: Float[Tensor, "P 1"], cosine: Float[Tensor, "P 1"]) -> tuple[Tensor, Tensor]:
    """Share of light that single bounces on perfect mirrors keep, and the same averaged over directions. Gradients: exact."""
    steps = torch.linspace(0.0, 1.0, TABLE)
    average = torch.trapezoid(2.0 * _mirror() * steps, steps, dim=1)[:, None].expand(-1, 2)
    return _lookup(_mirror(), rough, cosine), _lookup(average, rough, torch.zeros_like(rough))


def coat_share(rough: Float[Tensor, "P 1"], cosine: Float[Tensor, "P 1"], ior: Tensor) -> tuple[Tensor, Tensor]:
    """Share of light that single bounces on a dielectric keep, and a smooth one's average over the hemisphere.

    Gradients: exact for roughness, cosine and IOR, between which and the tables everything is linear.
    """
    steps = (ior - 1.0).clamp_min(0.0) / IOR_STEP
    low = int(steps.detach())
    share = steps - low
    (table, mean), (next_table, next_mean) = _dielectric(low), _dielectric(low + 1)
    found, following = _lookup(table, rough, cosine), _lookup(next_table, rough, cosine)
    return found + share * (following - found), mean + share * (next_mean - mean)
