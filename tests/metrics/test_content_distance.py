from __future__ import annotations

import math

import torch
from torch import Tensor

from mediagen.metrics.content_distance import ShapeColour, content_distance, frame_change, steps


def scene(colours: list[tuple[int, int, int] | None], places: list[tuple[int, int]], side: int = 8) -> Tensor:
    """A clip (3, T, 64, 64) of one square a frame, None for a black frame."""
    clip = torch.zeros(3, len(colours), 64, 64)
    for k, (colour, (top, left)) in enumerate(zip(colours, places, strict=True)):
        if colour is not None:
            clip[:, k, top : top + side, left : left + side] = torch.tensor(colour).view(3, 1, 1)
    return clip / 127.5 - 1


def test_hand_made_clip() -> None:
    """Colours 0, 30 and 40 steps of red and green apart: distances 30, 40 and 50, mean 40."""
    clip = scene([(100, 100, 50), (130, 100, 50), (100, 140, 50)], [(3, 3), (20, 20), (50, 9)])
    assert content_distance(clip[None], ShapeColour()).mean == 40.0


def test_all_pairs_not_neighbours() -> None:
    clip = scene([(100, 0, 0), (110, 0, 0), (120, 0, 0)], [(3, 3)] * 3)
    assert math.isclose(content_distance(clip[None], ShapeColour()).mean, 40 / 3)


def test_no_change_is_exactly_zero_and_clips_are_averaged() -> None:
    still = scene([(37, 211, 119)] * 4, [(3, 3), (9, 30), (40, 40), (1, 55)])
    jump = scene([(100, 0, 0)] * 2 + [(160, 0, 0)] * 2, [(3, 3)] * 4)
    assert content_distance(still[None], ShapeColour()).mean == 0.0
    both = content_distance(torch.stack([still, jump]), ShapeColour())
    assert math.isclose(both.mean, (0 + 60 * 4 / 6) / 2)
    assert math.isclose(both.error, both.mean)


def test_frames_without_shape_are_left_out_and_counted() -> None:
    black = scene([None] * 4, [(0, 0)] * 4)
    half = scene([(200, 0, 0), None, None, (200, 0, 0)], [(3, 3)] * 4)
    once = scene([(200, 0, 0), None, None, None], [(3, 3)] * 4)
    found = content_distance(torch.stack([black, half, once]), ShapeColour())
    assert (found.mean, found.clips, found.empty) == (0.0, 1, 9 / 12)
    assert math.isnan(content_distance(black[None], ShapeColour()).mean)


def test_threshold_and_least_area_are_kept() -> None:
    dim = scene([(15, 15, 15), (16, 0, 0)], [(3, 3)] * 2)
    assert ShapeColour()(dim.transpose(0, 1))[1].tolist() == [False, True]
    small = scene([(200, 0, 0)] * 2, [(3, 3)] * 2, side=3)
    assert content_distance(small[None], ShapeColour()).empty == 1.0
    assert content_distance(small[None], ShapeColour(smallest=9)).empty == 0.0
    gray = torch.zeros(1, 3, 4, 64, 64)
    assert content_distance(gray, ShapeColour()).empty == 1.0
    assert len(steps(gray)[0]) == 0
    assert content_distance(gray, ShapeColour(largest=1.0)).empty == 0.0


def test_any_feature() -> None:
    def level(pictures: Tensor) -> tuple[Tensor, Tensor]:
        return pictures.mean((1, 2, 3))[:, None], torch.ones(len(pictures), dtype=torch.bool)

    clips = torch.zeros(1, 3, 2, 8, 8)
    clips[:, :, 1] = 0.5
    assert content_distance(clips, level).mean == 0.5


def test_motion_of_shapes_and_of_anything() -> None:
    clip = scene([(200, 0, 0)] * 3, [(10, 10), (13, 14), (13, 20)])
    lengths, chords = steps(clip[None])
    assert lengths.tolist() == [5.0, 6.0]
    assert torch.allclose(chords, torch.tensor([109**0.5]).double())
    frozen = scene([(200, 0, 0)] * 3, [(10, 10)] * 3)
    assert steps(frozen[None])[0].tolist() == [0.0, 0.0]
    gone = scene([(200, 0, 0), None, (200, 0, 0)], [(10, 10)] * 3)
    assert steps(gone[None])[0].tolist() == []
    assert frame_change(frozen[None]) == 0.0
    assert frame_change(clip[None]) > 0.5
