"""How much of a picture's detail is a regular pattern of the kind that upsampling leaves behind.

Odena, Dumoulin, Olah: "Deconvolution and Checkerboard Artifacts", Distill 2016. It shows in untrained networks already.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pattern_share(x: Tensor, axes: int = 2, period: int = 2) -> float:
    """Power at 1 / period cycles along any of the last `axes` axes, over all power but the mean's, averaged over the rest.

    `x` (..., sizes) is best an interior crop, its sizes multiples of `period`. White noise at 64 x 64 gives 0.03 for
    period 2; the last axes may be a frame's, or a clip's time alone.
    """
    sizes = x.shape[-axes:]
    assert all(size % period == 0 for size in sizes), "the pattern must fit the crop whole"
    power = torch.fft.fftn(x.double(), dim=tuple(range(-axes, 0))).abs().square().flatten(0, -axes - 1)
    power = power.mean(0)
    at = torch.zeros(sizes, dtype=torch.bool)
    for axis, size in enumerate(sizes):
        for bin_ in {size // period, size - size // period}:
            at.select(axis, bin_)[...] = True
    everything = power.sum() - power.flatten()[0]
    return float(power[at].sum() / everything)
