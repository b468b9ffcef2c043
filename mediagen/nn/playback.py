"""Playing a temporal model frame by frame: a state of constant size, random numbers by position, any pace.

Frame k of the output lies at the model's time k * rate. The motion is walked on whole frames of the model's own time, and
codes between them are read without moving it: so frame k depends on (seeds, k, rate) and not on how it was reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mediagen.core.clips import ClipRequest
from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field
from mediagen.errors import UsageError
from mediagen.nn.temporal import Noise, State, Temporal, follow, walk

NoiseOf = Callable[[ClipRequest, int, int], Noise]
"""(request, start, stop) -> the noise that leads to the model's frames in [start, stop)."""

STRETCH = 1024
"""Frames whose noise is drawn at once when frames are skipped."""


@dataclass(frozen=True)
class Playback:
    """A stream after some frames: `frame` is the next one's number; `motion` stands at the model's frame `here`.

    `content` (1, ...) holds what is the same in every frame.
    """

    request: ClipRequest
    content: Tensor
    motion: State
    frame: int = 0
    here: int = 0


def normal_rows(seed: int, name: str, channels: int, at: int, count: int, like: Tensor) -> Tensor:
    """N(0, 1) numbers (count, channels) of the positions `at` and following, on the device and of the type of `like`."""
    if channels == 0:
        return like.new_zeros(count, 0)
    field = random_field(seed, name, channels, Window(at, 0, count, 1))[:, 0].T.copy()
    return torch.from_numpy(field).to(like)


def asked(request: ClipRequest, start: int, count: int, known: int, device: torch.device) -> Tensor:
    """The categories (count,) of frames of output; `known` is how many there are. Raises UsageError for another."""
    found = [request.category(n) for n in range(start, start + count)]
    wrong = [category for category in found if not 0 <= category < max(1, known)]
    if wrong:
        has = f"knows 0 to {known - 1}" if known else "has none"
        raise UsageError(f"there is no category {wrong[0]}: this model {has}")
    return torch.tensor(found, device=device)


def request_noise(request: ClipRequest, start: int, stop: int, noise: int, known: int, like: Tensor) -> Noise:
    """What leads to the model's frames in [start, stop): `noise` numbers by position, and z_A one-hot (`known`) before."""
    drawn = normal_rows(request.motion, "epsilon", noise, start, stop - start, like)

    def of(n: int) -> Tensor:
        # In memory of its own: a matrix product's last bits depend on where a row lies, which `start` would decide.
        row = drawn[n - start : n - start + 1].clone()
        if not known:
            return row
        leads_to = math.ceil(n / request.rate)  # the first frame of output that needs the model's frame n
        category = asked(request, leads_to, 1, known, like.device)
        return torch.cat([F.one_hot(category, known).to(row), row], dim=1)

    return of


def play(temporal: Temporal, state: Playback, count: int, noise_of: NoiseOf) -> tuple[Playback, Tensor]:
    """The state after the next `count` frames, and their motion codes (count, ...)."""
    request = state.request
    times = [n * request.rate for n in range(state.frame, state.frame + count)]
    ends = state.here, int(times[-1])
    noise = noise_of(request, min(ends) - 1, max(ends) + 2)
    codes, motion, here = follow(temporal, state.motion, state.here, times, noise)
    return replace(state, motion=motion, here=here, frame=state.frame + count), codes[0]


def skip(temporal: Temporal, state: Playback, count: int, noise_of: NoiseOf) -> Playback:
    """The state that `play` leaves after `count` frames, bit for bit."""
    motion, here = state.motion, state.here
    there = int((state.frame + count - 1) * state.request.rate)
    while here != there:
        stop = min(there, here + STRETCH) if there > here else max(there, here - STRETCH)
        noise = noise_of(state.request, min(here, stop), max(here, stop) + 1)
        motion, here = walk(temporal, motion, here, stop, noise), stop
    return replace(state, motion=motion, here=here, frame=state.frame + count)
