from __future__ import annotations

import torch
from torch.nn import functional

from mediagen.metrics.swd import clip_sliced_wasserstein, sliced_wasserstein


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(seed: int, count: int = 24, size: int = 48) -> torch.Tensor:
    coarse = torch.randn(count, 3, 6, 6, generator=rng(seed))
    return functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(-1, 1)


def test_equal_sets_measure_zero_and_the_draw_is_all_that_decides() -> None:
    real, fake = smooth(1), smooth(2)
    assert sliced_wasserstein(real, real.clone(), rng()) == 0.0
    assert sliced_wasserstein(real, fake, rng(3)) == sliced_wasserstein(real, fake, rng(3))
    assert sliced_wasserstein(real, fake, rng(3)) != sliced_wasserstein(real, fake, rng(4))


def test_the_order_of_the_pictures_hardly_counts() -> None:
    real = smooth(1)
    assert sliced_wasserstein(real, real.flip(0), rng()) < 0.1 * sliced_wasserstein(real, real.neg() * 0.2, rng())


def test_worse_pictures_measure_more() -> None:
    real, noise = smooth(1), torch.randn(24, 3, 48, 48, generator=rng(5))
    kin = sliced_wasserstein(real, smooth(2), rng())
    faults = {
        "slightly noisy": smooth(2) + 0.1 * noise,
        "noisy": smooth(2) + 0.4 * noise,
        "collapsed": smooth(2)[:1].expand(24, -1, -1, -1),
        "gray": smooth(2).mean(1, keepdim=True).expand(-1, 3, -1, -1),
        "tinted": smooth(2) + torch.tensor([0.5, 0.0, -0.5]).view(1, 3, 1, 1),
    }
    measured = {name: sliced_wasserstein(real, fake, rng()) for name, fake in faults.items()}
    assert all(value > 1.2 * kin for value in measured.values()), (kin, measured)
    assert measured["noisy"] > measured["slightly noisy"]


def test_a_shift_of_the_finest_level_is_measured_exactly() -> None:
    """One level (16 px): every projection moves by shift * sum(direction), in units of the spread."""
    real = torch.randn(4, 3, 16, 16, generator=rng(1))
    near, far = (sliced_wasserstein(real, real + shift, rng()) for shift in (0.5, 1.0))
    assert abs(far / near - 2.0) < 1e-3


def moving(seed: int, count: int = 12, frames: int = 16, size: int = 32) -> torch.Tensor:
    """Smooth pictures that slide sideways and change slowly, (count, 3, frames, size, size)."""
    coarse = torch.randn(count, 3, 5, 6, 8, generator=rng(seed))
    still = functional.interpolate(coarse, size=(frames, size, size + 2 * frames), mode="trilinear").clamp(-1, 1)
    return torch.stack([still[:, :, k, :, 2 * k : 2 * k + size] for k in range(frames)], 2)


def test_equal_clips_measure_zero_and_the_draw_is_all_that_decides() -> None:
    real, fake = moving(1), moving(2)
    assert clip_sliced_wasserstein(real, real.clone(), rng()) == 0.0
    assert clip_sliced_wasserstein(real, fake, rng(3)) == clip_sliced_wasserstein(real, fake, rng(3))
    assert clip_sliced_wasserstein(real, fake, rng(3)) != clip_sliced_wasserstein(real, fake, rng(4))


def test_faults_of_time_and_of_pictures_measure_more() -> None:
    real, fake = moving(1, 24), moving(2, 24)
    kin = clip_sliced_wasserstein(real, fake, rng())
    order = torch.randperm(16, generator=rng(6))
    faults = {
        "shuffled": fake[:, :, order],
        "frozen": fake[:, :, :1].expand_as(fake),
        "noisy": fake + 0.3 * torch.randn(fake.shape, generator=rng(7)),
        "collapsed": fake[:1].expand_as(fake),
        "black": torch.full_like(fake, -1.0),
    }
    measured = {name: clip_sliced_wasserstein(real, clips, rng()) for name, clips in faults.items()}
    assert all(value > 1.2 * kin for value in measured.values()), (kin, measured)


def test_the_same_frames_in_another_order_measure_more_than_zero() -> None:
    real = moving(1)
    swapped = real.unflatten(2, (8, 2)).flip(3).flatten(2, 3)
    shuffled = real[:, :, torch.randperm(16, generator=rng(6))]
    measured = [clip_sliced_wasserstein(real, clips, rng()) for clips in (swapped, shuffled)]
    assert 0.0 < measured[0] < measured[1]


def test_short_clips_are_measured_too() -> None:
    for frames in (1, 2, 3, 5):
        real, fake = moving(1, 4, frames), moving(2, 4, frames)
        assert clip_sliced_wasserstein(real, real, rng()) == 0.0
        assert clip_sliced_wasserstein(real, fake, rng()) > 0.0


def test_pictures_are_measured_as_ever() -> None:
    """Pinned: snapshots of earlier trainings stay comparable."""
    assert abs(sliced_wasserstein(smooth(1), smooth(2), rng()) - 0.0572998) < 1e-4
