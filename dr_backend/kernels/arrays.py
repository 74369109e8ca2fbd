"""Tensors as arguments of kernels."""

from __future__ import annotations

import struct

import torch
import warp as wp
from torch import Tensor

WORD = 4  # bytes of most numbers

# mypy does not know that a kernel's annotations are Warp's
Floats, Ints, Longs, Vec2s, Vec3s, Vec4s = (wp.array(dtype=kind) for kind in (wp.float32, wp.int32, wp.int64, wp.vec2, wp.vec3, wp.vec4))

Descriptor = type(wp.from_torch(torch.empty(1), return_ctype=True))  # how Warp hands arrays to kernels
_describe = struct.Struct("QQ4i4iHH4x").pack  # the same as bytes: data, gradient, shape, strides, dimensions, flags
# Empty ones have strides too, or Warp takes its slower code for strided arrays.
_EMPTY = {width: _describe(0, 0, 0, 0, 0, 0, WORD * width, 0, 0, 0, 1, 0) for width in (1, 2, 3, 4)}


def array(tensor: Tensor | None, width: int = 1) -> bytes:
    """A contiguous tensor as an argument of a kernel: a list of numbers, or of vectors of ``width`` numbers. ``None`` is an empty one.

    Nothing is copied: the caller keeps the tensor alive while the kernel runs. Warp's own conversion does the same in ten times the time.
    """
    if tensor is None:
        return _EMPTY[width]
    if not tensor.is_contiguous():
        raise ValueError("Kernels read contiguous tensors only.")
    return _describe(tensor.data_ptr(), 0, tensor.numel() // width, 0, 0, 0, tensor.element_size() * width, 0, 0, 0, 1, 0)
