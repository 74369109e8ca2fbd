"""Modules that work only where Warp does; without them torch does the same more slowly."""

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor


@cache
def _module(name: str) -> ModuleType | None:
    try:
        return import_module(f"..{name}", __package__)
    except ImportError:
        return None


def kernels(name: str, numbers: Tensor) -> ModuleType | None:
    """A module of kernels by its name in the backend; ``None`` without Warp, and for numbers that its kernels do not take."""
    return _module(name) if numbers.dtype == torch.float32 and numbers.numel() else None
