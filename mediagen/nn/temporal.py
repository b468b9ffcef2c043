"""Temporal models: a start becomes one code a frame. What a frame is drawn from is another network's affair.

Time is counted in frames of the training rate. Frame n's noise is what leads to frame n: from the state at n - 1 to the
state at n. A recurrent model (`continuous` is False) knows whole frames only; its `begin` gives the state before frame 0,
and codes between frames are interpolated from its path. For a continuous one (a differential equation) `begin` gives the
state at frame 0 itself (frame 0's noise is not used), and it can be advanced by any part of a frame, some also backwards.

Layout: B batch, T frames; a code is (B, d) or a map (B, C, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
Noise = Callable[[int], Tensor | None]
"""Frame number -> what leads to that frame, (B, noise) and whatever the host puts before it (a category, say)."""


class Temporal(Protocol):
    """A module with parameters of its own; see the file's head for where `begin` stands."""

    noise: int
    """Normal numbers it takes per clip and frame; 0 for none."""
    continuous: bool

    def begin(self, start: Tensor) -> State: ...

    def advance(self, state: State, noise: Tensor | None, dt: float = 1.0) -> State:
        """The state `dt` frames on. Recurrent models take whole frames (dt = 1) only."""
        ...

    def read(self, state: State) -> Tensor:
        """The code of the frame at which the state stands."""
        ...


class Recurrent(nn.Module):
    """A one-layer GRU whose hidden state is the code: z_M(n) = GRU(eps(n), z_M(n - 1)) (MoCoGAN, section 3.1)."""

    continuous = False

    def __init__(self, noise: int, codes: int, condition: int = 0):
        super().__init__()
        self.noise = noise
        self.cell = nn.GRUCell(condition + noise, codes)

    def begin(self, start: Tensor) -> State:
        return (start,)

    def advance(self, state: State, noise: Tensor | None, dt: float = 1.0) -> State:
        assert dt == 1.0, "a recurrent model goes frame by frame"
        return (self.cell(noise, state[0]),)

    def read(self, state: State) -> Tensor:
        return state[0]


def first(temporal: Temporal, start: Tensor, noise: Noise) -> State:
    """The state at frame 0."""
    state = temporal.begin(start)
    return state if temporal.continuous else temporal.advance(state, noise(0))


def walk(temporal: Temporal, state: State, here: int, there: int, noise: Noise) -> State:
    """From the state at frame `here` to that at `there`, one whole frame after the other; backwards where it can."""
    for n in range(here + 1, there + 1):
        state = temporal.advance(state, noise(n))
    for n in range(here - 1, there - 1, -1):
        state = temporal.advance(state, noise(n), -1.0)
    return state


def code_between(temporal: Temporal, state: State, here: int, time: float, noise: Noise) -> Tensor:
    """The code at `time`, less than a frame from `here` where the state stands. The state itself is not moved.

    So the times that are looked at never change the path. A recurrent model's codes are interpolated linearly.
    """
    part = time - here
    assert -1.0 < part < 1.0
    if part == 0.0:
        return temporal.read(state)
    if temporal.continuous:
        return temporal.read(temporal.advance(state, noise(here + 1 if part > 0 else here - 1), part))
    following = temporal.read(temporal.advance(state, noise(here + 1)))
    return torch.lerp(temporal.read(state), following, part)


def follow(
    temporal: Temporal, state: State, here: int, times: Sequence[float], noise: Noise
) -> tuple[Tensor, State, int]:
    """The codes (B, len(times), ...) at `times`, all up from `here` or all down; and where the state stands after.

    Computed in float32 under autocast: a path of many small steps does not survive half the digits.
    """
    codes = []
    with torch.autocast(state[0].device.type, enabled=False):
        for time in times:
            whole = int(time)  # towards 0, so that the rest is walked in the same direction
            state, here = walk(temporal, state, here, whole, noise), whole
            codes.append(code_between(temporal, state, here, time, noise))
    return torch.stack(codes, dim=1), state, here


def rollout(temporal: Temporal, start: Tensor, frames: int, noise: Tensor | None) -> Tensor:
    """The codes (B, T, ...) of the first T frames; `noise` (B, T, ...) or None where none is needed."""

    def of(n: int) -> Tensor | None:
        return None if noise is None else noise[:, n]

    with torch.autocast(start.device.type, enabled=False):
        state = first(temporal, start, of)
    return follow(temporal, state, 0, range(frames), of)[0]
