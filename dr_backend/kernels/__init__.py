"""Running Warp kernels, on a processor with all its cores or on CUDA; the kernels themselves live in the rooms that need them.

There are no atomic operations in them: every number has one owner, and sums are taken in a fixed order, so that the result is the same
for any number of threads. (To Warp ``a[i] += x`` is an atomic operation, ``a[i] = a[i] + x`` is none.)
"""
