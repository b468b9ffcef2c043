"""Latent neural differential equations: a path of codes as the solution of a learnt ODE or SDE.

Gordon, Parde: "Latent Neural Differential Equations for Video Generation", 2020.

    z_T = z_0 + int_0^T f(z_t) dt                                             first order (Eq. 1)
    dx_0 / dt = f(x_0),  dx_i / dt = x_{i-1},  the code is x_{n-1}            n-th order, as released
    z_T = z_0 + int_0^T mu(z_t) dt + int_0^T sigma(z_t) dW_t                  SDE (Ito, a Wiener process per number)

A training clip of 16 frames spans the unit interval: a frame is 1/15. ODEs take one Runge-Kutta step of fourth order a
frame, by the 3/8 rule (what torchdiffeq calls "rk4"); SDEs take `inner` Euler-Maruyama steps a frame, 4 of 1/60. Steps lie
on whole frames whatever times are asked for, and a shorter step to a time between two frames starts from the frame before:
looking never changes the path. In the released n-th order form the highest derivative never sees the position; `standard`
is ours: x_0' = f(x_0, ..., x_{n-1}), so that n = 2 is z'' = f(z', z).

Layout: B batch, d codes; maps are (B, C, h, w). States are tuples of either, float32 or wider.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from mediagen.nn.temporal import State, Temporal

Kind = Literal["ode", "ode2", "ode3", "sde"]
Variant = Literal["single", "two-layer", "equal"]

FRAME = 1 / 15
"""Length of a frame on the equation's time axis: linspace(0, 1, 16)."""
INNER = 4
"""Euler-Maruyama steps a frame. The released step of 0.025 does not divide a frame; 1/60 does."""


class Ode(nn.Module):
    """An autonomous ODE of any order; `f` takes x_0 (all components when `standard`), after it the condition's columns.

    `initial` turns the start into z_0; an n-th order equation has one encoder for each of its n components.
    """

    noise = 0
    continuous = True

    def __init__(
        self, f: nn.Module, *, initial: nn.Module | None = None, encoders: Sequence[nn.Module] = (),
        standard: bool = False, condition: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.f, self.standard, self.condition = f, standard, condition
        self.initial, self.encoders = initial or nn.Identity(), nn.ModuleList(encoders)

    def begin(self, start: Tensor) -> State:
        z = self.initial(start)
        return tuple(_wide(encoder(z)) for encoder in self.encoders) or (_wide(z),)

    def slope(self, state: State, condition: Tensor | None) -> State:
        """d state / dt."""
        seen = list(state) if self.standard else [state[0]]
        return (_call(self.f, seen, condition), *state[:-1])

    def advance(self, state: State, noise: Tensor | None, dt: float = 1.0) -> State:
        """By `dt` frames, forwards or backwards, in steps of at most one frame."""
        condition = _condition(noise, self.condition)
        for _ in range(int(abs(dt))):
            state = runge_kutta(lambda s: self.slope(s, condition), state, math.copysign(FRAME, dt))
        rest = math.fmod(dt, 1.0)
        return runge_kutta(lambda s: self.slope(s, condition), state, rest * FRAME) if rest else state

    def read(self, state: State) -> Tensor:
        return state[-1]


class Sde(nn.Module):
    """An Ito SDE with diagonal noise; `shape` is a code's, (d,) or (C, h, w). It runs forwards only.

    Noise (B, inner * size) of a frame holds the increments of its steps, in order, in units of sqrt(step).
    """

    continuous = True

    def __init__(
        self, mu: nn.Module, sigma: nn.Module, shape: Sequence[int], *, initial: nn.Module | None = None,
        inner: int = INNER, condition: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mu, self.sigma, self.initial = mu, sigma, initial or nn.Identity()
        self.shape, self.inner, self.condition = tuple(shape), inner, condition
        self.noise = inner * math.prod(shape)

    def begin(self, start: Tensor) -> State:
        return (_wide(self.initial(start)),)

    def advance(self, state: State, noise: Tensor | None, dt: float = 1.0) -> State:
        """By a part of a frame, 0 < dt <= 1: between two Euler-Maruyama steps the path is their straight line."""
        assert noise is not None
        assert 0.0 < dt <= 1.0, "an SDE goes forwards, frame by frame"
        condition, x, step = _condition(noise, self.condition), state[0], FRAME / self.inner
        increments = noise[:, self.condition :].unflatten(1, (self.inner, *self.shape)).to(x.dtype)
        for i in range(math.ceil(dt * self.inner)):
            drift, spread = _call(self.mu, [x], condition), _call(self.sigma, [x], condition)
            part = min(1.0, dt * self.inner - i)
            x = x + part * (step * drift + math.sqrt(step) * spread * increments[:, i])
        return (x,)

    def read(self, state: State) -> Tensor:
        return state[0]


def runge_kutta(slope: Callable[[State], State], state: State, h: float) -> State:
    """One step of fourth order by the 3/8 rule: nodes 0, 1/3, 2/3, 1, weights 1/8, 3/8, 3/8, 1/8."""

    def moved(*terms: tuple[float, State]) -> State:
        return tuple(
            reduce(lambda y, term: y.add(term[1][i], alpha=h * term[0]), terms, x) for i, x in enumerate(state)
        )

    k1 = slope(state)
    k2 = slope(moved((1 / 3, k1)))
    k3 = slope(moved((-1 / 3, k1), (1.0, k2)))
    k4 = slope(moved((1.0, k1), (-1.0, k2), (1.0, k3)))
    return moved((1 / 8, k1), (3 / 8, k2), (3 / 8, k3), (1 / 8, k4))


def vector_equation(
    kind: Kind, codes: int, *, variant: Variant, width: int, hidden: Sequence[int], gain: float | None = None,
    condition: int = 0, standard: bool = False,
) -> Temporal:  # fmt: skip
    """An equation for codes (B, d) that starts from d numbers.

    `hidden` are the widths of the fully connected net before it, as many nonlinearities as the host's own temporal model
    has; () for none. `width` is that of the "equal" variant; `condition` numbers are given to f beside the state.
    """
    order = order_of(kind)
    seen = codes * (order if standard else 1) + condition

    def field() -> nn.Module:
        return vector_field(seen, codes, variant, width)

    initial = fully_connected([codes, *hidden, codes], gain) if hidden else None
    if kind == "sde":
        return Sde(field(), field(), (codes,), initial=initial, condition=condition)
    encoders = [nn.Linear(codes, codes) for _ in range(order)] if order > 1 else []
    return Ode(field(), initial=initial, encoders=encoders, standard=standard, condition=condition)


def map_equation(kind: Kind, shape: tuple[int, int, int], *, standard: bool = False) -> Temporal:
    """An equation for maps (B, C, h, w) that starts from a map: f = conv 3x3, LeakyReLU(0.2), for TGANv2."""
    channels, order = shape[0], order_of(kind)

    def field(parts: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(parts * channels, channels, 3, padding=1), nn.LeakyReLU(0.2))

    if kind == "sde":
        return Sde(field(1), field(1), shape)
    encoders = [nn.Conv2d(channels, channels, 1) for _ in range(order)] if order > 1 else []
    return Ode(field(order if standard else 1), encoders=encoders, standard=standard)


def order_of(kind: Kind) -> int:
    return {"ode": 1, "ode2": 2, "ode3": 3, "sde": 1}[kind]


def vector_field(seen: int, codes: int, variant: Variant, width: int) -> nn.Sequential:
    """f of section 4.1: one layer that ends in tanh, or two with tanh between, `width` wide in the "equal" variant."""
    if variant == "single":
        return nn.Sequential(nn.Linear(seen, codes), nn.Tanh())
    middle = width if variant == "equal" else codes
    return nn.Sequential(nn.Linear(seen, middle), nn.Tanh(), nn.Linear(middle, codes))


def fully_connected(widths: Sequence[int], gain: float | None) -> nn.Sequential:
    """FCN of section 4.1: LeakyReLU(0.2) after every layer. `gain` of Xavier's uniform weights; None: torch's own."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        linear = nn.Linear(inputs, outputs)
        if gain is not None:
            nn.init.xavier_uniform_(linear.weight, gain)
        layers += [linear, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


def _wide(x: Tensor) -> Tensor:
    """Half precision is too coarse to be integrated in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _condition(noise: Tensor | None, width: int) -> Tensor | None:
    """The first columns of a frame's noise: what the host put there."""
    if width == 0:
        return None
    assert noise is not None, "this equation is asked for a category"
    return noise[:, :width]


def _call(net: nn.Module, seen: list[Tensor], condition: Tensor | None) -> Tensor:
    """A network of the state in the network's own type, its value in the state's."""
    dtype = next(net.parameters()).dtype
    parts = seen if condition is None else [*seen, condition]
    values: Tensor = net((torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]).to(dtype))
    return values.to(seen[0].dtype)
