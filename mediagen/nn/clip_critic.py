"""A critic of whole clips: strided 3-D convolutions down to a corner of 4 x 4, and one number (VGAN's and TGAN's).

Layout: B clips, C channels, T frames, H, W; K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClipCritic(nn.Module):
    """Clips (B, C, T, H, W) -> scores (B, 1), float32, unbounded.

    Every convolution is 4 x 4 x 4, stride 2, padding 1; batch norm after all but the first; leaky ReLU 0.2. `last`, a
    convolution over all that is left, is a linear layer. `scale` and `shift` tell which of its two a batch norm has. With
    `classes` K the first convolution also reads K channels that hold the class one-hot at every place. `sigma` is the
    deviation of noise added to the input and to every layer, in training.
    """

    def __init__(
        self, frames: int, size: int, channels: Sequence[int], *, inputs: int = 3, classes: int = 0, eps: float = 1e-5,
        scale: bool = True, shift: bool = True, sigma: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        shrink = 2 ** len(channels)
        assert frames % shrink == size % shrink == 0, "the last convolution must be left with whole cells"
        self.inputs, self.classes, self.sigma = inputs, classes, sigma
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        before = inputs + classes
        for index, outputs in enumerate(channels):
            self.convolutions.append(nn.Conv3d(before, outputs, 4, 2, 1))
            self.norms.append(batch_norm(outputs, eps, scale, shift) if index else nn.Identity())
            before = outputs
        self.last = nn.Conv3d(before, 1, (frames // shrink, size // shrink, size // shrink))

    def forward(self, clips: Tensor, labels: Tensor | None = None, rng: torch.Generator | None = None) -> Tensor:
        found = self.features(clips, labels, rng)
        # A difference of means decides here: half the digits would not do, and the layer is small.
        with torch.autocast(clips.device.type, enabled=False):
            scores: Tensor = self.last(found.float()).flatten(1)
        return scores

    def features(self, clips: Tensor, labels: Tensor | None = None, rng: torch.Generator | None = None) -> Tensor:
        """What the last layer reads, (B, channels[-1], T', h, w): the representation that recognition builds upon."""
        x = self.noisy(clips, rng).contiguous(memory_format=torch.channels_last_3d)
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            assert isinstance(convolution, nn.Conv3d)
            x = convolution(x) if index or not self.classes else self.conditioned(convolution, x, labels)
            x = F.leaky_relu(self.noisy(norm(x), rng), 0.2, inplace=True)
        return x

    def conditioned(self, convolution: nn.Conv3d, x: Tensor, labels: Tensor | None) -> Tensor:
        """The first convolution over the clip and the class voxels, without making the voxels.

        What it makes of a constant differs at the first and last place of an axis only: it is computed on a small voxel
        and spread out.
        """
        assert labels is not None, "a conditional critic needs the classes"
        seen = F.conv3d(x, convolution.weight[:, : self.inputs], convolution.bias, 2, 1)
        small = [min(n, 6) for n in x.shape[2:]]
        voxel = F.one_hot(labels, self.classes).to(x.dtype)[..., None, None, None].expand(-1, -1, *small)
        said = F.conv3d(voxel, convolution.weight[:, self.inputs :], None, 2, 1)
        for axis, (short, whole) in enumerate(zip(said.shape[2:], seen.shape[2:], strict=True), start=2):
            if short < whole:
                middle = [1] * (whole - 2)
                said = said.index_select(axis, torch.tensor([0, *middle, 2], device=said.device))
        return seen + said

    def noisy(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        if self.sigma == 0.0 or not self.training:
            return x
        assert rng is not None, "a noisy critic needs a generator of random numbers"
        return x + self.sigma * torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)


def batch_norm(channels: int, eps: float, scale: bool, shift: bool) -> nn.BatchNorm3d:
    """A batch norm with a scale, a shift, both or neither."""
    norm = nn.BatchNorm3d(channels, eps, affine=scale or shift)
    if not scale:
        norm.weight = None  # type: ignore[assignment]
    if not shift:
        norm.bias = None  # type: ignore[assignment]
    return norm
