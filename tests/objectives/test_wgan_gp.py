"""The gradient penalty against closed forms, and its second derivatives."""

import pytest
import torch
from torch import nn

from mediagen.objectives.wasserstein import critic_wasserstein, generator_wasserstein
from mediagen.objectives.wgan_gp import gradient_penalty, mixed


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5, 6), (2, 3, 4, 5, 6)])
def test_the_penalty_of_a_linear_critic_is_its_norm_s_distance_from_one(shape):
    weight = torch.randn(shape[1:], generator=rng())
    real, fake = torch.randn(2, *shape, generator=rng())
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake, rng())
    torch.testing.assert_close(penalty, (weight.norm() - 1) ** 2)


def test_the_one_sided_penalty_leaves_small_slopes_alone():
    real, fake = torch.randn(2, 4, 3, generator=rng())
    for length, expected in ((0.5, 0.0), (3.0, 4.0)):
        weight = torch.tensor([length, 0.0, 0.0])
        found = gradient_penalty(lambda x, w=weight: x @ w, real, fake, rng(), one_sided=True)
        torch.testing.assert_close(found, torch.tensor(expected))


def test_the_norm_may_be_taken_over_the_channels_of_each_position():
    weight = torch.randn(3, 1, 1, generator=rng())
    real, fake = torch.randn(2, 2, 3, 7, 9, generator=rng())
    found = gradient_penalty(lambda x: (x * weight).sum(1), real, fake, rng(), over="channels")
    torch.testing.assert_close(found, (weight.norm() - 1) ** 2)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.05, inplace=True), nn.Tanh(), nn.GroupNorm(1, 8)])
@pytest.mark.parametrize("over", ["sample", "channels"])
def test_the_penalty_reaches_the_critic_s_weights(activation, over):
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 8, 3), activation, nn.Conv2d(8, 1, 3))
    real, fake = torch.randn(2, 2, 3, 9, 9, generator=rng())
    gradient_penalty(critic, real, fake, rng(), over=over).backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in critic if isinstance(layer, nn.Conv2d))


def test_a_flat_critic_has_a_penalty_of_one_and_no_nan():
    weight = torch.zeros(3, requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ weight, torch.ones(2, 3), torch.zeros(2, 3), rng())
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)
    assert torch.isfinite(weight.grad).all()


def test_mixtures_lie_between_their_pair_each_at_its_own_place():
    real, fake = torch.ones(64, 2, 3), torch.zeros(64, 2, 3, requires_grad=True)
    x = mixed(real, fake, rng())
    assert x.requires_grad
    assert x.grad_fn is None
    share = x.detach().flatten(1)
    assert torch.equal(share, share[:, :1].expand(-1, 6))
    assert 0.2 < float(share.std()) < 0.4


def test_the_losses_are_differences_of_means():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([5.0, 7.0, 9.0])
    assert float(critic_wasserstein(real, fake)) == 5.0
    assert float(generator_wasserstein(fake)) == -7.0


def test_the_slope_of_a_critic_that_can_only_be_linear_goes_to_one():
    """Two points one apart: the best 1-Lipschitz critic rises by one between them; the penalty pulls it there."""
    critic = nn.Linear(1, 1)
    nn.init.constant_(critic.weight, 0.1)
    optimizer, noise = torch.optim.Adam(critic.parameters(), 0.05), rng()
    real, fake = torch.ones(8, 1), torch.zeros(8, 1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = critic_wasserstein(critic(real), critic(fake)) + 10 * gradient_penalty(critic, real, fake, noise)
        loss.backward()
        optimizer.step()
    assert critic.weight.item() == pytest.approx(1.05, abs=0.02)  # 1 + 1 / (2 * 10)
