"""Codes between codes, and classes that nobody asked for."""

import numpy as np
import pytest
import torch

from mediagen.core.clips import ClipRequest
from mediagen.nn.class_prior import ClassPrior
from mediagen.nn.clip_path import between, clip_length, uniform_row

PATH = torch.randn(2, 16, 3, generator=torch.Generator().manual_seed(0))


def test_the_plain_rate_gives_the_path_itself():
    assert torch.equal(between(PATH, 1.0, 16), PATH)
    assert torch.equal(between(PATH, -1.0, 16), PATH.flip(1))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_whole_times_are_the_paths_own_and_others_lie_between(factor):
    count = clip_length(16, 1 / factor)
    made = between(PATH, 1 / factor, count)
    assert made.shape == (2, 16 * factor, 3)
    torch.testing.assert_close(made[:, ::factor], PATH, rtol=0, atol=1e-6)
    middle = torch.lerp(PATH[:, 3], PATH[:, 4], 1 / factor)
    torch.testing.assert_close(made[:, 3 * factor + 1], middle, rtol=0, atol=1e-5)
    assert torch.equal(made[:, -1], PATH[:, -1])


def test_powers_of_two_hit_whole_times_bit_for_bit():
    assert torch.equal(between(PATH, 0.25, 64)[:, ::4], PATH)


def test_fast_and_backward():
    assert torch.equal(between(PATH, 2.0, 8), PATH[:, ::2])
    assert torch.equal(between(PATH, -2.0, 8), PATH.flip(1)[:, ::2])
    assert clip_length(16, 64.0) == 1


def test_uniform_rows_are_uniform_and_by_position():
    row = torch.cat([uniform_row(7, "z", 100, n) for n in range(100)]).flatten()
    ends = np.sort(row.numpy())
    assert np.abs(ends - np.linspace(-1, 1, len(ends))).max() < 0.03
    assert torch.equal(uniform_row(7, "z", 100, 5), uniform_row(7, "z", 100, 5))
    assert not torch.equal(uniform_row(7, "z", 100, 5), uniform_row(8, "z", 100, 5))


def test_classes_are_drawn_as_often_as_they_were_met():
    prior = ClassPrior(3)
    prior.meet(torch.tensor([0] * 10 + [2] * 30))
    drawn = [prior.decide(ClipRequest(seed=seed), 0).categories for seed in range(400)]
    assert set(drawn) == {(0,), (2,)}
    assert 0.15 < drawn.count((0,)) / 400 < 0.35
    sampled = prior.sample(400, torch.Generator().manual_seed(0))
    assert 0.15 < (sampled == 0).float().mean() < 0.35
    assert not (sampled == 1).any()


def test_before_training_all_classes_are_alike():
    drawn = {ClassPrior(3).decide(ClipRequest(seed=seed), 0).categories for seed in range(50)}
    assert drawn == {(0,), (1,), (2,)}


def test_what_is_asked_for_is_not_touched():
    asked = ClipRequest(categories=(1, 2))
    assert ClassPrior(3).decide(asked, 4) is asked
    assert ClassPrior(0).decide(ClipRequest(), 4).categories == ()
    assert not ClassPrior(0).sample(3, torch.Generator()).any()
