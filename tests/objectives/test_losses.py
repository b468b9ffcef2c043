"""Every loss against a closed form."""

import math

import torch

from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating
from mediagen.objectives.penalties import mode_seeking, path_length, path_lengths, r1


def test_logistic_losses_in_closed_form():
    real, fake = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    expected = math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))
    assert math.isclose(discriminator_logistic(real, fake).item(), expected, rel_tol=1e-6)
    assert math.isclose(generator_nonsaturating(fake).item(), math.log1p(math.exp(1)), rel_tol=1e-6)


def test_r1_of_a_linear_critic_is_half_its_squared_weights():
    weight = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    real = torch.zeros(4, 3, requires_grad=True)
    penalty = r1((real * weight).sum(1, keepdim=True), real)
    assert math.isclose(penalty.item(), 14 / 2, rel_tol=1e-6)
    penalty.backward()
    torch.testing.assert_close(weight.grad, torch.tensor([1.0, 2.0, 3.0]))


def test_path_length_of_a_linear_generator():
    """For a picture that is `gain` * style in every pixel, J^T y = gain * sum(y): its mean square is gain^2 * 3."""
    styles = torch.zeros(4096, 1, 1, requires_grad=True)
    pictures = 2.0 * styles[:, :, :, None].expand(-1, 3, 4, 4)
    lengths = path_lengths(pictures, styles, torch.Generator().manual_seed(0))
    assert math.isclose(lengths.square().mean().item(), 4.0 * 3, rel_tol=0.1)


def test_path_length_average_moves_before_it_is_used():
    average = torch.zeros(())
    penalty = path_length(torch.tensor([3.0, 5.0]), average)
    assert math.isclose(average.item(), 0.04, rel_tol=1e-5)
    assert math.isclose(penalty.item(), ((3 - 0.04) ** 2 + (5 - 0.04) ** 2) / 2, rel_tol=1e-5)


def test_mode_seeking_is_large_for_a_collapsed_output_and_pushes_apart():
    z = (torch.zeros(2, 4), torch.ones(2, 4))
    near = torch.full((2, 4), 0.01, requires_grad=True)
    far = torch.full((2, 4), 2.0)
    assert math.isclose(mode_seeking(z, (torch.zeros(2, 4), far)).item(), 0.5, rel_tol=1e-4)
    collapsed = mode_seeking(z, (torch.zeros(2, 4), near))
    assert collapsed > 50
    collapsed.backward()
    assert (near.grad < 0).all(), "minimising the loss must increase the distance"
