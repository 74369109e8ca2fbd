"""Loops in C++ over several things at once."""

from __future__ import annotations

# Before a loop: eight pixels at a time, the last ones too, since most rows of a face are short.
VECTORIZED = """
#pragma clang loop vectorize(enable) vectorize_width(8) interleave_count(1) vectorize_predicate(enable)
"""

# How many pixels, or rows, are worth being computed at once, by loops of just that length.
LANES = """
#if defined(__CUDA_ARCH__)
const int lanes = 1;
#else
const int lanes = 8;
#endif
"""

# The number of the lowest bit that is set.
LOWEST = """
#if defined(__CUDA_ARCH__)
const auto lowest = [](unsigned long long bits) { return __ffsll((long long)bits) - 1; };
#else
const auto lowest = [](unsigned long long bits) { return __builtin_ctzll(bits); };
#endif
"""

# Has what lies at an address brought into the cache, for later.
FETCH = """
#if defined(__CUDA_ARCH__)
const auto fetch = [](const void*) {};
#else
const auto fetch = [](const void* address) { __builtin_prefetch(address); };
#endif
"""
