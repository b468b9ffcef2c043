"""Ways to double a map: their sizes, what makes them even, and the article's table of coverage."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from mediagen.metrics.checkerboard import pattern_share
from mediagen.nn.upsample import Blur, Mode, Resize, Shuffle, coverage, doubler, equal_phases


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_mode_doubles_every_axis(mode, axes):
    sizes = (3, 4, 5)[:axes]
    x = torch.randn(2, 6, *sizes, requires_grad=True)
    layer = doubler(axes, 6, 4, mode)
    made = layer(x)
    assert made.shape == (2, 4, *[2 * n for n in sizes])
    made.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in layer.parameters())


def test_a_deconvolution_is_torchs():
    assert isinstance(doubler(2, 3, 4), nn.ConvTranspose2d)
    assert doubler(3, 3, 4, bias=False).bias is None


def test_nearest_repeats_exactly():
    x = torch.randn(1, 2, 3, 5, 7)
    for axes in (1, 2, 3):
        small = x.flatten(2)[:, :, :7] if axes == 1 else x[:, :, 0] if axes == 2 else x
        expected = small
        for axis in range(2, 2 + axes):
            expected = expected.repeat_interleave(2, axis)
        assert torch.equal(Resize(axes, "nearest")(small), expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shuffle_puts_each_phase_in_its_place(axes):
    x = torch.arange(2**axes * 3).float().reshape(1, 2**axes, 3, *[1] * (axes - 1))
    made = Shuffle(axes)(x)
    assert made.shape == (1, 1, 6, *[2] * (axes - 1))
    if axes == 2:
        torch.testing.assert_close(made, nn.PixelShuffle(2)(x))
    # Channels count the phases, the last axis fastest.
    assert made.flatten()[: 2 ** (axes - 1)].tolist() == [3.0 * k for k in range(2 ** (axes - 1))]


def test_a_fresh_subpixel_layer_ties_its_phases():
    layer = nn.Sequential(doubler(2, 3, 4, "shuffle"))
    equal_phases(layer)
    made = layer(torch.randn(1, 3, 5, 5))
    assert torch.equal(made[:, :, ::2, ::2], made[:, :, 1::2, 1::2])


def test_the_blur_stops_the_nyquist_frequency_and_keeps_the_mean():
    stripes = torch.tensor([1.0, -1.0] * 8)[None, None] + 3.0
    assert (Blur(1)(stripes)[..., 1:-1] - 3.0).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("layers", "counts", "ratio"),
    [
        ([(2, 2)], [1, 1], 1),
        ([(4, 2)], [2, 2], 1),
        ([(6, 2)], [3, 3], 1),
        ([(3, 2)], [1, 2], 2),
        ([(5, 2)], [2, 3], 1.5),
        ([(7, 2)], [3, 4], 4 / 3),
        ([(4, 3)], [1, 1, 2], 2),
        ([(5, 4)], [1, 1, 1, 2], 2),
        ([(5, 3)], [1, 2, 2], 2),
        ([(1, 2)], [0, 1], math.inf),
    ],
)
def test_the_articles_coverage(layers, counts, ratio):
    found, share = coverage(layers)
    assert sorted(found) == counts
    assert share == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("layers", "ratio"),
    [([(3, 2)] * 2, 3), ([(3, 2)] * 3, 5), ([(5, 2)] * 2, 1.6), ([(5, 2)] * 3, 5 / 3), ([(4, 2)] * 3, 1)],
)
def test_coverage_of_stacks(layers, ratio):
    assert coverage(layers)[1] == pytest.approx(ratio)


def test_coverage_against_a_deconvolution_of_ones():
    ones = torch.ones(1, 1, 40)
    for kernel, stride in ((3, 2), (4, 2), (5, 3), (5, 4)):
        layer = nn.ConvTranspose1d(1, 1, kernel, stride, bias=False)
        nn.init.ones_(layer.weight)
        interior = layer(ones)[0, 0, 10 * stride : 11 * stride]
        assert interior.tolist() == coverage([(kernel, stride)])[0]


@pytest.mark.parametrize(("mode", "clean"), [("nearest", True), ("blur", True), ("shuffle", True), ("deconv", False)])
def test_which_modes_leave_no_checkerboard_untrained(mode, clean):
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in ((8, 8), (8, 8), (8, 3)):
        layers += [doubler(2, inputs, outputs, mode), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    equal_phases(net)
    with torch.no_grad():
        made = net(torch.randn(16, 8, 8, 8))
    assert (pattern_share(made[..., 8:-8, 8:-8]) < 0.02) == clean


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_single_frame_can_become_a_clip_that_moves(mode):
    torch.manual_seed(0)
    made = nn.Sequential(doubler(3, 4, 4, mode), nn.ReLU(), doubler(3, 4, 2, mode))(torch.randn(1, 4, 1, 4, 4))
    assert made.shape == (1, 2, 4, 16, 16)
    assert (made[:, :, 1:] - made[:, :, :-1]).abs().amax(dim=(0, 1, 3, 4)).min() > 1e-3
