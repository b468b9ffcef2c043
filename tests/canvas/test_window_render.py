import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from meadow import Meadow

import mediagen
from mediagen.canvas.plan import grid_of
from mediagen.canvas.render import BlockSource, render
from mediagen.canvas.styles import CentreStyle, StretchStyle, UniformStyle
from mediagen.core.geometry import Window
from mediagen.core.styles import Centre
from mediagen.errors import UsageError

STYLES = {
    "one": UniformStyle(1),
    "stretches": StretchStyle(1, 90, 40),
    "centres": CentreStyle((Centre(0, 0, 1), Centre(100, 20, 2), Centre(10**12 + 50, 0, 3)), 31),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("styles", STYLES.values(), ids=STYLES)
def test_the_window_law_far_from_the_origin(precision, styles):
    """The window at (10**12 + 3, -100) is bit for bit what is cut from a larger one."""
    shared = {"seed": 7, "styles": styles, "precision": precision, "block": (64, 64)}
    small = render(Meadow(), x=10**12 + 3, y=-100, width=101, height=77, **shared)
    large = render(Meadow(), x=10**12 - 90, y=-133, width=301, height=190, **shared)
    np.testing.assert_array_equal(small, large[33 : 33 + 77, 93 : 93 + 101])
    assert small.std() > 10


@settings(max_examples=20, deadline=None)
@given(st.integers(-(10**13), 10**13), st.integers(-500, 500), st.integers(1, 150), st.integers(1, 100), st.booleans())
def test_any_window_by_itself(x, y, width, height, texture):
    shared = {"seed": 2, "block": (64, 32), "style_every": 70, "texture_seed": 5 if texture else None}
    small = render(Meadow(), x=x, y=y, width=width, height=height, **shared)
    large = render(Meadow(), x=x - 13, y=y - 37, width=width + 40, height=height + 50, **shared)
    np.testing.assert_array_equal(small, large[37 : 37 + height, 13 : 13 + width])


def test_the_block_is_no_part_of_the_picture_in_fp32():
    wanted = render(Meadow(), x=-7, width=200, seed=1, block=(64, 64))
    np.testing.assert_array_equal(wanted, render(Meadow(), x=-7, width=200, seed=1, block=(128, 32)))
    np.testing.assert_array_equal(wanted, render(Meadow(), x=-7, width=200, seed=1))


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("keep", [0, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_lanes_and_threads_do_not_matter(lanes, keep, threads):
    model, window = Meadow(), Window(-70, -50, 333, 144)
    grid = grid_of(model, 64, 64)
    expected = render(model, x=-70, y=-50, width=333, height=144, seed=1, styles=STYLES["stretches"], block=(64, 64))
    torch.set_num_threads(threads)
    painters = [model.painter(STYLES["stretches"], device=torch.device("cpu"), precision="fp32") for _ in range(lanes)]
    with BlockSource(model, painters, grid, seed=1, keep=keep) as source:
        np.testing.assert_array_equal(source.window(window), expected)
        assert source.painted == grid.count(window)
        np.testing.assert_array_equal(source.window(Window(0, -32, 64, 64)), expected[18:82, 70:134])
    assert torch.get_num_threads() == threads


def test_an_error_of_the_model_arrives():
    model = Meadow()
    painter = model.painter(STYLES["one"], device=torch.device("cpu"), precision="fp32")
    painter.dtype = torch.int8
    with pytest.raises(RuntimeError), BlockSource(model, [painter], grid_of(model, 64, 64), seed=1) as source:
        source.window(Window(0, 0, 300, 10))


def test_kept_blocks_are_not_painted_again_and_begun_ones_do_not_pile_up():
    model = Meadow()
    painter = model.painter(STYLES["one"], device=torch.device("cpu"), precision="fp32")
    with BlockSource(model, [painter], grid_of(model, 64, 64), seed=1, keep=4) as source:
        windows = [Window(40 + 64 * i, -32, 64, 64) for i in range(8)]
        for window, following in zip(windows, [*windows[1:], None], strict=True):
            source.window(window, [following] if following else [])
            assert len(source._started) <= 2
        assert source.painted == 9
        assert len(source._finished) <= 4


def test_structure_and_texture_can_be_exchanged():
    shared = {"width": 64, "height": 64, "seed": 1, "style_every": 0}
    plain = render(Meadow(), **shared)
    structure, texture = render(Meadow(), structure_seed=9, **shared), render(Meadow(), texture_seed=9, **shared)
    np.testing.assert_array_equal(render(Meadow(), structure_seed=1, texture_seed=1, **shared), plain)
    for one, other in ((plain, structure), (plain, texture), (structure, texture)):
        assert (one != other).mean() > 0.5
    other_seed = render(Meadow(), **{**shared, "seed": 9})
    np.testing.assert_array_equal(
        render(Meadow(), structure_seed=9, texture_seed=9, **{**shared, "seed": 9}), other_seed
    )


def test_defaults_are_the_scene_s_rows():
    np.testing.assert_array_equal(
        render(Meadow(), width=50), render(Meadow(), x=0, y=-32, width=50, height=64, seed=0, style_every=4096)
    )
    assert render(Meadow(), width=5, height=10).shape == (10, 5, 3)


def test_the_face_of_the_package_is_this_function():
    assert mediagen.render is render
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        _ = mediagen.rendr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"width": -5}, "width must be at least 1"),
        ({"width": "wide"}, "width must be a whole number"),
        ({"width": 10.5}, "width must be a whole number"),
        ({"height": 0}, "height must be at least 1"),
        ({"x": 2**62}, "the plane ends"),
        ({"block": (63, 64)}, "multiples of 4 px"),
        ({"memory": "much"}, "a memory budget is"),
        ({"memory": "1kB"}, "too small"),
        ({"device": "gpu"}, "there is no device"),
        ({"device": "cuda:99"}, "there is no device"),
        ({"device": "meta"}, "not supported"),
    ],
)
def test_requests_that_make_no_sense(changes, said):
    with pytest.raises(UsageError, match=said):
        render(Meadow(), **{"width": 10, **changes})


def test_something_that_is_no_canvas_model():
    with pytest.raises(UsageError, match="cannot paint a canvas"):
        render(torch.nn.Linear(1, 1), width=10)
