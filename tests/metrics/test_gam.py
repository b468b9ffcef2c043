"""The generative adversarial metric on scores whose answer is known."""

import math

import pytest
import torch

from mediagen.metrics.gam import Judged, gam, threshold


def scores(*values: float) -> torch.Tensor:
    return torch.tensor(values)


def test_the_threshold_parts_what_can_be_parted():
    assert threshold(scores(5, 6, 7), scores(1, 2, 3)) == pytest.approx(4.0)
    assert threshold(scores(-1.0), scores(-3.0)) == pytest.approx(-2.0)


def test_the_threshold_weighs_both_sides_alike_and_allows_mistakes():
    real, generated = scores(5, 6, 7, 0), scores(*[1.0] * 100, 8.0)
    assert threshold(real, generated) == pytest.approx(3.0)


def test_a_blind_critic_gets_a_threshold_all_the_same():
    assert math.isfinite(threshold(scores(1, 1), scores(1, 1)))


def judged(other: torch.Tensor) -> Judged:
    return Judged(real=scores(5, 6, 7, 8), own=scores(1, 2, 1, 2), other=other)


def test_the_one_that_fools_more_wins():
    contest = gam(judged(scores(1, 1, 1, 6)), judged(scores(6, 6, 6, 1)))
    assert (contest.a_fools_b, contest.b_fools_a) == (0.75, 0.25)
    assert contest.score == pytest.approx(3.0)
    assert contest.winner == "A"
    assert contest.fair == 1.0
    back = gam(judged(scores(6, 6, 6, 1)), judged(scores(1, 1, 1, 6)))
    assert back.score == pytest.approx(1 / 3)
    assert back.winner == "B"


def test_never_fooled():
    assert gam(judged(scores(1, 1)), judged(scores(1, 1))).winner == "neither"
    assert gam(judged(scores(1, 1)), judged(scores(6, 1))).score == math.inf
