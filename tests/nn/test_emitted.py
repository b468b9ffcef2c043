"""Convolutions with emitted weights against an explicit loop, and the size of what is emitted."""

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.emitted import TANH_GAIN, Projection, convolve, convolve_all, leaky_gain
from mediagen.nn.resnet import ResNet, seen_whole
from mediagen.nn.variants import varied

SLOPE = 0.02


def weights(batch: int, channels: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    shape = (batch, outputs, channels, 3, 3)
    return torch.randn(shape, generator=rng).double(), torch.randn(batch, outputs, generator=rng).double()


@pytest.mark.parametrize(("channels", "outputs"), [(3, 8), (8, 8), (8, 3), (5, 1)])
def test_a_convolution_of_a_batch_is_a_loop_over_its_pictures(channels, outputs):
    x = torch.randn(3, channels, 9, 12, generator=torch.Generator().manual_seed(0)).double().requires_grad_(True)
    weight, bias = (w.requires_grad_(True) for w in weights(3, channels, outputs))
    made = convolve(x, weight, bias)
    looped = torch.stack([F.conv2d(x[i], weight[i], bias[i]) for i in range(3)])
    torch.testing.assert_close(made, looped)
    for one, other in zip(
        *(torch.autograd.grad(y.square().sum(), (x, weight, bias)) for y in (made, looped)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_convolution_is_what_it_says_pixel_by_pixel():
    x, (weight, bias) = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).double(), weights(2, 3, 2)
    made = convolve(x, weight, bias)
    for b, o, i, j in ((0, 0, 0, 0), (0, 1, 1, 2), (1, 0, 1, 1), (1, 1, 0, 2)):
        wanted = bias[b, o] + (weight[b, o] * x[b, :, i : i + 3, j : j + 3]).sum()
        assert float(made[b, o, i, j]) == pytest.approx(float(wanted))


def test_slopes_of_slopes_pass_through():
    """A gradient penalty takes the gradient of a gradient, down to the embedding."""
    torch.manual_seed(0)
    projection = Projection(6, [3, 4, 1], [1.4, 1.0])
    e = torch.randn(2, 6, requires_grad=True)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(convolve_all(x, projection(e), SLOPE).sum(), x, create_graph=True)
    (found,) = torch.autograd.grad((slope.square().sum(1).sqrt() - 1).square().mean(), e)
    assert float(found.abs().min()) > 0


def test_what_is_emitted_has_unit_size_at_the_start():
    """Random pictures through a fresh embedder, heads and network: no layer fades or grows by much."""
    torch.manual_seed(0)
    embed = ResNet(512, width=16, depths=(1, 1, 1, 1)).train()
    projection = Projection(512, [3, 32, 32, 32, 32, 3], [leaky_gain(SLOPE)] * 4 + [TANH_GAIN])
    pictures = torch.rand(8, 3, 40, 60) * 2 - 1
    with torch.no_grad():
        e = embed(seen_whole(pictures, 64))
        assert 0.4 < float(e.square().mean().sqrt()) < 2.5
        assert float(e.min()) < 0
        emitted, x = projection(e), torch.randn(8, 3, 40, 40)
        for i, (weight, bias) in enumerate(emitted):
            x = convolve(F.leaky_relu(x, SLOPE) if i else x, weight, bias)
            assert 0.3 < float(x.std()) < 3.5, f"layer {i}"
            fan = weight.shape[2] * 9
            assert 0.2 < float(weight.std()) * fan**0.5 / projection.gains[i] < 2.5


def test_emitted_weights_are_float32_whatever_the_rest_is():
    projection = Projection(6, [3, 4, 1], [1.4, 1.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for weight, bias in projection(torch.randn(2, 6)):
            assert (weight.dtype, bias.dtype) == (torch.float32, torch.float32)


def test_resnet_34():
    with torch.device("meta"):
        network = ResNet(1000)
    assert sum(p.numel() for p in network.parameters()) == 21_797_672, "that of the usual one, with its classes"


@pytest.mark.parametrize("cells", [0, 3])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_part_of_the_embedder_learns(norm, cells):
    torch.manual_seed(0)
    network = ResNet(8, width=8, depths=(1, 2), norm=norm, cells=cells)
    made = network(torch.randn(2, 3, 48, 48))
    assert made.shape == (2, 8)
    made.square().sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in network.parameters())


def test_the_embedder_sees_the_whole_picture_squeezed_to_a_square():
    picture = torch.zeros(1, 3, 20, 60)
    picture[..., :30] = 1.0
    small = seen_whole(picture, 16)
    assert small.shape == (1, 3, 16, 16)
    assert float(small[..., :7].min()) > 0.99
    assert float(small[..., 9:].abs().max()) < 0.01


def test_variants_are_pictures_and_a_function_of_the_generator():
    pictures = torch.rand(6, 3, 20, 30, generator=torch.Generator().manual_seed(0)) * 2 - 1
    first, again = (varied(pictures, 1.0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == pictures.shape
    assert float(first.abs().max()) <= 1.0
    assert float((first - pictures).abs().mean((1, 2, 3)).min()) > 0.05
    weak = varied(pictures, 0.0, torch.Generator().manual_seed(3))
    apart = [
        min(float((one - p).abs().max()) for p in (other, other.flip(2)))
        for one, other in zip(weak, pictures, strict=True)
    ]
    assert max(apart) < 1e-5, "only mirrored, if anything"
