"""How alike two versions of one clip are, by frame index: PSNR and SSIM.

TGANv2 (Saito et al. 2020), figure 15: the frames of the first renderer, resized, against those of the last one. SSIM after
"Image Quality Assessment: From Error Visibility to Structural Similarity" (Wang et al. 2004), Gaussian windows of 11 x 11.
Shapes: clips (B, C, T, H, W) in [-1, 1], whose data range is 2; results (B, T).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

RANGE = 2.0
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each frame in decibels, (B, T); infinite for equal frames."""
    return 10 * torch.log10(RANGE**2 / (first.double() - second.double()).square().mean((1, 3, 4)))


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of each frame, (B, T): at most 1, the value of equal frames. H and W at least 11."""
    assert min(first.shape[3:]) >= WINDOW
    batch, _, frames = first.shape[:3]
    a, b = (clips.double().transpose(1, 2).flatten(0, 1) for clips in (first, second))
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (light * structure).mean((1, 2, 3)).view(batch, frames)


def _blur(pictures: Tensor) -> Tensor:
    """Gaussian means over the windows that lie wholly inside, (N, C, H - 10, W - 10)."""
    offset = torch.arange(WINDOW, dtype=pictures.dtype, device=pictures.device) - WINDOW // 2
    kernel = torch.exp(-(offset**2) / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, 1, WINDOW)
    across = functional.conv2d(pictures, kernel, groups=pictures.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=pictures.shape[1])


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """By frame index: means over clips (T,), and the half widths of their 95% intervals."""

    psnr: list[float]
    psnr_error: list[float]
    ssim: list[float]
    ssim_error: list[float]


def levels_likeness(coarse: Tensor, fine: Tensor) -> Likeness:
    """Clips of a lower renderer (B, C, T, h, w), scaled up to their finished versions (B, C, T, H, W), against these.

    T must agree: render both without dropping frames.
    """
    assert coarse.shape[:3] == fine.shape[:3]
    size = (fine.shape[3], fine.shape[4])
    frames = coarse.transpose(1, 2).flatten(0, 1)
    scaled = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    resized = scaled.unflatten(0, (fine.shape[0], fine.shape[2])).transpose(1, 2)
    found: dict[str, list[float]] = {}
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": psnr, "ssim": ssim}
    for name, measure in measures.items():
        each = measure(resized, fine)
        found[name] = each.mean(0).tolist()
        spread = each.std(0) if len(each) > 1 else torch.zeros(each.shape[1])
        found[f"{name}_error"] = (1.96 * spread / len(each) ** 0.5).tolist()
    return Likeness(**found)
