"""Latent differential equations: against exact solutions, against torchdiffeq and torchsde, and by their sizes."""

import itertools
import math

import pytest
import torch
from torch import nn

from mediagen.nn.differential import FRAME, Ode, Sde, map_equation, runge_kutta, vector_equation
from mediagen.nn.temporal import first, follow, rollout, walk


def equation(kind, codes=4, **settings):
    torch.manual_seed(0)
    return vector_equation(kind, codes, **({"variant": "equal", "width": 9, "hidden": ()} | settings))


def count(module):
    return sum(p.numel() for p in module.parameters())


def linear(matrix):
    layer = nn.Linear(*matrix.shape[::-1], bias=False, dtype=matrix.dtype)
    layer.weight.data = matrix
    return layer


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x):
        return self.value.expand_as(x)


@pytest.mark.parametrize(
    ("kind", "variant", "hidden", "expected"),
    [("ode", "single", (64,), 2400), ("ode", "two-layer", (64,), 2672), ("ode", "equal", (), 1633),
     ("ode2", "equal", (), 2177), ("ode3", "equal", (), 2449), ("sde", "equal", (), 3266)],
)  # fmt: skip
def test_sizes_under_mocogan(kind, variant, hidden, expected):
    assert count(equation(kind, 16, variant=variant, width=49, hidden=hidden)) == expected


@pytest.mark.parametrize(
    ("kind", "variant", "expected"),
    [("ode", "single", 638_424), ("ode", "two-layer", 648_524), ("ode", "equal", 825_002), ("ode2", "single", 658_624),
     ("ode3", "single", 668_724), ("sde", "single", 648_524)],
)  # fmt: skip
def test_sizes_under_tgan(kind, variant, expected):
    assert count(equation(kind, 100, variant=variant, width=978, hidden=(512, 512, 512))) == expected


def test_size_under_tganv2():
    with torch.device("meta"):
        assert count(map_equation("ode", (1024, 3, 3))) == 1024 * 1024 * 9 + 1024


def test_runge_kutta_converges_with_the_fourth_power_of_the_step():
    matrix = torch.tensor([[0.0, 1.0], [-4.0, -0.3]], dtype=torch.float64)
    exact = torch.matrix_exp(matrix) @ torch.tensor([1.0, 0.5], dtype=torch.float64)
    errors = []
    for steps in (8, 16, 32):
        state = (torch.tensor([[1.0, 0.5]], dtype=torch.float64),)
        for _ in range(steps):
            state = runge_kutta(lambda s: (s[0] @ matrix.T,), state, 1 / steps)
        errors.append((state[0][0] - exact).abs().max())
    for coarse, fine in itertools.pairwise(errors):
        assert 3.8 < math.log2(coarse / fine) < 4.2


def test_orders_chain_their_derivatives():
    """With a constant f the published third order is a cubic in time: x_0 = a + ct, x_1 = b + at + ct^2/2, ..."""
    c, h = 0.7, 0.5
    ode = Ode(Constant(c), encoders=[nn.Linear(1, 1) for _ in range(3)])
    a, b, d = (torch.full((1, 1), x, dtype=torch.float64) for x in (0.3, -1.0, 2.0))
    x0, x1, x2 = runge_kutta(lambda s: ode.slope(s, None), (a, b, d), h)
    assert x0.item() == pytest.approx(0.3 + c * h)
    assert x1.item() == pytest.approx(-1.0 + 0.3 * h + c * h**2 / 2)
    assert x2.item() == pytest.approx(2.0 - 1.0 * h + 0.3 * h**2 / 2 + c * h**3 / 6)


def test_the_standard_second_order_is_a_pendulum_and_the_published_one_cannot_be():
    """z'' = -z swings; the published form, whose acceleration does not see the position, keeps its speed."""
    matrix = torch.tensor([[0.0, -1.0]], dtype=torch.float64)  # (velocity, position) -> -position
    swing = Ode(
        linear(matrix), encoders=[linear(torch.tensor([[x]], dtype=torch.float64)) for x in (0.0, 1.0)], standard=True
    )
    state = walk(swing, swing.begin(torch.ones(1, 1, dtype=torch.float64)), 0, 45, lambda n: None)
    assert state[1].item() == pytest.approx(math.cos(3.0), abs=1e-6)
    assert state[0].item() == pytest.approx(-math.sin(3.0), abs=1e-6)
    assert equation("ode2", 4, standard=True).f[0].in_features == 8


@pytest.mark.parametrize("kind", ["ode", "ode2", "ode3"])
@torch.no_grad()
def test_backwards_and_forwards_again_is_where_it_began(kind):
    ode, none = equation(kind, hidden=(8,)), lambda n: None
    state = first(ode, torch.randn(3, 4), none)
    back = walk(ode, state, 0, -10, none)
    again = walk(ode, back, -10, 0, none)
    for was, now in zip(state, again, strict=True):
        torch.testing.assert_close(now, was, rtol=1e-5, atol=1e-5)
    codes, _, _ = follow(ode, state, 0, [0.0, -0.5, -1.0, -10.0], none)
    torch.testing.assert_close(codes[:, 3], ode.read(back), rtol=0, atol=0)
    assert (codes[:, 3] - codes[:, 0]).abs().max() > 1e-2


def test_against_torchdiffeq():
    """Its "rk4" is the 3/8 rule too: the same path and, by plain backpropagation, the same gradients."""
    solver = pytest.importorskip("torchdiffeq")
    ode, start = equation("ode").double(), torch.randn(3, 4, dtype=torch.float64)
    mine = rollout(ode, start, 16, None)
    times = torch.linspace(0, 1, 16, dtype=torch.float64)
    theirs = solver.odeint(lambda t, z: ode.f(z), start, times, method="rk4")
    torch.testing.assert_close(mine, theirs.transpose(0, 1), rtol=1e-12, atol=1e-12)
    finer = solver.odeint(lambda t, z: ode.f(z), start, times, method="dopri5", rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(mine, finer.transpose(0, 1), rtol=1e-6, atol=1e-6)


def test_gradients_against_the_adjoint():
    solver = pytest.importorskip("torchdiffeq")
    ode, start = equation("ode").double(), torch.randn(3, 4, dtype=torch.float64)
    parameters = list(ode.parameters())

    class Autonomous(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = ode.f

        def forward(self, t, z):
            return self.f(z)

    mine = torch.autograd.grad(rollout(ode, start, 16, None).square().sum(), parameters)
    times = torch.linspace(0, 1, 16, dtype=torch.float64)
    path = solver.odeint_adjoint(Autonomous(), start, times, method="dopri5", rtol=1e-9, atol=1e-11)
    for found, expected in zip(mine, torch.autograd.grad(path.square().sum(), parameters), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_by_finite_differences():
    sde = equation("sde").double()
    noise = torch.randn(2, 3, sde.noise, dtype=torch.float64)
    start = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: rollout(sde, s, 3, noise), (start,))


@torch.no_grad()
def test_mean_and_variance_of_an_ornstein_uhlenbeck_process():
    """dz = -a z dt + s dW: by Euler-Maruyama mean (1 - a h)^n, variance s^2 h (1 - q^n) / (1 - q), q = (1 - a h)^2."""
    a, s, clips, frames = 1.5, 0.8, 4000, 15
    sde = Sde(linear(torch.tensor([[-a]])), Constant(s), (1,))
    noise = torch.randn(clips, frames + 1, sde.noise, generator=torch.Generator().manual_seed(3))
    end = rollout(sde, torch.full((clips, 1), 2.0), frames + 1, noise)[:, -1]
    h, n = FRAME / 4, 4 * frames
    q = (1 - a * h) ** 2
    mean, variance = 2 * (1 - a * h) ** n, s**2 * h * (1 - q**n) / (1 - q)
    assert mean == pytest.approx(2 * math.exp(-a), abs=0.02)
    assert variance == pytest.approx(s**2 * (1 - math.exp(-2 * a)) / (2 * a), abs=0.01)
    assert end.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(variance / clips))
    assert end.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / clips))


@torch.no_grad()
def test_against_torchsde():
    """Euler's method with the same increments: torchsde takes them from a Brownian motion that reads ours."""
    solver = pytest.importorskip("torchsde")
    sde, start = equation("sde").double(), torch.randn(2, 4, dtype=torch.float64)
    noise = torch.randn(2, 6, sde.noise, dtype=torch.float64)
    step = FRAME / sde.inner
    increments = noise[:, 1:].reshape(2, -1, 4) * math.sqrt(step)

    class Ours(solver.BaseBrownian):
        dtype, device, shape, levy_area_approximation = torch.float64, start.device, (2, 4), "none"

        def __call__(self, ta, tb=None, return_U=False, return_A=False):
            n = round(float(ta) / step)
            assert float(tb - ta) == pytest.approx(step)
            return increments[:, n]

        def __repr__(self):
            return "ours"

        def size(self):
            return (2, 4)

    class Equation:
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, z):
            return sde.mu(z)

        def g(self, t, z):
            return sde.sigma(z)

    times = torch.arange(6, dtype=torch.float64) * FRAME
    theirs = solver.sdeint(Equation(), start, times, bm=Ours(), method="euler", dt=step)
    torch.testing.assert_close(rollout(sde, start, 6, noise), theirs.transpose(0, 1), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_other_futures_of_one_start():
    sde, start = equation("sde"), torch.ones(2, 4)
    noise = torch.randn(2, 16, sde.noise)
    codes = rollout(sde, start, 16, noise)
    torch.testing.assert_close(codes[0, 0], codes[1, 0], rtol=0, atol=0)
    assert (codes[0, 15] - codes[1, 15]).abs().max() > 1e-2
    torch.testing.assert_close(rollout(sde, start, 16, noise), codes, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["ode", "ode2", "sde"])
@torch.no_grad()
def test_a_category_steers_the_equation_from_its_own_frame_on(kind):
    temporal, start = equation(kind, condition=2), torch.ones(1, 4)
    noise = torch.randn(1, 6, 2 + temporal.noise)
    noise[:, :, :2] = torch.tensor([1.0, 0.0])
    switched = noise.clone()
    switched[:, 3:, :2] = torch.tensor([0.0, 1.0])
    one, two = rollout(temporal, start, 6, noise), rollout(temporal, start, 6, switched)
    torch.testing.assert_close(one[:, :3], two[:, :3], rtol=0, atol=0)
    assert (one[:, 3] - two[:, 3]).abs().max() > 1e-4
