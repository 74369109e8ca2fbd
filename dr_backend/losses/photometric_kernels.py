"""The photometric loss as a Warp kernel: sum and slope in one walk over both images."""

from __future__ import annotations

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor

from ..kernels.arrays import Floats
from ..kernels.launch import Launch, fit_kernel, fitting_launcher


@wp.func_native("""
const int lanes = 16;
float sums[lanes] = {};  // several, so that many numbers can be added at once
for (int start = begin; start < stop; start += lanes) {
    const int count = stop - start < lanes ? stop - start : lanes;
    for (int n = 0; n < count; ++n) {
        const float step = image.data[start + n] - photo.data[start + n], root = wp::sqrt(scale * scale + step * step);
        slope.data[start + n] = step / root;
        sums[n] += root - scale;
    }
}
float total = 0.0f;
for (int n = 0; n < lanes; ++n) total += sums[n];
return total;
""")
def compare_part(begin: int, stop: int, scale: float, image: Floats, photo: Floats, slope: Floats) -> float:
    """The sum of some numbers' Charbonnier distances, and the derivative of each."""
    ...


@fit_kernel
def _differ(first: int, chunk: int, scale: float, image: Floats, photo: Floats, slope: Floats, sums: Floats):
    """The owner is a chunk of numbers."""
    part = first + wp.tid()
    sums[part] = compare_part(part * chunk, wp.min((part + 1) * chunk, slope.shape[0]), scale, image, photo, slope)


def charbonnier(
    image: Float[Tensor, "H W 3"], photo: Float[Tensor, "H W 3"], scale: float
) -> tuple[Float[Tensor, ""], Float[Tensor, "H W 3"]]:
    """The sum of √(scale² + d²) - scale over all differences d, and its derivative for each number of the image."""
    launcher = fitting_launcher()
    image, photo = image.contiguous(), photo.contiguous()
    owners, chunk = launcher.chunks(image.numel(), 1)
    slope, sums = torch.empty_like(image), image.new_empty(owners)
    launcher.run([Launch(_differ, owners, chunk, scale, image, photo, slope, sums, items=image.numel() // 4)])
    return sums.double().sum().float(), slope
