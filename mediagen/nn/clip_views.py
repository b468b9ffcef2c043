"""What a critic sees of a clip: a random frame, a random window, every s-th frame, a smaller picture.

The same objects are applied to real clips, to generated ones, and inside TGANv2 to the features between two levels, so
both sides of a critic are cut by one rule. Each clip of a batch has random numbers of its own, from `rng` alone.

Layout: B clips, C channels, T frames, H, W. Clips and features are (B, C, T, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class RandomFrame:
    """One frame of each clip, every frame equally likely (MoCoGAN's S_1)."""

    def __call__(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        """(B, C, T, H, W) -> (B, C, H, W)."""
        return take(clips, _starts(len(clips), clips.shape[2], rng))[:, :, 0]


@dataclass(frozen=True)
class RandomWindow:
    """`frames` consecutive frames of each clip, every start equally likely (MoCoGAN's S_T)."""

    frames: int

    def __call__(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        """(B, C, T, H, W) -> (B, C, frames, H, W); T >= frames."""
        assert clips.shape[2] >= self.frames, "a window longer than its clip"
        if clips.shape[2] == self.frames:
            return clips
        starts = _starts(len(clips), clips.shape[2] - self.frames + 1, rng)
        return take(clips, starts + torch.arange(self.frames, device=starts.device))


@dataclass(frozen=True)
class FrameDrop:
    """TGANv2's subsampling layer (Eq. 9): frames b, b + s, b + 2s, ..., b random; b < min(s, T) when s divides T.

    max(1, T // s) frames remain whatever b is: where s does not divide T, b may be as large as leaves room for them, so
    that shapes are fixed and still every frame can be kept. `clips` > 1 also keeps every so-many-th clip of the batch.
    """

    stride: int
    clips: int = 1

    def count(self, frames: int) -> int:
        """Frames that remain of `frames`."""
        return max(1, frames // self.stride)

    def index(self, batch: int, frames: int, rng: torch.Generator) -> Tensor:
        """The frames that are kept of each of `batch` clips: int64 (batch, count), on the generator's device."""
        count = self.count(frames)
        starts = _starts(batch, frames - (count - 1) * self.stride, rng)
        return starts + self.stride * torch.arange(count, device=starts.device)

    def kept(self, rows: Tensor) -> Tensor:
        """The rows (labels, latents) of the clips that remain of a batch."""
        return rows[:: self.clips]

    def __call__(self, clips: Tensor, rng: torch.Generator) -> Tensor:
        """(B, C, T, H, W) -> (ceil(B / clips), C, max(1, T // stride), H, W)."""
        clips = self.kept(clips)
        if self.stride == 1:
            return clips
        return take(clips, self.index(len(clips), clips.shape[2], rng))

    def folded(self, frames: Tensor, batch: int, rng: torch.Generator) -> Tensor:
        """The same for `batch` clips whose frames are folded into the batch: (B * T, ...) -> (B' * T', ...)."""
        if self.clips > 1:
            frames = self.kept(frames.unflatten(0, (batch, -1))).flatten(0, 1)
            batch = -(-batch // self.clips)
        return frames if self.stride == 1 else take_folded(frames, self.index(batch, len(frames) // batch, rng))


@dataclass(frozen=True)
class LevelViews:
    """What TGANv2's critics see of real clips: `strides[l]` frames dropped after level l, and 2x smaller a level below.

    L = len(strides) + 1 levels, the drops chained, each with offsets of its own; the last level has full size.
    """

    strides: Sequence[int]
    clips: int = 1

    @property
    def drops(self) -> list[FrameDrop]:
        return [FrameDrop(stride, self.clips) for stride in self.strides]

    def frames(self, frames: int) -> list[int]:
        """Frames a level: 16 becomes [16, 8, 4, 2] for strides 2, [16, 4, 1, 1] for strides 4."""
        found = [frames]
        for drop in self.drops:
            found.append(drop.count(found[-1]))
        return found

    def __call__(self, clips: Tensor, rng: torch.Generator) -> list[Tensor]:
        """(B, C, T, H, W) -> per level l of L: (B, C, T_l, H / 2^(L - l), W / 2^(L - l))."""
        views, size = [], 2 ** len(self.strides)
        for level, drop in enumerate([None, *self.drops]):
            clips = clips if drop is None else drop(clips, rng)
            views.append(pool(clips, size >> level))
        return views

    def rows(self, rows: Tensor) -> list[Tensor]:
        """The rows (labels, latents) that belong to the clips of each level."""
        found = [rows]
        for drop in self.drops:
            found.append(drop.kept(found[-1]))
        return found


def pool(clips: Tensor, factor: int) -> Tensor:
    """Spatial average pooling by a whole factor: (B, C, T, H, W) -> (B, C, T, H / factor, W / factor)."""
    return clips if factor == 1 else F.avg_pool3d(clips, (1, factor, factor))


def take(clips: Tensor, index: Tensor) -> Tensor:
    """Frames `index` (B, n) of each clip: (B, C, T, H, W) -> (B, C, n, H, W)."""
    picked = take_folded(clips.transpose(1, 2).flatten(0, 1), index)
    return picked.unflatten(0, index.shape).transpose(1, 2)


def take_folded(frames: Tensor, index: Tensor) -> Tensor:
    """The same for frames folded into the batch, clip by clip: (B * T, ...) -> (B * n, ...)."""
    batch = len(index)
    first = torch.arange(batch, device=index.device)[:, None] * (len(frames) // batch)
    rows = (first + index).flatten().to(frames.device)
    # index_select, because its backward adds whole frames; that of advanced indexing adds number by number. It would
    # undo channels_last, so channels go last beforehand.
    if frames.dim() == 4 and frames.is_contiguous(memory_format=torch.channels_last):
        return frames.movedim(1, -1).index_select(0, rows).movedim(-1, 1)
    return frames.index_select(0, rows)


def _starts(batch: int, choices: int, rng: torch.Generator) -> Tensor:
    """A number in [0, choices) for each clip: int64 (batch, 1)."""
    return torch.randint(choices, (batch, 1), generator=rng, device=rng.device)
