"""TGANv2's penalty against closed forms."""

import math

import torch

from mediagen.objectives.penalties import zero_centred


def test_of_linear_critics_it_is_the_sum_of_their_squared_weights_over_clips_and_levels():
    small, large = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    one, two = torch.zeros(4, 2, requires_grad=True), torch.zeros(5, 1, requires_grad=True)
    logits = torch.cat([(one * small).sum(1), (two * large).sum(1)])
    penalty = zero_centred(logits, [one, two])
    assert math.isclose(penalty.item(), 4 * 5 + 5 * 9, rel_tol=1e-6)
    penalty.backward()
    torch.testing.assert_close(small.grad, 4 * 2 * small.detach())
    torch.testing.assert_close(large.grad, 5 * 2 * large.detach())


def test_of_a_quadratic_critic_it_depends_on_the_clips():
    clips = torch.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    penalty = zero_centred(clips.square().sum(1, keepdim=True), [clips])
    assert math.isclose(penalty.item(), 4 * (1 + 4 + 9), rel_tol=1e-6)


def test_it_grows_with_the_batch():
    def of(count):
        clips = torch.ones(count, 3, requires_grad=True)
        return zero_centred(2 * clips.sum(1), [clips]).item()

    assert of(8) == 2 * of(4) == 8 * 12.0
