"""3D residual critics: sizes down to one frame, the rule for odd axes, and shortcuts taken the short way."""

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.residual3d import Block, Critic, LevelCritics, down_sample, shrink_frames


@pytest.mark.parametrize(
    ("size", "smaller"),
    [
        ((16, 8, 8), (8, 4, 4)),
        ((1, 3, 3), (1, 2, 2)),
        ((3, 3, 5), (2, 2, 3)),
        ((2, 1, 1), (1, 1, 1)),
        ((1, 1, 1), (1, 1, 1)),
        ((7, 6, 1), (4, 3, 1)),
    ],
)
def test_down_sampling_is_average_pooling_of_what_is_not_1(size, smaller):
    x = torch.randn(2, 4, *size)
    kernel, padding = [min(2, s) for s in size], [s % 2 if s > 1 else 0 for s in size]
    assert down_sample(x).shape[2:] == smaller
    torch.testing.assert_close(down_sample(x), F.avg_pool3d(x, kernel, kernel, padding))


def test_the_first_block_halves_space_alone():
    assert shrink_frames(torch.randn(2, 3, 5, 6, 8)).shape == (2, 3, 5, 3, 4)


def plain_block(block: Block, x: torch.Tensor) -> torch.Tensor:
    """As written in the paper: the first block's shortcut shrinks, then convolves; the others convolve, then shrink."""
    if block.first:
        return shrink_frames(block.two(F.relu(block.one(x)))) + block.shortcut(shrink_frames(x))
    return down_sample(block.two(F.relu(block.one(F.relu(x))))) + down_sample(block.shortcut(x))


@pytest.mark.parametrize("size", [(8, 8, 8), (1, 6, 6), (3, 3, 4), (1, 1, 1)])
@pytest.mark.parametrize("first", [True, False])
def test_a_block_equals_its_plain_form(size, first):
    torch.manual_seed(0)
    block = Block(3, 5, first=first)
    torch.nn.init.normal_(block.shortcut.bias)
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(block(x), plain_block(block, x))


@pytest.mark.parametrize("size", [(16, 24, 24), (1, 12, 12), (2, 9, 7)])
def test_clips_of_any_length_give_one_logit(size):
    critic = Critic((4, 4, 4, 4, 4))
    assert critic(torch.randn(3, 3, *size)).shape == (3, 1)


def test_projection_adds_the_product_of_embedding_and_features():
    torch.manual_seed(0)
    critic, clips = Critic((4, 6), classes=3), torch.randn(2, 3, 2, 8, 8)
    features = F.relu(critic.blocks(clips)).sum((2, 3, 4))
    expected = features @ critic.logit.weight.T + critic.logit.bias
    expected = expected + (features * critic.classes.weight[[2, 0]]).sum(1, keepdim=True)
    torch.testing.assert_close(critic(clips, torch.tensor([2, 0])), expected)


def test_the_image_critic_is_added_to_the_last_level():
    torch.manual_seed(0)
    critics, clips = LevelCritics(1, (4, 4), image=True), torch.randn(2, 3, 1, 8, 8)
    (logit,) = critics([clips], [None], torch.Generator().manual_seed(0))
    torch.testing.assert_close(logit, critics.levels[0](clips) + critics.image(clips[:, :, 0]))
