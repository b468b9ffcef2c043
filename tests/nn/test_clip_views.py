"""What critics see: sizes, which frames, and that every frame can be seen."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.clip_views import FrameDrop, LevelViews, RandomFrame, RandomWindow, pool, take, take_folded


def numbered(batch: int, frames: int, size: int = 8) -> torch.Tensor:
    """Clips whose every value tells its clip and frame: 100 * clip + frame."""
    value = 100.0 * torch.arange(batch)[:, None] + torch.arange(frames)
    return value[:, None, :, None, None].expand(batch, 3, frames, size, size).contiguous()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames_of(clips: torch.Tensor) -> torch.Tensor:
    return clips[:, 0, :, 0, 0]


def test_a_random_frame_belongs_to_its_clip_and_all_are_seen():
    seen = RandomFrame()(numbered(600, 5), rng())
    assert seen.shape == (600, 3, 8, 8)
    frame = seen[:, 0, 0, 0] - 100 * torch.arange(600)
    counts = torch.bincount(frame.long(), minlength=5)
    assert counts.min() > 80
    assert counts.sum() == 600


def test_a_random_window_is_consecutive_and_each_clip_has_its_own():
    seen = RandomWindow(4)(numbered(200, 9), rng())
    assert seen.shape == (200, 3, 4, 8, 8)
    frames = frames_of(seen) - 100 * torch.arange(200)[:, None]
    torch.testing.assert_close(frames.diff(dim=1), torch.ones(200, 3))
    assert set(frames[:, 0].tolist()) == set(range(6))


def test_a_window_of_the_whole_clip_is_the_clip():
    clips = numbered(2, 4)
    assert RandomWindow(4)(clips, rng()) is clips


@pytest.mark.parametrize(
    ("frames", "stride", "left"), [(16, 2, 8), (16, 4, 4), (4, 4, 1), (1, 4, 1), (2, 4, 1), (7, 2, 3)]
)
def test_a_frame_drop_keeps_every_stride_th_frame_and_each_frame_can_be_kept(frames, stride, left):
    seen = FrameDrop(stride)(numbered(400, frames, 1), rng())
    kept = frames_of(seen) - 100 * torch.arange(400)[:, None]
    assert kept.shape == (400, left) == (400, FrameDrop(stride).count(frames))
    assert torch.equal(kept.diff(dim=1), torch.full((400, left - 1), float(stride)))
    assert set(kept.flatten().tolist()) == set(range(frames))
    if frames % stride == 0 or frames < stride:
        assert kept[:, 0].max() < min(stride, frames)


@pytest.mark.parametrize(("stride", "frames"), [(2, [16, 8, 4, 2]), (4, [16, 4, 1, 1]), (1, [16] * 4)])
def test_level_views_are_dropped_by_a_chain_and_pooled(stride, frames):
    views = LevelViews((stride,) * 3)
    assert views.frames(16) == frames
    found = views(numbered(3, 16, 16), rng())
    assert [tuple(v.shape) for v in found] == [(3, 3, n, s, s) for n, s in zip(frames, (2, 4, 8, 16), strict=True)]
    for coarse, fine in itertools.pairwise(found):
        for clip in range(3):
            assert set(frames_of(fine)[clip].tolist()) <= set(frames_of(coarse)[clip].tolist())


def test_every_frame_can_be_seen_at_every_level():
    for stride in (2, 4):
        for view in LevelViews((stride,) * 3)(numbered(600, 16, 8), rng()):
            kept = frames_of(view) - 100 * torch.arange(600)[:, None]
            assert set(kept.flatten().tolist()) == set(range(16))


def test_batch_reduction_keeps_the_same_clips_and_rows():
    views = LevelViews((2, 2), clips=2)
    found, rows = views(numbered(6, 8), rng()), views.rows(torch.arange(6))
    assert [v.tolist() for v in rows] == [[0, 1, 2, 3, 4, 5], [0, 2, 4], [0, 4]]
    for view, row in zip(found, rows, strict=True):
        assert torch.equal(frames_of(view)[:, 0] // 100, row.float())


def test_pooling_is_the_mean_of_squares():
    clips = torch.randn(2, 3, 4, 8, 8)
    expected = torch.stack([F.avg_pool2d(clips[:, :, t], 4) for t in range(4)], dim=2)
    torch.testing.assert_close(pool(clips, 4), expected)
    assert pool(clips, 1) is clips


def test_draws_depend_on_the_generator_alone():
    clips = numbered(8, 16)
    first, again = RandomFrame()(clips, rng(3)), RandomFrame()(clips, rng(3))
    assert torch.equal(first, again)
    assert not torch.equal(first, RandomFrame()(clips, rng(4)))


def test_folded_frames_are_taken_alike_and_pass_gradients_to_what_was_kept():
    clips, index = torch.randn(2, 3, 5, 2, 2), torch.tensor([[0, 4], [1, 1]])
    folded = clips.transpose(1, 2).flatten(0, 1).requires_grad_(True)
    picked = take_folded(folded, index)
    torch.testing.assert_close(picked, take(clips, index).transpose(1, 2).flatten(0, 1))
    picked.sum().backward()
    assert folded.grad[:, 0, 0, 0].tolist() == [1, 0, 0, 0, 1, 0, 2, 0, 0, 0]
