"""Temporal models: rolled out, walked and looked at between frames, a path is one and the same."""

import pytest
import torch

from mediagen.nn.differential import map_equation, vector_equation
from mediagen.nn.temporal import Recurrent, code_between, first, follow, rollout, walk


def model(kind, codes=5):
    torch.manual_seed(0)
    if kind == "gru":
        return Recurrent(3, codes)
    return vector_equation(kind, codes, variant="equal", width=7, hidden=())


def table(temporal, frames, seed=1):
    """The noise (2, frames, n) of two clips, and the same as a function of the frame's number."""
    noise = torch.randn(2, frames, temporal.noise, generator=torch.Generator().manual_seed(seed))
    return noise, lambda n: noise[:, n] if temporal.noise else None


KINDS = ["gru", "ode", "ode2", "ode3", "sde"]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_rollout_equals_single_steps(kind):
    temporal, start = model(kind), torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    noise, of = table(temporal, 9)
    whole = rollout(temporal, start, 9, noise if temporal.noise else None)
    state, here = first(temporal, start, of), 0
    for n in range(9):
        state, here = walk(temporal, state, here, n, of), n
        torch.testing.assert_close(temporal.read(state), whole[:, n], rtol=0, atol=0)
    assert (whole[:, 0] - whole[:, 8]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_looking_between_frames_changes_nothing(kind):
    """Twice the sampling times: the even ones are the frames as they were, the odd ones lie between."""
    temporal, start = model(kind), torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    _, of = table(temporal, 9)
    state = first(temporal, start, of)
    slow, _, _ = follow(temporal, state, 0, [n / 2 for n in range(15)], of)
    plain, _, here = follow(temporal, state, 0, range(8), of)
    assert here == 7
    torch.testing.assert_close(slow[:, ::2], plain, rtol=0, atol=0)
    between = (plain[:, 1:] + plain[:, :-1]) / 2
    gap, step = (slow[:, 1::2] - between).abs().max(), (plain[:, 1:] - plain[:, :-1]).abs().max()
    assert gap < (0.5 if kind == "sde" else 0.05) * step


@torch.no_grad()
def test_a_recurrent_model_is_interpolated_along_its_own_path():
    temporal, start = model("gru"), torch.zeros(2, 5)
    _, of = table(temporal, 3)
    state = first(temporal, start, of)
    following = temporal.advance(state, of(1))
    expected = 0.75 * temporal.read(state) + 0.25 * temporal.read(following)
    torch.testing.assert_close(code_between(temporal, state, 0, 0.25, of), expected)


@torch.no_grad()
def test_the_recurrent_model_is_a_gru_that_is_its_own_code():
    """660 parameters at d_M = d_E = 10, as in MoCoGAN; frame 0 is the first step away from the start."""
    assert sum(p.numel() for p in Recurrent(10, 10).parameters()) == 660
    temporal, start = model("gru"), torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    noise, _ = table(temporal, 4)
    reference = torch.nn.GRU(3, 5, batch_first=True)
    reference.load_state_dict({f"{name}_l0": value for name, value in temporal.cell.state_dict().items()})
    torch.testing.assert_close(rollout(temporal, start, 4, noise), reference(noise, start[None])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter_and_the_start(kind):
    temporal, start = model(kind), torch.randn(2, 5, requires_grad=True)
    noise, _ = table(temporal, 4)
    rollout(temporal, start, 4, noise).square().sum().backward()
    for name, parameter in temporal.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert start.grad.abs().max() > 0


@pytest.mark.parametrize("kind", ["ode", "ode2", "ode3", "sde"])
@torch.no_grad()
def test_maps_go_the_same_way(kind):
    torch.manual_seed(0)
    temporal, start = map_equation(kind, (4, 3, 3)), torch.randn(2, 4, 3, 3)
    noise, of = table(temporal, 5)
    whole = rollout(temporal, start, 5, noise)
    assert whole.shape == (2, 5, 4, 3, 3)
    if kind == "ode":
        torch.testing.assert_close(whole[:, 0], start, rtol=0, atol=0)
    half, _, _ = follow(temporal, first(temporal, start, of), 0, [0.5, 1.0, 3.5, 4.0], of)
    torch.testing.assert_close(half[:, 3], whole[:, 4], rtol=0, atol=0)


@torch.no_grad()
def test_half_precision_is_integrated_in_single():
    torch.manual_seed(0)
    temporal = vector_equation("ode", 5, variant="equal", width=7, hidden=())
    exact = rollout(temporal, torch.ones(1, 5), 30, None)
    rough = rollout(temporal.bfloat16(), torch.ones(1, 5, dtype=torch.bfloat16), 30, None)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)
