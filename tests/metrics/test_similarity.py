from __future__ import annotations

import math

import torch
from torch.nn import functional

from mediagen.metrics.similarity import levels_likeness, psnr, ssim


def clips(seed: int, size: int = 32) -> torch.Tensor:
    coarse = torch.rand(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return functional.interpolate(coarse, size=(4, size, size), mode="trilinear")


def test_psnr_of_a_known_error() -> None:
    """An error of 0.2 in a range of 2: 20 log10(10) = 20 dB; only where it is."""
    first = clips(0)
    second = first.clone()
    second[:, :, 1] += 0.2
    found = psnr(first, second)
    assert torch.allclose(found[:, 1], torch.full((2,), 20.0).double(), atol=1e-4)
    assert torch.isinf(found[:, 0]).all()


def test_ssim_of_equal_constant_and_contrary_frames() -> None:
    first = clips(0)
    assert torch.allclose(ssim(first, first), torch.ones(2, 4).double())
    assert (ssim(first, clips(1)) < 0.6).all()
    # Constants a and b have no structure: (2ab + c1) / (a^2 + b^2 + c1), c1 = (0.01 * 2)^2.
    a, b = torch.full((1, 1, 1, 16, 16), 0.5), torch.full((1, 1, 1, 16, 16), 0.25)
    expected = (2 * 0.5 * 0.25 + 0.0004) / (0.25 + 0.0625 + 0.0004)
    assert math.isclose(float(ssim(a, b)), expected, rel_tol=1e-9)


def test_ssim_against_windows_cut_one_by_one() -> None:
    first, second = (clips(seed, 13)[:1, :1, :1].double() for seed in (3, 4))
    line = torch.exp(-((torch.arange(11).double() - 5) ** 2) / 4.5)
    weights = (line / line.sum())[:, None] * (line / line.sum())
    values = []
    for y in range(3):
        for x in range(3):
            a, b = (clip[0, 0, 0, y : y + 11, x : x + 11] for clip in (first, second))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            shared = (weights * (a - mean_a) * (b - mean_b)).sum()
            top = (2 * mean_a * mean_b + 0.0004) * (2 * shared + 0.0036)
            values.append(top / ((mean_a**2 + mean_b**2 + 0.0004) * (var_a + var_b + 0.0036)))
    assert torch.allclose(ssim(first, second).flatten(), torch.stack(values).mean())


def test_levels_by_frame_index() -> None:
    fine = clips(0)
    coarse = functional.avg_pool3d(fine, (1, 2, 2))
    coarse[:, :, 0] += 0.5
    found = levels_likeness(coarse, fine)
    assert len(found.psnr) == len(found.ssim) == len(found.ssim_error) == 4
    assert found.psnr[0] < 13 < 20 < min(found.psnr[1:])
    assert found.ssim[0] < min(found.ssim[1:])
