"""The renderers there are; each is imported when it is made, so that a missing package matters only to its user."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from .base import Renderer, RendererFactory


def _reference(device: str) -> Renderer:
    from .reference import ReferenceRenderer

    return ReferenceRenderer(device)


def _pytorch3d(device: str) -> Renderer:
    from .pytorch3d import PyTorch3DRenderer

    return PyTorch3DRenderer(device)


RENDERERS: dict[str, RendererFactory] = {"reference": _reference, "pytorch3d": _pytorch3d}


def available() -> dict[str, str | None]:
    """For each renderer ``None`` if it can run here, otherwise a sentence that says why not."""
    missing = "PyTorch3D is not installed. The reference renderer does without it; on an NVIDIA GPU install the extra 'pytorch3d'."
    return {"reference": None, "pytorch3d": None if find_spec("pytorch3d") else missing}


def make(name: str, device: str) -> Renderer:
    """The renderer called ``name`` on ``device``.

    Raises:
        ValueError: There is no such renderer, or it cannot run here.
    """
    if name not in RENDERERS:
        raise ValueError(f"There is no renderer '{name}'. Choose one of: auto, {', '.join(RENDERERS)}.")
    if reason := available()[name]:
        raise ValueError(reason)
    return RENDERERS[name](device)


def choose(name: str, device: str) -> tuple[Renderer, str]:
    """A renderer and a sentence why it was taken. ``auto`` takes PyTorch3D on a GPU where it is installed, otherwise reference.

    Raises:
        ValueError: There is no such renderer, or it cannot run here.
    """
    if name != "auto":
        return make(name, device), f"The renderer '{name}' was asked for."
    if torch.device(device).type != "cuda":
        return make("reference", device), "The reference renderer was taken: the fit runs on the processor, where it is the fastest."
    if reason := available()["pytorch3d"]:
        return make("reference", device), f"The reference renderer was taken. {reason}"
    return make("pytorch3d", device), "PyTorch3D was taken: it is installed and the fit runs on a GPU."
