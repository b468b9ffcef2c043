"""Singular value clipping (TGAN, section 4): the law it leaves, its plain twin, and Table 2's norms."""

import pytest
import torch
from torch import nn

from mediagen.nn.clip_critic import ClipCritic
from mediagen.nn.initial import he_normal
from mediagen.objectives.clipping import (
    clip_box,
    clip_norm_scales,
    clip_singular_values,
    clip_singular_values_by_svd,
    clipped_weights,
    norms,
    singular_values,
)
from mediagen.objectives.wasserstein import critic_wasserstein, generator_wasserstein

SHAPES = [(6, 3, 4, 4, 4), (64, 12, 4, 4, 4), (1, 32, 1, 4, 4), (40, 7), (5, 5), (7, 40)]


def weight(*shape: int, scale: float = 1.0) -> nn.Parameter:
    rng = torch.Generator().manual_seed(len(shape))
    return nn.Parameter(scale * torch.randn(shape, generator=rng) / shape[0] ** 0.5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [1.0, 0.3])
def test_no_singular_value_above_the_limit(shape, limit):
    w = weight(*shape)
    before = singular_values(w)
    assert before[0] > limit
    largest = clip_singular_values([w], limit)
    torch.testing.assert_close(largest[0], before[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(singular_values(w), before.clamp_max(limit), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_plain_decomposition(shape):
    fast, plain = weight(*shape), weight(*shape)
    found, expected = clip_singular_values([fast]), clip_singular_values_by_svd([plain])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5)


def test_it_keeps_channels_last_weights_in_place():
    plain = weight(8, 6, 4, 4, 4)
    w = nn.Parameter(plain.detach().contiguous(memory_format=torch.channels_last_3d))
    address = w.data_ptr()
    clip_singular_values([w])
    clip_singular_values_by_svd([plain])
    torch.testing.assert_close(w.detach(), plain.detach(), rtol=0, atol=1e-5)
    assert w.data_ptr() == address
    assert w.is_contiguous(memory_format=torch.channels_last_3d)


def test_what_is_small_enough_is_left_alone_bit_for_bit():
    w = weight(8, 3, 4, 4, 4, scale=0.01)
    before = w.detach().clone()
    clip_singular_values([w])
    assert torch.equal(w, before)


def test_zeros_and_equal_singular_values():
    zero, three = nn.Parameter(torch.zeros(4, 9)), nn.Parameter(3 * torch.eye(5, 8))
    assert clip_singular_values([zero, three]).tolist() == pytest.approx([0.0, 3.0])
    torch.testing.assert_close(three.detach(), torch.eye(5, 8), rtol=0, atol=1e-6)
    assert not zero.any()


def test_every_weight_of_a_critic_is_clipped_and_no_bias():
    critic = ClipCritic(8, 16, (6, 8))
    he_normal(critic)
    assert len(clipped_weights(critic)) == 3
    nn.init.constant_(critic.last.bias, 5.0)
    clip_singular_values(clipped_weights(critic))
    assert all(singular_values(w)[0] <= 1 + 1e-4 for w in clipped_weights(critic))
    assert critic.last.bias.item() == 5.0


def test_norm_scales_are_clipped_to_the_running_deviation():
    norm = nn.BatchNorm3d(4)
    norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0, 9.0]))
    norm.weight.data.copy_(torch.tensor([3.0, 3.0, -1.0, 0.5]))
    clip_norm_scales(norms(nn.Sequential(norm, nn.BatchNorm2d(3, affine=False))))
    torch.testing.assert_close(norm.weight.detach(), torch.tensor([2.0, 0.5, 0.01, 0.5]), rtol=0, atol=1e-4)


def test_a_clipped_layer_of_a_critic_is_one_lipschitz():
    """A clipped linear layer stretches no difference, and neither does a clipped norm in eval mode."""
    linear, norm = nn.Linear(30, 20), nn.BatchNorm1d(20).eval()
    linear.weight.data.mul_(9)
    norm.running_var.fill_(0.3)
    clip_singular_values(clipped_weights(linear))
    clip_norm_scales(norms(norm))
    a, b = torch.randn(2, 500, 30, generator=torch.Generator().manual_seed(0))
    apart = (norm(linear(a)) - norm(linear(b))).norm(dim=1)
    assert (apart <= (a - b).norm(dim=1) * (1 + 1e-5)).all()


def test_the_box():
    w = weight(5, 5)
    clip_box([w], 0.01)
    assert w.abs().max() <= 0.01


def test_signs_of_the_wasserstein_losses():
    """The critic lifts the real and lowers the generated; the generator lifts its own (Eq. 2)."""
    real, fake = torch.tensor([[2.0], [4.0]]), torch.tensor([[1.0], [-2.0]])
    assert critic_wasserstein(real, fake).item() == pytest.approx(-0.5 - 3.0)
    assert generator_wasserstein(fake).item() == pytest.approx(0.5)
    assert critic_wasserstein(real.bfloat16(), fake.bfloat16()).dtype == torch.float32
