"""Residual critics of clips and of single frames: TGANv2's 3D ResNet (section 4.2, Fig. 4) and its 2D twin.

After Miyato et al. 2018 ("Spectral Normalization") with every 3 x 3 kernel made 3 x 3 x 3; no normalisation at all.

Layout: B clips, C channels, T frames, H, W; K classes. A clip is (B, 3, T, H, W), a frame (B, 3, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.clip_views import RandomFrame
from mediagen.nn.conv3d import Conv3d


def glorot(layer: nn.Module, gain: float = 1.0) -> None:
    """Glorot uniform weights times `gain`, biases 0, for a linear or convolutional layer or an embedding."""
    nn.init.xavier_uniform_(layer.weight, gain=gain)  # type: ignore[arg-type]
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def down_sample(x: Tensor) -> Tensor:
    """Halves every axis after the second whose size is not 1: mean of 2, zeros around axes of odd size (counted in).

    6 becomes 3, 3 becomes 2, 1 stays 1: a clip of one frame passes through a 3D critic.
    """
    return shrink_frames(_halve_time(x) if x.dim() == 5 else x)


def shrink_frames(x: Tensor) -> Tensor:
    """Halves height and width alone, by the same rule."""
    kernel = [min(2, size) for size in x.shape[-2:]]
    padding = [size % 2 if size > 1 else 0 for size in x.shape[-2:]]
    if x.dim() == 4:
        return F.avg_pool2d(x, kernel, kernel, padding)
    # Frame by frame: avg_pool3d would copy its input out of channels_last and back.
    frames = F.avg_pool2d(x.transpose(1, 2).flatten(0, 1), kernel, kernel, padding)
    return frames.unflatten(0, (len(x), -1)).transpose(1, 2)


def _halve_time(x: Tensor) -> Tensor:
    frames = x.shape[2]
    if frames == 1:
        return x
    if frames % 2:
        x = F.pad(x, (0, 0, 0, 0, 1, 0))  # zeros on both sides, and the last frame has no partner
    return (x[:, :, ::2] + x[:, :, 1::2]) / 2


class Block(nn.Module):
    """Down(C): [ReLU] conv, ReLU, conv, smaller; beside it a shortcut of a 1-kernel convolution, smaller. Their sum.

    The `first` block has no ReLU in front and halves space only; its shortcut shrinks before it convolves.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool = False, axes: int = 3):
        super().__init__()
        convolution = Conv3d if axes == 3 else nn.Conv2d
        self.first = first
        self.one = convolution(inputs, outputs if first else inputs, 3, padding=1)
        self.two = convolution(outputs if first else inputs, outputs, 3, padding=1)
        self.shortcut = convolution(inputs, outputs, 1)
        for layer in (self.one, self.two):
            glorot(layer, math.sqrt(2))
        glorot(self.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            return shrink_frames(self.two(F.relu(self.one(x)))) + self.shortcut(shrink_frames(x))
        # A mean and a 1-kernel convolution commute, bias and all, unless zeros are counted in: convolve what is smaller.
        padded = any(size % 2 for size in x.shape[2:] if size > 1)
        beside = down_sample(self.shortcut(x)) if padded else self.shortcut(down_sample(x))
        return down_sample(self.two(F.relu(self.one(F.relu(x))))) + beside


class Critic(nn.Module):
    """Blocks, then ReLU, the sum over all positions, and one linear logit; K > 0 classes add a projection term.

    Projection (Miyato & Koyama 2018): logit += <embedding(label), pooled>.
    """

    def __init__(self, channels: Sequence[int], classes: int = 0, axes: int = 3):
        super().__init__()
        inputs = (3, *channels[:-1])
        pairs = zip(inputs, channels, strict=True)
        self.blocks = nn.Sequential(*(Block(i, o, first=k == 0, axes=axes) for k, (i, o) in enumerate(pairs)))
        self.logit = nn.Linear(channels[-1], 1)
        glorot(self.logit)
        self.classes = nn.Embedding(classes, channels[-1]) if classes else None
        if self.classes is not None:
            glorot(self.classes)

    def forward(self, clips: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B, 1) in float32 of clips (B, 3, T, H, W), or of frames (B, 3, H, W) for two axes."""
        features = F.relu(self.blocks(clips)).float().flatten(2).sum(2)
        logit = (features * self.logit.weight).sum(1, keepdim=True) + self.logit.bias  # not F.linear: autocast rounds
        if self.classes is not None:
            assert labels is not None, "a conditional critic needs labels"
            logit = logit + (self.classes(labels) * features).sum(1, keepdim=True)
        return logit


class LevelCritics(nn.Module):
    """A 3D critic a level. With `image` also a 2D one whose logit, on a random frame, is added to the last level's.

    One level and `image` are TGANv2's baseline "3D + 2D" (section 5.3).
    """

    def __init__(self, levels: int, channels: Sequence[int], classes: int = 0, *, image: bool = False):
        super().__init__()
        self.levels = nn.ModuleList(Critic(channels, classes) for _ in range(levels))
        self.image = Critic(channels, classes, axes=2) if image else None

    def forward(self, clips: Sequence[Tensor], labels: Sequence[Tensor | None], rng: torch.Generator) -> list[Tensor]:
        """Logits (B_l, 1) of every level's clips (B_l, 3, T_l, H_l, W_l) and labels (B_l,)."""
        shown = [seen.contiguous(memory_format=torch.channels_last_3d) for seen in clips]
        logits = [critic(seen, label) for critic, seen, label in zip(self.levels, shown, labels, strict=True)]
        if self.image is not None:
            logits[-1] = logits[-1] + self.image(RandomFrame()(clips[-1], rng), labels[-1])
        return logits
