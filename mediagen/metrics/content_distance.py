"""Average content distance (ACD): how much a clip's content changes while it moves. 0 when it never does.

"MoCoGAN" (Tulyakov et al. 2018), section 4: the mean L2 distance of a per-frame feature over all pairs of a clip's frames,
averaged over clips. The paper leaves open how the shape of Shape Motion is found and how colours are scaled; `ShapeColour`
states our answer. Blank and frozen clips score well, so `steps` (or motion control) belongs beside every figure.
Shapes: clips (B, 3, T, H, W) in [-1, 1]; pictures (N, 3, H, W); features (..., d).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Feature = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pictures (N, 3, H, W) -> features (N, d) and which pictures have one (N,) bool."""


@dataclass(frozen=True, kw_only=True)
class ContentDistance:
    """`mean` over the clips that have one (NaN if none has); `empty` frames without feature, a share of all frames."""

    mean: float
    error: float
    """Standard error of the mean."""
    empty: float
    clips: int
    """Clips that were counted: those with at least two frames that have a feature."""


@dataclass(frozen=True, kw_only=True)
class ShapeColour:
    """The mean colour (0 to 255) of the pixels that are off the black background.

    A pixel belongs to the shape when its brightest channel, rounded to whole steps, is at least `threshold`. A picture
    with fewer than `smallest` such pixels, or with more than `largest` of all, shows no shape: one that is gray all
    over would else have a very constant colour. The defaults keep every frame of real Shape Motion (47 to 196 pixels of 4,096).
    """

    threshold: int = 16
    smallest: int = 16
    largest: float = 0.25

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) in [-1, 1] -> mean colours (N, 3), whether there is a shape (N,)."""
        values, shape = self.split(pictures)
        total = (values * shape[:, None]).sum((2, 3))
        return total / shape.sum((1, 2)).clamp(min=1)[:, None], self.shown(shape)

    def split(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Values 0 to 255 (N, 3, H, W) in double precision, and the shape's pixels (N, H, W) bool."""
        values = ((pictures.double() + 1) * 127.5).round().clamp(0, 255)
        return values, values.amax(1) >= self.threshold

    def shown(self, shape: Tensor) -> Tensor:
        """Whether pictures whose shape's pixels are `shape` (N, H, W) show a shape at all, (N,) bool."""
        area = shape.sum((1, 2))
        return (area >= self.smallest) & (area <= self.largest * shape[0].numel())


def content_distance(clips: Tensor, feature: Feature) -> ContentDistance:
    """ACD over all pairs of frames; frames without a feature are left out and counted."""
    batch, _, frames = clips.shape[:3]
    found = [feature(clip.transpose(0, 1)) for clip in clips]
    distances = [_mean_pair(values[valid]) for values, valid in found if int(valid.sum()) > 1]
    empty = 1 - sum(int(valid.sum()) for _, valid in found) / (batch * frames)
    each = torch.tensor(distances, dtype=torch.float64)
    error = float(each.std() / len(each) ** 0.5) if len(each) > 1 else 0.0
    return ContentDistance(mean=float(each.mean()), error=error, empty=empty, clips=len(each))


def _mean_pair(values: Tensor) -> float:
    """Mean L2 distance over all pairs of rows (n, d), n > 1. Differences are taken first: equal rows give exactly 0."""
    first, second = torch.triu_indices(len(values), len(values), offset=1)
    return float((values[first] - values[second]).norm(dim=1).mean())


def steps(clips: Tensor, shape: ShapeColour | None = None) -> tuple[Tensor, Tensor]:
    """How far the shape's centre moves from frame to frame, in pixels, and where: (n,) each pair of frames with a shape.

    Returns the lengths of all steps and the lengths of the paths' chords, first to last frame (one per clip with a shape
    at both ends). Real Shape Motion of 16 frames: about 4.2 and 50.
    """
    shape = shape or ShapeColour()
    lengths, chords = [], []
    for clip in clips:
        pixels = shape.split(clip.transpose(0, 1))[1]
        centre, seen = _centres(pixels), shape.shown(pixels)
        lengths.append((centre[1:] - centre[:-1]).norm(dim=1)[seen[1:] & seen[:-1]])
        chords.append((centre[-1:] - centre[:1]).norm(dim=1)[seen[-1:] & seen[:1]])
    return torch.cat(lengths), torch.cat(chords)


def _centres(pixels: Tensor) -> Tensor:
    """Centres of gravity (T, 2), y before x, of pixels (T, H, W) bool."""
    area = pixels.sum((1, 2))
    rows, columns = pixels.sum(2).double(), pixels.sum(1).double()
    y = rows @ torch.arange(rows.shape[1], dtype=torch.float64, device=rows.device)
    x = columns @ torch.arange(columns.shape[1], dtype=torch.float64, device=rows.device)
    return torch.stack([y, x], 1) / area.clamp(min=1)[:, None]


def frame_change(clips: Tensor) -> float:
    """Mean absolute difference of successive frames on the scale 0 to 255: for clips of any content; 0 when frozen."""
    return float((clips[:, :, 1:].double() - clips[:, :, :-1].double()).abs().mean() * 127.5)
