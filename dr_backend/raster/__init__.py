"""The rasterizer, one operation per file, in torch operations that run on any device."""
