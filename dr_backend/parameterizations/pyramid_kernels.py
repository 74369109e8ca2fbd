"""The sum of coarse and fine images, and its sigmoid, as Warp kernels: what ``pyramid`` does with torch, in one walk per level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..kernels.arrays import Floats
from ..kernels.launch import Launch, Launcher, fit_kernel, fitting_launcher


# A fine row lies between two coarse ones, a fine column between two coarse columns: at 1/8, 3/8, 5/8 and 7/8 of the way, four to each.
@wp.func_native("""
const auto sigmoid = [](float value) {  // its exponential function is Cephes' expf
    const float x = value > 80.0f ? -80.0f : (value < -80.0f ? 80.0f : -value), turns = x * 1.44269504f;
    const int power = (int)(turns + (turns < 0.0f ? -0.5f : 0.5f));
    const float whole = (float)power, f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * f + 1.3981999507e-3f;
    sum = sum * f + 8.3334519073e-3f;
    sum = sum * f + 4.1665795894e-2f;
    sum = sum * f + 1.6666665459e-1f;
    sum = sum * f + 5.0000001201e-1f;
    union { int bits; float value; } scale;
    scale.bits = (power + 127) << 23;
    return 1.0f / (1.0f + scale.value * (sum * f * f + f + 1.0f));
};
for (int y = begin; y < stop; ++y) {
    const int over = (y + 2) / 4 - 1, step = (y + 2) % 4;
    const int upper = over < 0 ? 0 : over, lower = over + 1 < high ? over + 1 : high - 1;
    const float *above = coarse.data + 3 * rough * upper, *under = coarse.data + 3 * rough * lower;
    const float down = 0.25f * ((float)step + 0.5f);
    const float* const own = fine.data + 3 * width * y;
    float* const out = total.data + 3 * width * y;
    float last[3], next[3];
    for (int k = 0; k < 3; ++k) next[k] = above[k] + down * (under[k] - above[k]);
    for (int column = -1; column < rough; ++column) {  // between this column and the next one
        for (int k = 0; k < 3; ++k) last[k] = next[k];
        if (column + 1 < rough)
            for (int k = 0; k < 3; ++k) {
                const float over_it = above[3 * (column + 1) + k];
                next[k] = over_it + down * (under[3 * (column + 1) + k] - over_it);
            }
        const int x = 4 * column + 2;
        const auto put = [&](int n) {
            for (int k = 0; k < 3; ++k)
                out[3 * (x + n) + k] = own[3 * (x + n) + k] + (last[k] + 0.25f * ((float)n + 0.5f) * (next[k] - last[k]));
        };
        if (x >= 0 && x + 4 <= width) for (int n = 0; n < 4; ++n) put(n);  // without a question for each
        else for (int n = 0; n < 4; ++n) if (x + n >= 0 && x + n < width) put(n);
    }
    if (squash)
        for (int n = 0; n < 3 * width; ++n) out[n] = sigmoid(out[n]);
}
""")
def add_rows(begin: int, stop: int, coarse: Floats, high: int, rough: int, fine: Floats, width: int, squash: int, total: Floats):
    """Some rows of a fine image plus a coarse one of ``high`` times ``rough`` texels, enlarged; its sigmoid with ``squash``."""
    ...


@fit_kernel
def _add(first: int, chunk: int, coarse: Floats, high: int, rough: int, fine: Floats, height: int, width: int, squash: int, total: Floats):
    """The owner is a chunk of rows."""
    begin = (first + wp.tid()) * chunk
    add_rows(begin, wp.min(begin + chunk, height), coarse, high, rough, fine, width, squash, total)


@wp.func_native("for (int n = begin; n < stop; ++n) by_sum.data[n] = by_value.data[n] * value.data[n] * (1.0f - value.data[n]);")
def unsquash_part(begin: int, stop: int, value: Floats, by_value: Floats, by_sum: Floats):
    """The gradient for what the sigmoid was taken of."""
    ...


@fit_kernel
def _unsquash(first: int, chunk: int, value: Floats, by_value: Floats, by_sum: Floats):
    """The owner is a chunk of numbers."""
    begin = (first + wp.tid()) * chunk
    unsquash_part(begin, wp.min(begin + chunk, value.shape[0]), value, by_value, by_sum)


@wp.func_native("""
const int block = 16;  // coarse texels whose fine ones are summed at once
const auto weight = [](int n, int place, int size) {  // of the n-th of the eight fine rows or columns that reach a coarse one
    if (n < 4) return place == 0 ? 1.0f : 0.25f * ((float)n + 0.5f);
    return place == size - 1 ? 1.0f : 1.0f - 0.25f * ((float)(n - 4) + 0.5f);
};
for (int row = begin; row < stop; ++row) {
    for (int column = 0; column < rough; column += block) {
        const int count = rough - column < block ? rough - column : block, left = 4 * column - 2, size = 4 * count + 4;
        const int from = left < 0 ? -left : 0, to = left + size > width ? width - left : size;
        float sums[3 * (4 * block + 4)] = {};
        for (int n = 0; n < 8; ++n) {
            const int y = 4 * row - 2 + n;
            if (y < 0 || y >= height) continue;
            const float share = weight(n, row, high);
            const float* const line = by_fine.data + 3 * (width * y + left);
            for (int k = 3 * from; k < 3 * to; ++k) sums[k] += share * line[k];
        }
        float shares[8];
        for (int c = 0; c < count; ++c) {
            float asked[3] = {};
            for (int n = 0; n < 8; ++n) shares[n] = weight(n, column + c, rough);
            for (int n = 0; n < 8; ++n)
                for (int k = 0; k < 3; ++k) asked[k] += shares[n] * sums[3 * (4 * c + n) + k];
            for (int k = 0; k < 3; ++k) by_coarse.data[3 * (row * rough + column + c) + k] = asked[k];
        }
    }
}
""")
def collect_rows(begin: int, stop: int, by_fine: Floats, height: int, width: int, high: int, rough: int, by_coarse: Floats):
    """The adjoint of the enlargement: what some rows of a coarse image are asked."""
    ...


@fit_kernel
def _gather_rows(first: int, chunk: int, by_fine: Floats, height: int, width: int, high: int, rough: int, by_coarse: Floats):
    """The owner is a chunk of rows of the coarse image."""
    begin = (first + wp.tid()) * chunk
    collect_rows(begin, wp.min(begin + chunk, high), by_fine, height, width, high, rough, by_coarse)


class _Sum(Function):
    """The sum of all levels, and its sigmoid."""

    @staticmethod
    def forward(ctx: Any, squash: bool, *levels: Tensor) -> Tensor:
        launcher, stages = fitting_launcher(), []
        levels = tuple(level.contiguous() for level in levels)
        totals = [levels[-1]]
        for level in reversed(levels[:-1]):
            (high, rough), (height, width) = totals[-1].shape[:2], level.shape[:2]
            total = torch.empty_like(level)
            last = int(squash and level is levels[0])
            owners, chunk = launcher.chunks(height, 1)
            items = height * width // 2
            stages.append([Launch(_add, owners, chunk, totals[-1], high, rough, level, height, width, last, total, items=items)])
            totals.append(total)
        launcher.run(*stages)
        value = totals[-1]
        if len(levels) == 1:
            value = value.sigmoid() if squash else value.clone()
        ctx.squash, ctx.sizes, ctx.launcher = squash, [level.shape for level in levels], launcher
        ctx.save_for_backward(value)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor | None, ...]:
        launcher: Launcher = ctx.launcher
        (value,) = ctx.saved_tensors
        by_value = by_value.contiguous()
        found, stages = [by_value], []
        if ctx.squash:
            found = [torch.empty_like(value)]
            owners, chunk = launcher.chunks(value.numel(), 1)
            stages.append([Launch(_unsquash, owners, chunk, value, by_value, found[0], items=value.numel() // 16)])
        for (height, width, _), (high, rough, depth) in zip(ctx.sizes, ctx.sizes[1:], strict=False):
            by_coarse = value.new_empty(high, rough, depth)
            owners, chunk = launcher.chunks(high, 1)
            items = height * width // 4
            stages.append([Launch(_gather_rows, owners, chunk, found[-1], height, width, high, rough, by_coarse, items=items)])
            found.append(by_coarse)
        launcher.run(*stages)
        return (None, *found)


def summed(levels: Sequence[Float[Tensor, "_ _ 3"]], *, squash: bool) -> Float[Tensor, "H W 3"]:
    """The levels of a pyramid, finest first, enlarged and summed; the sigmoid of that with ``squash``. Gradient: exact."""
    return _Sum.apply(squash, *levels)
