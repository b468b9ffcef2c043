"""Networks of DCGAN's shape: their geometry, and their noise."""

import math

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.frame_networks import FromCodes, StridedCritic


@torch.no_grad()
def test_the_papers_shapes():
    critic = StridedCritic(video=True, channels=(2, 2, 2, 2), outputs=4, patch=False)
    seen, x = [], torch.zeros(1, 3, 16, 64, 64)
    for convolution in critic.convolutions:
        x = convolution(x) if not seen else convolution(x.expand(-1, 2, -1, -1, -1))
        seen.append(tuple(x.shape[2:]))
    assert seen == [(13, 32, 32), (10, 16, 16), (7, 8, 8), (4, 4, 4)]
    rng = torch.Generator()
    assert critic.eval()(torch.zeros(1, 3, 16, 64, 64), rng).shape == (1, 4, 1, 1, 1)
    patch = StridedCritic(video=False, channels=(2, 2, 2), outputs=1, patch=True).eval()
    assert patch(torch.zeros(1, 3, 64, 64), rng).shape == (1, 1, 4, 4)
    table_6 = StridedCritic(video=True, channels=(2, 2, 2, 2), outputs=1, patch=True).eval()
    assert table_6(torch.zeros(1, 3, 16, 64, 64), rng).shape == (1, 1, 4, 4, 4)
    full = StridedCritic(video=False, channels=(2, 2, 2), outputs=1, patch=False).eval()
    assert [convolution.out_channels for convolution in full.convolutions] == [2, 2, 2, 4]
    assert full(torch.zeros(1, 3, 64, 64), rng).shape == (1, 1, 1, 1)


def test_the_first_layer_is_a_transposed_convolution_of_one_cell():
    mine = FromCodes(5, 7, 6)
    codes = torch.randn(3, 5)
    reference = F.conv_transpose2d(codes[:, :, None, None], mine.weight)
    torch.testing.assert_close(mine(codes), reference)


def test_instance_noise_is_of_the_asked_size():
    critic = StridedCritic(video=False, channels=(4,), outputs=1, patch=True, noise=0.5)
    x = torch.zeros(4, 3, 64, 64)
    noisy = critic.noisy(x, torch.Generator().manual_seed(0))
    assert noisy.std().item() == pytest.approx(0.5, rel=0.02)
    assert math.isclose(noisy.mean().item(), 0.0, abs_tol=0.02)
