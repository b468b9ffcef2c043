"""The share of regular patterns: known of noise and of stripes."""

import pytest
import torch

from mediagen.metrics.checkerboard import pattern_share


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("period", "lines"), [(2, 1), (4, 2), (8, 2)])
def test_white_noise_has_its_bins_share(period, lines):
    bins = 2 * 64 * lines - lines**2
    assert pattern_share(noise(40, 64, 64), period=period) == pytest.approx(bins / 4095, rel=0.1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_stripes_are_all_pattern(period):
    stripes = torch.cos(torch.arange(64) * 2 * torch.pi / period).expand(64, 64)
    assert pattern_share(stripes[None], period=period) == pytest.approx(1.0)
    assert pattern_share(stripes[None], period=16) < 1e-9


def test_flicker_along_time():
    flicker = torch.tensor([1.0, -1.0] * 8) + 0.5
    assert pattern_share(flicker.expand(3, 16), axes=1) == pytest.approx(1.0)


def test_repeated_pixels_have_no_nyquist_power():
    doubled = noise(4, 32, 32).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert pattern_share(doubled) < 1e-9
