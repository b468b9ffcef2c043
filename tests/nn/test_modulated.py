"""Modulated convolutions: the three forms agree, and what demodulation must leave alone."""

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.equalized import initialise
from mediagen.nn.modulated import ModulatedConv2d, demodulation, fold, modulated_reference


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    x, weight, s = (
        torch.randn(2, 5, 9, 8, generator=rng),
        torch.randn(7, 5, 3, 3, generator=rng),
        torch.rand(2, 5, generator=rng),
    )
    return x.double(), weight.double(), s.double() + 0.5


@pytest.mark.parametrize("demodulate", [True, False])
def test_scaling_features_equals_a_weight_per_sample(drawn, demodulate):
    x, weight, s = drawn
    y = F.conv2d(x * s[:, :, None, None], weight)
    if demodulate:
        y = y * demodulation(weight, s)[:, :, None, None]
    torch.testing.assert_close(y, modulated_reference(x, weight, s, demodulate=demodulate), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_folded_weight_equals_the_reference(drawn, demodulate):
    x, weight, s = drawn
    y = F.conv2d(x[:1], fold(weight, s[0], demodulate=demodulate))
    torch.testing.assert_close(
        y, modulated_reference(x[:1], weight, s[:1], demodulate=demodulate), rtol=1e-9, atol=1e-9
    )


def test_a_style_map_that_is_constant_demodulates_like_the_style(drawn):
    _, weight, s = drawn
    spread = s[:, :, None, None].expand(-1, -1, 4, 6)
    expected = demodulation(weight, s)[:, :, None, None].expand(-1, -1, 4, 6)
    torch.testing.assert_close(demodulation(weight, spread), expected)


def test_demodulation_cancels_the_size_of_a_style_and_rgb_keeps_it(drawn):
    x, weight, s = drawn
    for demodulate, ratio in ((True, 1.0), (False, 3.0)):
        once = modulated_reference(x, weight, s, demodulate=demodulate)
        torch.testing.assert_close(
            modulated_reference(x, weight, 3 * s, demodulate=demodulate), ratio * once, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(("mode", "sizes"), [("same", (9, 7)), ("up", (9, 17))])
def test_module_sizes_and_agreement_of_forward_and_folded(mode, sizes):
    layer = ModulatedConv2d(5, 7, 3, 4, mode=mode, gain=2.0)
    initialise(layer, torch.Generator().manual_seed(1))
    x, latent = torch.randn(1, 5, 9, 9, generator=torch.Generator().manual_seed(2)), torch.ones(1, 4)
    y = layer(x, latent)
    assert y.shape == (1, 7, sizes[1], sizes[1])
    torch.testing.assert_close(layer.convolve(x, layer.folded(layer.affine(latent)[0])), y, rtol=1e-4, atol=1e-5)


def test_variance_stays_near_one_through_depth():
    layers = [ModulatedConv2d(64, 64, 3, 8, gain=2**0.5) for _ in range(6)]
    rng = torch.Generator().manual_seed(3)
    x, latent = torch.randn(2, 64, 24, 24, generator=rng), torch.randn(2, 8, generator=rng)
    for layer in layers:
        initialise(layer, rng)
        x = F.leaky_relu(layer(x, latent), 0.2)
    assert 0.5 < x.square().mean() < 2.0
