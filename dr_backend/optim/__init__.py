"""Optimizers that torch does not have."""

from .adam_uniform import AdamUniform

__all__ = ["AdamUniform"]
