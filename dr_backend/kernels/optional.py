"""Kernels that do what torch does too, only faster: a fit runs without them where Warp is missing.

They are for processors. On a GPU torch's own operations are many, but short.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

_NAMES = ("geometry.normal_kernels", "losses.photometric_kernels", "parameterizations.pyramid_kernels")


@cache
def _modules() -> dict[str, ModuleType]:
    """All at once: Warp compiles them together, and would do so again when another is added."""
    try:
        return {name: import_module(f"..{name}", __package__) for name in _NAMES}
    except ImportError:
        return {}


def kernels(name: str, numbers: Tensor) -> ModuleType | None:
    """A module of kernels by its name in the backend; ``None`` without Warp, and for numbers that its kernels do not take."""
    fits = numbers.device.type == "cpu" and numbers.dtype == torch.float32 and numbers.numel() > 0
    return _modules().get(name) if fits else None


def load_kernels(device: torch.device) -> None:
    """Compiles all kernels, or takes them from Warp's cache, a renderer's for a ``device``: a first fit then has not to wait for that."""
    if _modules():
        from .launch import BASIS, CUTS, FITTING, GRAPHICS, LAMPS, PLACES, load

        load(device, [*BASIS, CUTS, LAMPS, PLACES] + [GRAPHICS] * (device.type != "cpu"))
        load(torch.device("cpu"), [FITTING])
