"""`mediagen.frames`: frame k is a function of the seed and k alone, whatever is asked for around it."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from tiny import Pieces, Stream

import mediagen
from mediagen.core.clips import ClipRequest
from mediagen.errors import DataError, UsageError
from mediagen.video.frames import frames
from mediagen.video.layout import laid_out, laid_out_size

MODELS = [(Stream(), "cut"), (Pieces(), "cut"), (Pieces(), "interpolate")]


def shown(model, count, **more):
    return np.stack(list(frames(model, frames=count, **more)))


@pytest.mark.parametrize(("model", "join"), MODELS)
def test_frame_k_does_not_depend_on_the_length(model, join) -> None:
    long = shown(model, 150, join=join)
    assert long.shape == (150, *model.frame_size, 3)
    assert long.dtype == np.uint8
    for count in (1, 15, 16, 17, 100):
        assert np.array_equal(shown(model, count, join=join), long[:count])
    assert len(np.unique(long.reshape(150, -1), axis=0)) == 150, "it moves"


@pytest.mark.parametrize(("model", "join"), MODELS)
@pytest.mark.parametrize("start", [1, 16, 33, 64, 140])
def test_a_start_later_on_shows_the_same(model, join, start) -> None:
    assert np.array_equal(shown(model, 10, start=start, join=join), shown(model, 150, join=join)[start : start + 10])


def test_without_an_end() -> None:
    assert np.array_equal(np.stack(list(islice(mediagen.frames(Stream()), 40))), shown(Stream(), 40))


def test_none_at_all() -> None:
    assert list(frames(Stream(), frames=0)) == []


def test_seeds() -> None:
    plain = shown(Stream(), 5, seed=3)
    assert np.array_equal(plain, shown(Stream(), 5, seed=8, content_seed=3, motion_seed=3))
    assert not np.array_equal(plain, shown(Stream(), 5, seed=3, motion_seed=4))
    assert not np.array_equal(plain, shown(Stream(), 5, seed=4))


def test_a_grid_shows_each_seed_by_itself() -> None:
    grid = shown(Stream(), 20, grid=(2, 3), scale=2, seed=5)
    assert grid.shape == (20, *laid_out_size((16, 24), (2, 3), 2), 3)
    for i in range(6):
        top, left = i // 3 * (32 + 2), i % 3 * (48 + 2)
        assert np.array_equal(grid[:, top : top + 32, left : left + 48], shown(Stream(), 20, scale=2, seed=5 + i))
    assert (grid[:, 32:34] == 48).all()


def test_a_grid_of_one_content() -> None:
    """With a content seed, the tiles differ in their motion alone."""
    model = Stream()
    grid = shown(model, 4, grid=(1, 2), content_seed=9)
    assert np.array_equal(grid[:, :, 24 + 2 :], shown(model, 4, seed=1, content_seed=9))


def test_enlarging_keeps_flat_parts_and_order() -> None:
    """No tile's edge is drawn towards its neighbour, and whole levels stay as they are."""
    tiles = [torch.full((1, 3, 4, 4), value, dtype=torch.uint8) for value in (0, 255)]
    large = laid_out(tiles, (1, 2), 4)
    assert large.shape == (1, 16, 36, 3)
    assert (large[:, :, :16] == 0).all()
    assert (large[:, :, 20:] == 255).all()


def test_categories_change_on_the_way() -> None:
    every = shown(Stream(), 64, category=[0, 2], category_every=20)
    assert np.array_equal(every[:20], shown(Stream(), 20, category=0))
    assert not np.array_equal(every[20:40], shown(Stream(), 40, category=0)[20:])


def test_a_cross_fade_is_as_said() -> None:
    """Pieces of 20 frames overlap by 5: the middle of the overlap is the mean of both."""
    model, request = Pieces(), ClipRequest()
    first, second = model.clip(request, 0).detach(), model.clip(request, 1).detach()
    faded = shown(model, 35, join="interpolate")
    assert np.array_equal(faded[:15], shown(model, 15))
    middle = ((first[17] + second[2]) / 2 + 1) * 127.5
    assert np.abs(faded[17].astype(float) - middle.permute(1, 2, 0).numpy()).max() <= 0.5 + 1e-3
    assert np.array_equal(faded[20:30], shown(model, 40)[25:35])


def test_a_rate_stretches_pieces() -> None:
    slow = shown(Pieces(), 80, time_scale=0.5)
    assert np.array_equal(slow[40:80:2], shown(Pieces(), 40)[20:40])


def test_a_picture_is_fitted(tmp_path) -> None:
    picture = np.zeros((50, 40, 3), np.uint8) + 200
    assert not np.array_equal(shown(Stream(), 3, image=picture), shown(Stream(), 3))
    with pytest.raises(DataError, match=r"none\.png"):
        frames(Stream(), image=tmp_path / "none.png")


@pytest.mark.parametrize(
    ("model", "wish", "said"),
    [
        (Pieces(), {"content_seed": 1}, "--content-seed"),
        (Pieces(), {"motion_seed": 1}, "--motion-seed"),
        (Pieces(), {"image": np.zeros((9, 9, 3), np.uint8)}, "--image"),
        (Pieces(), {"reverse": True}, "--reverse"),
        (Pieces(), {"category": 0}, "without classes"),
        (Stream(), {"category": 3}, "0 to 2"),
        (Stream(), {"category": []}, "0 to 2"),
        (Stream(), {"time_scale": 0.0}, "--time-scale"),
        (Stream(), {"time_scale": -1.0}, "--time-scale"),
        (Stream(), {"time_scale": float("nan")}, "--time-scale"),
        (Stream(), {"grid": (0, 1)}, "grid"),
        (Stream(), {"scale": 0}, "scale"),
        (Stream(), {"frames": -1}, "frames"),
        (Stream(), {"start": -1}, "start"),
        (Stream(), {"join": "glue"}, "glue"),
        (Stream(), {"precision": "fp8"}, "fp8"),
        (Stream(), {"category": 1, "category_every": 0}, "category_every"),
        (torch.nn.Linear(1, 1), {}, "makes no clips"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(model, wish, said) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        frames(model, **wish)
    assert len(str(caught.value).splitlines()) == 1
