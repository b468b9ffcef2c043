"""Fine-tunes the critic of a trained VGAN to tell actions apart: `python samples/recognise.py RUN TRAIN TEST --clips 500`.

"Generating Videos with Scene Dynamics" (Vondrick et al. 2016), section 4.3: the critic without its last layer, dropout, a
new layer with a number per class, and all of it is trained. RUN is a training's folder, TRAIN and TEST are folders of videos
with a sub-folder per class (or lists of them). `--clips` is how many labelled clips may be learnt from, `--random` starts
from random weights instead, for comparison. Prints the share of TEST's clips that are recognised, as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.checkpoint import read_header
from mediagen.core.config import from_dict
from mediagen.data.videos import VideoFolder
from mediagen.errors import CheckpointError, UsageError
from mediagen.models import vgan
from mediagen.nn.clip_critic import ClipCritic
from mediagen.nn.initial import keyed, normal
from mediagen.train.state import newest_state

AT_ONCE = 16


class Recogniser(nn.Module):
    """Clips (B, 3, T, H, W) -> a number per class (B, K): the critic's features, whole maps dropped by half, one layer."""

    def __init__(self, critic: ClipCritic, classes: int):
        super().__init__()
        self.critic, self.drop = critic, nn.Dropout3d(0.5)
        self.head = nn.Conv3d(critic.last.in_channels, classes, critic.last.kernel_size)
        normal(self.head, 0.01)

    def forward(self, clips: Tensor) -> Tensor:
        found: Tensor = self.head(self.drop(self.critic.features(clips)))
        return found.flatten(1)


def critic_of(run: Path, random: bool) -> tuple[ClipCritic, vgan.Config]:
    """The critic of a VGAN's training and its configuration. Raises CheckpointError when RUN is of no such training."""
    header = read_header(run / "generator.safetensors")
    if header.get("model") != "vgan":
        raise CheckpointError(f"{run}: is no training of vgan, but of {header.get('model')}")
    config = from_dict(vgan.Config, header["config"], str(run))
    critic, state = vgan.critic(config), newest_state(run)
    if random:
        normal(critic, 0.01, 0.02)
    elif state is None:
        raise CheckpointError(f"{run}: holds no state, and the critic is nowhere else")
    else:
        prefix = "network/critic/"
        critic.load_state_dict({k.removeprefix(prefix): v for k, v in state[1].items() if k.startswith(prefix)})
    return critic, config


def fit(recogniser: Recogniser, clips: Tensor, labels: Tensor, *, iterations: int, rate: float, seed: int = 0) -> None:
    """Trains everything on random batches of the clips; Adam as in the critic's own training."""
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(recogniser.parameters(), rate, betas=(0.5, 0.999), fused=True)
    recogniser.train()
    with keyed(seed):  # dropout has no generator of its own
        for _ in range(iterations):
            some = torch.randint(len(clips), (AT_ONCE,), generator=rng)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(recogniser(clips[some]), labels[some]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(recogniser: Recogniser, clips: Tensor, labels: Tensor) -> float:
    """The share of clips whose class has the largest number."""
    recogniser.eval()
    found = torch.cat([recogniser(some).argmax(1) for some in clips.split(AT_ONCE)])
    return float((found == labels).double().mean())


def drawn(folder: VideoFolder, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` labelled clips, the same ones for a seed."""
    batch = folder.draw(count, np.random.Generator(np.random.Philox(key=seed))).tensors()
    return batch["clips"], batch["labels"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--clips", type=int, default=500, help="labelled clips to learn from")
    parser.add_argument("--test-clips", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--random", action="store_true", help="start from random weights")
    said = parser.parse_args()
    with keyed(0):
        critic, config = critic_of(said.run, said.random)
    train, test = (VideoFolder(path, needs=vgan.SPEC.needs(config)) for path in (said.train, said.test))
    if train.classes != test.classes or len(train.classes) < 2:
        raise UsageError("TRAIN and TEST must have the same sub-folders, one per class, and at least two")
    with keyed(1):
        recogniser = Recogniser(critic, len(train.classes))
    fit(recogniser, *drawn(train, said.clips, 1), iterations=said.iterations, rate=said.rate)
    share = accuracy(recogniser, *drawn(test, said.test_clips, 2))
    told = {"accuracy": share, "classes": len(train.classes), "clips": said.clips, "random": said.random}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
