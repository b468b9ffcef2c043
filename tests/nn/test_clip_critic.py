"""The critic of whole clips: its class voxels, its noise, and that it sees every place alike."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mediagen.nn.clip_critic import ClipCritic


def clips(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def with_voxels(critic: ClipCritic, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """What the paper says: one-hot channels as large as the clip, concatenated before the first convolution."""
    voxels = F.one_hot(labels, critic.classes).float()[..., None, None, None].expand(-1, -1, *x.shape[2:])
    first = critic.convolutions[0]
    return F.conv3d(torch.cat([x, voxels], 1), first.weight, first.bias, 2, 1)


@pytest.mark.parametrize(("frames", "size"), [(2, 4), (4, 8), (8, 16), (16, 32)])
def test_class_voxels_are_as_if_concatenated(frames, size):
    critic = ClipCritic(frames, size, (5,), classes=4)
    x, labels = clips(3, 3, frames, size, size), torch.tensor([2, 0, 3])
    assert critic.convolutions[0].weight.shape == (5, 7, 4, 4, 4)
    found = critic.conditioned(critic.convolutions[0], x, labels)
    torch.testing.assert_close(found, with_voxels(critic, x, labels), rtol=0, atol=1e-5)


def test_the_class_matters_and_gradients_reach_it():
    critic = ClipCritic(8, 16, (5, 6), classes=3)
    x = clips(2, 3, 8, 16, 16)
    one, two = critic(x, torch.tensor([0, 1])), critic(x, torch.tensor([2, 1]))
    assert one[0] != two[0]
    one.sum().backward()
    assert critic.convolutions[0].weight.grad[:, 3:5].any()
    assert not critic.convolutions[0].weight.grad[:, 5].any()


def test_no_norm_after_the_first_and_none_after_the_last():
    critic = ClipCritic(8, 16, (5, 6))
    assert [type(n) for n in critic.norms] == [nn.Identity, nn.BatchNorm3d]
    assert critic(clips(2, 3, 8, 16, 16)).shape == (2, 1)
    assert critic.features(clips(2, 3, 8, 16, 16)).shape == (2, 6, 2, 4, 4)


def test_norms_without_scale_or_shift():
    whole, scale, shift = (ClipCritic(8, 16, (5, 6), scale=a, shift=b) for a, b in ((1, 1), (1, 0), (0, 1)))
    sizes = [sum(p.numel() for p in c.parameters()) for c in (whole, scale, shift)]
    assert sizes == [sizes[0], sizes[0] - 6, sizes[0] - 6]
    assert scale(clips(2, 3, 8, 16, 16)).isfinite().all()
    assert shift(clips(2, 3, 8, 16, 16)).isfinite().all()


def test_noise_is_drawn_in_training_alone_and_from_the_generator():
    critic = ClipCritic(8, 16, (5, 6), sigma=0.2)
    x, rng = clips(2, 3, 8, 16, 16), torch.Generator()
    a, b = (critic(x, None, rng.manual_seed(seed)) for seed in (1, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, critic(x, None, rng.manual_seed(2)))
    critic.eval()
    assert torch.equal(critic(x), critic(x))


def test_scores_keep_all_digits_in_half_precision():
    critic = ClipCritic(8, 16, (5, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert critic(clips(2, 3, 8, 16, 16)).dtype == torch.float32


def test_every_pixel_is_seen_equally_often():
    """The gradient of a stack of kernel 4, stride 2 has no pattern of its own."""
    critic = ClipCritic(8, 32, (1, 1))
    for convolution in critic.convolutions:
        nn.init.ones_(convolution.weight)
    x = torch.ones(1, 3, 8, 32, 32, requires_grad=True)
    y = critic.convolutions[1](critic.convolutions[0](x))
    y.sum().backward()
    inside = x.grad[..., 8:-8, 8:-8]
    assert torch.equal(inside, inside[..., :1, :1].expand_as(inside))
