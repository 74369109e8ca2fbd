"""Optimizers: Adam, and a kind of it that torch does not have."""

from .adam import Adam
from .adam_uniform import AdamUniform

__all__ = ["Adam", "AdamUniform"]
