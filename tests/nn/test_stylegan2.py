"""StyleGAN2's mapping network and discriminator."""

import pytest
import torch

from mediagen.nn.augment import augment, shift
from mediagen.nn.equalized import initialise
from mediagen.nn.stylegan2 import Mapping, ResidualDiscriminator, down_size, minibatch_stddev


def test_mapping_ignores_the_length_of_its_latent():
    mapping = Mapping(8, 3)
    initialise(mapping, torch.Generator().manual_seed(0))
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mapping(5 * z), mapping(z))
    assert mapping(z).std() > 0.1, "the small learning rate must not shrink the output"


def test_sizes_follow_the_paper():
    size, seen = 101, []
    for _ in range(5):
        size = down_size(size)
        seen.append(size)
    assert seen == [50, 25, 12, 6, 3]


@pytest.mark.parametrize("size", [53, 64])
def test_a_real_pass_has_the_calculated_features(size):
    critic = ResidualDiscriminator(size, (4, 6, 8))
    initialise(critic, torch.Generator().manual_seed(0))
    assert critic(torch.zeros(4, 3, size, size)).shape == (4, critic.features)
    assert critic.features == 8 * down_size(down_size(size)) ** 2


def test_minibatch_statistics_tell_equal_pictures_from_different_ones():
    rng = torch.Generator().manual_seed(0)
    different, equal = torch.randn(4, 3, 5, 5, generator=rng), torch.ones(4, 3, 5, 5)
    assert minibatch_stddev(different).shape == (4, 4, 5, 5)
    assert minibatch_stddev(different)[:, 3].min() > 0.5
    assert minibatch_stddev(equal)[:, 3].max() < 1e-3


def test_augmentation_never_moves_anything_up_or_down():
    rows = torch.linspace(-1, 1, 16)[None, None, :, None].expand(2, 3, 16, 16)
    moved = shift(rows, torch.Generator().manual_seed(0))
    inside = moved.abs().amax(dim=2, keepdim=True) > 0
    torch.testing.assert_close(moved, rows * inside)


def test_augmentation_is_differentiable_and_seeded():
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    once, again = (augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once, again)
    once.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
