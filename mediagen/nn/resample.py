"""Low-pass filtered up- and downsampling (StyleGAN2, appendix B; InfinityGAN's 3 taps keep a centre).

Layout: B batch, C channels, H, W. Every filter here is depthwise, separable and sums to 1 before its gain.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

TRIANGLE = (1.0, 2.0, 1.0)
CUBIC = (1.0, 3.0, 3.0, 1.0)


@lru_cache(maxsize=64)
def kernel(taps: tuple[float, ...], gain: float, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The (channels, 1, K, K) depthwise kernel of the outer product of `taps`, summing to `gain`."""
    with torch.inference_mode(False):  # a kernel first made while painting must still serve training
        line = torch.tensor(taps, dtype=torch.float64)
        square = torch.outer(line, line)
        square = square * (gain / square.sum())
        return square.to(device=device, dtype=dtype).expand(channels, 1, -1, -1).contiguous()


def blur(
    x: Tensor, taps: tuple[float, ...] = TRIANGLE, *, gain: float = 1.0, padding: int = 0, stride: int = 1
) -> Tensor:
    """Filters x (B, C, H, W); unpadded by default: H -> H - len(taps) + 1."""
    channels = x.shape[1]
    return F.conv2d(x, kernel(taps, gain, channels, x.dtype, x.device), stride=stride, padding=padding, groups=channels)


def upsample_skip(x: Tensor) -> Tensor:
    """Bilinear upsampling by two, index 0 in place, no border: (B, C, H, W) -> (B, C, 2H-1, 2W-1)."""
    channels = x.shape[1]
    weight = kernel(TRIANGLE, 4.0, channels, x.dtype, x.device)
    return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=channels)
