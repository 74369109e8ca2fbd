"""The rasterizer as Warp kernels: one source for processors and CUDA, adjoints written by hand, the same result for any number of threads.

Each kernel's slow twin in torch operations is the file of ``dr_backend/raster`` with the same name.
"""
