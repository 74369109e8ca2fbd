"""Differentiable rasterizers against each other: ``python -m benchmarks.rasterizer``."""
