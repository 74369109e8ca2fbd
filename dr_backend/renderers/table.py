"""The renderers there are; each is imported when it is made, so that a missing package matters only to its user."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch

from ..language import told
from .base import Renderer, RendererFactory


def _reference(device: str, threads: int) -> Renderer:
    from .reference import ReferenceRenderer

    return ReferenceRenderer(device)


def _native(device: str, threads: int) -> Renderer:
    from .native import NativeRenderer

    return NativeRenderer(device, threads=threads)


def _pytorch3d(device: str, threads: int) -> Renderer:
    from .pytorch3d import PyTorch3DRenderer

    return PyTorch3DRenderer(device)


RENDERERS: dict[str, RendererFactory] = {"native": _native, "reference": _reference, "pytorch3d": _pytorch3d}


@cache
def _warp() -> str | None:
    """``None`` if Warp works, otherwise a sentence: it is compiled code, and loads or not by platform."""
    if find_spec("warp") is None:
        return told("Warp is not installed. The reference renderer does without it, several times slower; Set Up Backend installs it.")
    try:
        import warp

        warp.config.log_level = warp.LOG_ERROR
        warp.init()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return told("Warp does not load here ({reason}). The reference renderer does without it, several times slower.", reason=error)
    return None


def available() -> dict[str, str | None]:
    """For each renderer ``None`` if it can run here, otherwise a sentence that says why not."""
    missing = told("PyTorch3D is not installed. The other renderers do without it; on an NVIDIA GPU install the extra 'pytorch3d'.")
    return {"native": _warp(), "reference": None, "pytorch3d": None if find_spec("pytorch3d") else missing}


def make(name: str, device: str, threads: int | None = None) -> Renderer:
    """The renderer called ``name`` on ``device``; one call uses up to ``threads`` threads of a processor, all cores by default.

    Raises:
        ValueError: There is no such renderer, or it cannot run here.
    """
    if name not in RENDERERS:
        raise ValueError(told("There is no renderer '{name}'. Choose one of: auto, {names}.", name=name, names=", ".join(RENDERERS)))
    if reason := available()[name]:
        raise ValueError(reason)
    return RENDERERS[name](device, threads or os.cpu_count() or 1)


def choose(name: str, device: str, *, coarse: bool = False, see_through: bool = False, threads: int | None = None) -> tuple[Renderer, str]:
    """A renderer (see ``make``) and a sentence why it was taken.

    ``auto`` takes native; in a coarse stage on a GPU PyTorch3D, whose blurred outlines attract from far away, unless a surface is
    ``see_through``; reference where Warp does not load.

    Raises:
        ValueError: There is no such renderer, it cannot run here, or it cannot show a scene that is ``see_through``.
    """
    if name == "pytorch3d" and see_through:
        raise ValueError(told("A material has alpha, and PyTorch3D sees through nothing. Choose the renderer Auto, or set Alpha to 1."))
    if name != "auto":
        return make(name, device, threads), told("The renderer '{name}' was asked for.", name=name)
    missing = available()
    if coarse and not see_through and torch.device(device).type == "cuda" and missing["pytorch3d"] is None:
        return make("pytorch3d", device, threads), told("PyTorch3D was taken: far from the photos its blurred outlines attract the mesh.")
    if missing["native"] is None:
        return make("native", device, threads), told("Native was taken: it is the fastest, and its outlines are sharp.")
    return make("reference", device, threads), told("The reference renderer was taken. {reason}", reason=missing["native"])
