"""Two tiny video models, real ones: a recurrent stream of frames, and clips in one piece. Run as a script, it renders.

python tiny.py KIND OUT FRAMES DELAY
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field

if TYPE_CHECKING:
    from mediagen.video.report import Report


def rows(seed: int, name: str, width: int, start: int, count: int) -> Tensor:
    """N(0, 1) by position: (count, width)."""
    return torch.from_numpy(random_field(seed, name, width, Window(start, 0, count, 1))[:, 0].T.copy())


@dataclass(frozen=True)
class State:
    request: ClipRequest
    frame: int
    hidden: Tensor


class Stream(nn.Module):
    """A GRU and three transposed convolutions: frames of 16 x 24. `delay` seconds a chunk make it slow enough to kill."""

    frame_size, fps, clip_frames, categories = (16, 24), 10.0, 16, 3
    abilities = frozenset({"content", "motion", "image", "reverse", "rate"})

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__()
        self.delay = delay
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.cell = nn.GRUCell(4 + 3, 6)
            self.draw = nn.Sequential(
                nn.ConvTranspose2d(6 + 4, 12, (2, 3)), nn.LeakyReLU(0.2),
                nn.ConvTranspose2d(12, 8, 4, 4), nn.LeakyReLU(0.2),
                nn.ConvTranspose2d(8, 3, 2, 2), nn.Tanh(),
            )  # fmt: skip
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=0.5)

    def start(self, request: ClipRequest) -> State:
        hidden = rows(request.motion, "h", 6, 0, 1)
        if request.image is not None:
            hidden = hidden + float(request.image.mean()) / 255
        return State(request, 0, hidden)

    def advanced(self, state: State) -> State:
        request = state.request
        kind = torch.nn.functional.one_hot(torch.tensor([request.category(state.frame)]), 3).float()
        noise = rows(request.motion, "e", 4, state.frame, 1)
        return State(request, state.frame + 1, self.cell(torch.cat([noise, kind], 1), state.hidden * request.rate))

    def skip(self, state: State, count: int) -> State:
        for _ in range(count):
            state = self.advanced(state)
        return state

    def step(self, state: State, count: int) -> tuple[State, Tensor]:
        assert count == CHUNK
        time.sleep(self.delay)
        codes = []
        for _ in range(count):
            state = self.advanced(state)
            codes.append(torch.cat([state.hidden, rows(state.request.content, "c", 4, 0, 1)], 1))
        return state, self.draw(torch.cat(codes)[:, :, None, None])


class Pieces(nn.Module):
    """Clips of 20 frames (of 20 / rate, that is) of 10 x 14, in one piece, each of its own latent."""

    frame_size, fps, clip_frames, categories = (10, 14), 25.0, 20, 0
    abilities = frozenset({"rate"})

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__()
        self.delay = delay
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.draw = nn.ConvTranspose2d(8, 3, (10, 14))
            nn.init.normal_(self.draw.weight, std=0.4)

    def clip(self, request: ClipRequest, number: int) -> Tensor:
        time.sleep(self.delay)
        count = round(self.clip_frames / abs(request.rate))
        phase = torch.arange(count) / count * 2 * math.pi
        latent = rows(request.seed, "z", 8, number, 1)
        turned = latent * torch.stack([torch.cos(phase), torch.sin(phase)], 1).repeat(1, 4)
        return torch.tanh(self.draw(turned[:, :, None, None]))


KINDS = {"stream": Stream, "pieces": Pieces}


def film(kind: str, out: str, frames: int, delay: float) -> Report:
    """What the script does; tests also run it in processes of their own."""
    from mediagen.video.render import render_video

    torch.set_num_threads(1)
    return render_video(KINDS[kind](delay), out, frames=frames, scale=2, join="interpolate")


if __name__ == "__main__":
    film(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
