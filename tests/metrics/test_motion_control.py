from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mediagen.metrics.motion_control import MotionClassifier, motion_control, recognised, train_classifier


def bars(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bars of any colour that move right (0) or down (1): clips (count, 3, 8, 32, 32) and labels."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=rng)
    clips = torch.full((count, 3, 8, 32, 32), -1.0)
    for clip, label in zip(clips, labels, strict=True):
        colour = torch.rand(3, 1, 1, generator=rng)
        start, speed = (int(torch.randint(low, high, (), generator=rng)) for low, high in ((0, 8), (1, 3)))
        for k in range(8):
            at = start + speed * k
            (clip[:, k, :, at : at + 4] if label == 0 else clip[:, k, at : at + 4])[:] = colour
    return clips, labels


@pytest.fixture(scope="module")
def trained() -> MotionClassifier:
    torch.set_num_threads(1)
    return train_classifier(*bars(96, 0), categories=2, steps=25, batch=16)


def test_real_clips_are_told_apart_and_wrong_actions_count_as_wrong(trained: MotionClassifier) -> None:
    (clips, labels), real = bars(40, 1), bars(40, 2)
    right = motion_control(trained, clips, labels, *real)
    wrong = motion_control(trained, clips, 1 - labels, *real)
    assert right.real > 0.95
    assert right.generated > 0.95
    assert wrong.generated == pytest.approx(1 - right.generated)
    assert right.chance == 0.5
    assert sum(map(sum, right.confusion)) == 40
    assert right.confusion[0][0] > right.confusion[0][1]


def test_larger_frames_are_scaled(trained: MotionClassifier) -> None:
    clips, _ = bars(6, 3)
    larger = clips.repeat_interleave(2, 3).repeat_interleave(2, 4)
    assert torch.equal(recognised(trained, larger), recognised(trained, clips))


def test_same_arguments_same_network_and_no_trace_in_the_global_generator() -> None:
    data = bars(16, 0)
    before = torch.random.get_rng_state()
    first, second, other = (train_classifier(*data, categories=2, steps=3, batch=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    states = [list(network.state_dict().values()) for network in (first, second, other)]
    assert all(torch.equal(a, b) for a, b in zip(states[0], states[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(states[0], states[2], strict=True))
