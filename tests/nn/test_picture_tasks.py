"""Tasks of single-image generators: sizes, masks, what is kept and what is redrawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_pyramid_generator import wild

from mediagen.errors import UsageError
from mediagen.models.consingan import PRESETS
from mediagen.nn.naive import cut_out, shuffle_rectangles
from mediagen.nn.picture_tasks import edit, enlarge, from_paint, harmonise, quantised, softened, vary

pytestmark = pytest.mark.usefixtures("one_thread")

PADDED = replace(PRESETS["tiny"], unbounded="none")


def collage(height: int = 32, width: int = 53, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("unbounded", ["none", "x"])
@pytest.mark.parametrize("size", [(32, 53), (32, 106), (64, 53), (45, 80)])
def test_variations_have_any_size(unbounded, size):
    model = wild(replace(PADDED, unbounded=unbounded))
    first, second = (vary(model, height=size[0], width=size[1], seed=seed) for seed in (0, 1))
    assert first.shape == (*size, 3)
    assert (first != second).mean() > 0.3
    np.testing.assert_array_equal(first, vary(model, height=size[0], width=size[1], seed=0))


def test_the_photograph_s_size_is_the_default():
    assert vary(wild(PADDED)).shape == (32, 53, 3)


@pytest.mark.parametrize("task", [harmonise, edit])
def test_what_lies_far_from_the_mask_is_kept(task):
    model, picture = wild(PADDED, 64, 106), collage(64, 106)
    mask = np.zeros((64, 106), bool)
    mask[20:30, 5:15] = True
    made = task(model, picture, mask)
    np.testing.assert_array_equal(made[:, 70:], picture[:, 70:])
    assert (made[20:30, 5:15] != picture[20:30, 5:15]).mean() > 0.5
    whole = task(model, picture)
    assert (whole[:, 70:] != picture[:, 70:]).mean() > 0.5
    assert (whole[22:28, 8:12].astype(int) - made[22:28, 8:12]).std() < 2


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(UsageError, match="the mask is 5 x 4 px"):
        harmonise(wild(PADDED), collage(), np.ones((4, 5), bool))


def test_the_collage_decides_the_result():
    model = wild(PADDED)
    one, other = (from_paint(model, collage(seed=seed)) for seed in (1, 2))
    assert (one != other).mean() > 0.3


def test_softened_masks_are_grown_and_blurred():
    mask = np.zeros((80, 80), bool)
    mask[40, 40] = True
    soft = softened(mask, 7)
    assert float(soft.max()) == 1.0
    assert float(soft[40, 40]) == pytest.approx(1.0)
    assert float(soft[40, 47]) > 0.3
    assert float(soft[40, 70]) == 0.0
    torch.testing.assert_close(soft, soft.T)


def test_quantising_finds_the_colours_that_are_there():
    wanted = np.array([[200, 10, 10], [10, 200, 10], [10, 10, 200]], np.uint8)
    picture = wanted[np.random.default_rng(0).integers(3, size=(20, 30))]
    noisy = np.clip(picture.astype(int) + np.random.default_rng(1).integers(-8, 9, picture.shape), 0, 255)
    found = quantised(noisy.astype(np.uint8), 3)
    assert len(np.unique(found.reshape(-1, 3), axis=0)) == 3
    assert np.abs(found.astype(int) - picture).max() <= 4


def test_enlarging_goes_step_by_step_to_the_size_asked_for():
    model = wild_pair()
    assert enlarge(model, collage(20, 31), 4.0).shape == (80, 124, 3)
    assert enlarge(model, collage(20, 31), 1.3).shape == (26, 40, 3)
    with pytest.raises(UsageError, match="more than 1"):
        enlarge(model, collage(20, 31), 1.0)


def wild_pair():
    """A model of two neighbouring sizes."""
    from mediagen.models.consingan import pyramid
    from mediagen.nn.pyramid_generator import PyramidGenerator

    config = replace(PADDED, stages=2, shrink=0.794)
    model = PyramidGenerator(config).eval().requires_grad_(False)
    model.sizes.copy_(torch.tensor(pyramid(config, 32, 53)).T)
    model.amplitudes.copy_(torch.tensor([1.0, 0.1]))
    return model


@pytest.mark.parametrize("change", [cut_out, shuffle_rectangles])
def test_naive_pictures_are_changed_copies(change):
    picture = torch.linspace(-1, 1, 3 * 24 * 40).view(1, 3, 24, 40)
    before = picture.clone()
    made = [change(picture, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert torch.equal(picture, before)
    assert all(m.shape == picture.shape and float(m.abs().max()) <= 1.0001 for m in made)
    differ = [float((m != picture).float().mean()) for m in made]
    assert np.mean([d > 0 for d in differ]) > 0.8
    assert len(set(differ)) > 10
    again = change(picture, torch.Generator().manual_seed(3))
    assert torch.equal(again, made[3])
