"""The rasterizer as Warp kernels: one source for processors and CUDA, adjoints written by hand, the same result for any number of threads.

Each kernel's slow twin in torch operations is the file of ``dr_backend/raster`` with the same name. There are no atomic operations: every
number has one owner, and sums are taken in a fixed order. (To Warp ``a[i] += x`` is an atomic operation, ``a[i] = a[i] + x`` is none.)
"""
