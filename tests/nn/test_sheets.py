"""Bytes of numbers in [-1, 1]: the same for clips as for canvases; and the pictures that are kept for showing."""

import numpy as np
import torch

from mediagen.nn.pyramid_painter import arrays
from mediagen.nn.sheets import from_bytes, picture_tensor, recall, to_bytes


def test_every_byte_survives_the_round_trip():
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(from_bytes(values)), values)


def test_halves_are_rounded_upwards_and_the_rest_to_the_nearest():
    levels = torch.tensor([-3.0, 0.5, 1.5, 2.5, 100.49, 100.51, 254.6, 300.0])
    assert to_bytes((levels - 127.5) / 127.5).tolist() == [0, 1, 2, 3, 100, 101, 255, 255]
    assert to_bytes(torch.ones(2, dtype=torch.bfloat16)).tolist() == [255, 255]


def test_a_canvas_and_a_clip_show_the_same_bytes():
    pictures = torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(arrays(pictures), to_bytes(pictures).permute(0, 2, 3, 1).numpy())


def test_a_picture_that_was_flipped_in_memory_is_taken():
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    assert np.array_equal(arrays(picture_tensor(picture[::-1]))[0], picture[::-1])


def test_kept_pictures_are_the_latest_or_drawn():
    kept = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 1, 1)
    assert to_bytes(recall(kept, 6))[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 0, 1]
    drawn = recall(kept, 64, torch.Generator().manual_seed(0))
    assert set(to_bytes(drawn)[:, 0, 0, 0].tolist()) == {0, 1, 2, 3}
    assert not torch.equal(drawn[:4], recall(kept, 4))
