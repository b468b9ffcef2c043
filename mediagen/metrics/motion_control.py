"""Motion control score (MCS): does a clip show the action that was asked for?

"MoCoGAN" (Tulyakov et al. 2018), section 4.3: a spatio-temporal CNN learns the classes of real clips; its accuracy on generated
clips, whose class is the one that was asked for, is the score. Its accuracy on real clips it never saw bounds what the
score can say and belongs beside it. The paper does not give its network; ours is small and trained here.
Shapes: clips (B, 3, T, H, W) in [-1, 1], labels (B,) int64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediagen.nn.initial import keyed

SIDE = 32
"""Frames are scaled to this many pixels: a motion needs no more, and the network is small."""
LEARNING_RATE = 2e-3


class MotionClassifier(nn.Sequential):
    """Four 3D convolutions that halve space, and time from the second one; the mean over what is left; class logits."""

    def __init__(self, categories: int, width: int = 16) -> None:
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate([(3, 1), (1, 2), (2, 4), (4, 4)]):
            inputs = 3 if index == 0 else inputs * width
            stride = (1 if index == 0 else 2, 2, 2)
            layers += [nn.Conv3d(inputs, outputs * width, 3, stride, 1), nn.GroupNorm(4, outputs * width), nn.ReLU()]
        # Where in a frame things are at which time tells motions apart, so the last map is kept, not averaged away.
        super().__init__(*layers, nn.AdaptiveAvgPool3d((2, 2, 2)), nn.Flatten(), nn.Linear(32 * width, categories))
        self.categories = categories


@dataclass(frozen=True, kw_only=True)
class MotionControl:
    """Accuracies in [0, 1]: on generated clips, on real ones that were not learnt from, and of blind guessing."""

    generated: float
    real: float
    chance: float
    confusion: list[list[int]]
    """Generated clips by [class asked for][class seen]."""


def train_classifier(
    clips: Tensor, labels: Tensor, *, categories: int, steps: int = 200, batch: int = 32, seed: int = 0
) -> MotionClassifier:
    """Learns the classes of real clips with Adam, for `steps` steps. The same arguments give the same network."""
    assert 0 <= int(labels.min()) <= int(labels.max()) < categories
    small = _scaled(clips)
    rng = torch.Generator().manual_seed(seed)
    with keyed(seed):
        network = MotionClassifier(categories)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(small), (batch,), generator=rng)
        # Colours say nothing of a motion: mixing the channels anew keeps the network from learning the training clips.
        seen = small[chosen][:, torch.randperm(3, generator=rng)]
        optimizer.zero_grad()
        functional.cross_entropy(network(seen), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def recognised(network: MotionClassifier, clips: Tensor, batch: int = 64) -> Tensor:
    """The class that the network sees in each clip, (B,) int64."""
    small = _scaled(clips)
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in small.split(batch)])


def motion_control(
    network: MotionClassifier, generated: Tensor, asked: Tensor, real: Tensor, real_labels: Tensor
) -> MotionControl:
    """The score of `generated` clips for the classes `asked` (B,), with the accuracy on held-out `real` clips."""
    seen, categories = recognised(network, generated), network.categories
    confusion = torch.zeros(categories, categories, dtype=torch.int64)
    confusion.index_put_((asked, seen), torch.ones_like(seen), accumulate=True)
    return MotionControl(
        generated=float((seen == asked).double().mean()),
        real=float((recognised(network, real) == real_labels).double().mean()),
        chance=1 / categories,
        confusion=confusion.tolist(),
    )


def _scaled(clips: Tensor) -> Tensor:
    """Clips (B, 3, T, SIDE, SIDE) float32 on the CPU, whatever their size."""
    clips = clips.float().cpu()
    if clips.shape[3:] == (SIDE, SIDE):
        return clips
    frames = clips.transpose(1, 2).flatten(0, 1)
    small = functional.interpolate(frames, size=(SIDE, SIDE), mode="area")
    return small.unflatten(0, (clips.shape[0], clips.shape[2])).transpose(1, 2)
