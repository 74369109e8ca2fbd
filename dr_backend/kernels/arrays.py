"""Tensors as arguments of kernels."""

from __future__ import annotations

import struct
from typing import Any

import torch
import warp as wp
from torch import Tensor

WORD = 4  # bytes of most numbers

# mypy does not know that a kernel's annotations are Warp's
Floats, Ints, Longs, Bytes = (wp.array(dtype=kind) for kind in (wp.float32, wp.int32, wp.int64, wp.int8))
Vec2s, Vec3s, Vec4s = (wp.array(dtype=kind) for kind in (wp.vec2, wp.vec3, wp.vec4))

Descriptor = type(wp.from_torch(torch.empty(1), return_ctype=True))  # how Warp hands arrays to kernels
LAYOUT = "Q8xi12xi12xH6x"  # the same as bytes: data, length, stride and number of dimensions are not zero in ours
_TORCH = {wp.float32: torch.float32, wp.int32: torch.int32, wp.int64: torch.int64, wp.int8: torch.int8, wp.uint8: torch.uint8}
Kind = tuple[int, torch.dtype, int]  # of an array: numbers in each element, their type, and bytes of an element


def kind_of(parameter: Any) -> Kind | None:
    """What a kernel's parameter takes; ``None`` if it takes no array."""
    if not isinstance(parameter, wp.array):
        return None
    width = getattr(parameter.dtype, "_length_", 1)
    numbers = _TORCH[parameter.dtype if width == 1 else parameter.dtype._wp_scalar_type_]
    return width, numbers, width * numbers.itemsize


def fields_of(tensor: Tensor | None, kind: Kind) -> tuple[int, ...]:
    """A contiguous tensor as a list of numbers, or of vectors, in the order of ``LAYOUT``. ``None`` is an empty one.

    Nothing is copied. Warp's own conversion does the same in ten times the time. Empty ones have strides too, or Warp takes its slower code
    for strided arrays.

    Raises:
        TypeError: The tensor holds other numbers.
        ValueError: It is not contiguous.
    """
    width, numbers, stride = kind
    if tensor is None:
        return 0, 0, stride, 1
    if tensor.dtype is not numbers:
        raise TypeError(f"A kernel takes {numbers} here, not {tensor.dtype}.")
    if not tensor.is_contiguous():
        raise ValueError("Kernels read contiguous tensors only.")
    return tensor.data_ptr(), tensor.numel() // width, stride, 1


def descriptor(tensor: Tensor | None, kind: Kind) -> Any:
    """The same as Warp takes it."""
    return Descriptor.from_buffer_copy(struct.pack("=" + LAYOUT, *fields_of(tensor, kind)))
