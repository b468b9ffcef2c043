import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediagen.core.geometry import Window
from mediagen.core.seeds import brick_side, key_of, random_field

FAR = 2**62 - 4096
GOLDEN = [
    [0.31548956, 0.201020002, 1.42007649, 0.0790531561],
    [1.47125399, 0.288650155, 0.390577704, 0.42668131],
    [-0.98391223, 0.880688787, -0.181978241, -0.697155595],
]
DEEP = [-0.149882346, -0.403743416, -0.657621503, 0.0968995765]
FAR_HASH = "e4b12d8cbfbf5e3b5f0c10e9e622384950f1b0997af39418f64552ae9901f2fb"
positions = st.one_of(st.integers(-300, 300), st.integers(-FAR, FAR))


def brute(seed, name, channels, x, y):
    """One position's values, straight from the definition: fill the whole brick, take one column of it."""
    side = brick_side(channels)
    bx, by = x // side, y // side
    bits = np.random.Philox(key=key_of(seed, name), counter=np.array([0, bx % 2**64, by % 2**64, 0], np.uint64))
    brick = np.random.Generator(bits).standard_normal((side, channels, side), dtype=np.float32)
    return brick[y - by * side, :, x - bx * side]


@settings(max_examples=25, deadline=None)
@given(positions, positions, st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3, 5]), st.data())
def test_every_window_agrees_with_the_definition(x, y, width, height, channels, data):
    field = random_field(5, "z", channels, Window(x, y, width, height))
    i, j = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    assert field.shape == (channels, height, width)
    assert field.dtype == np.float32
    np.testing.assert_array_equal(field[:, i, j], brute(5, "z", channels, x + j, y + i))


@settings(max_examples=25, deadline=None)
@given(positions, positions, st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 2, 64, 512]))
def test_a_window_is_cut_from_any_larger_one(x, y, width, height, channels):
    large = random_field(1, "z_n", channels, Window(x - 9, y - 4, width + 11, height + 13))
    small = random_field(1, "z_n", channels, Window(x, y, width, height))
    np.testing.assert_array_equal(small, large[:, 4 : 4 + height, 9 : 9 + width])


def test_seed_name_and_channel_all_matter():
    window = Window(0, 0, 20, 20)
    fields = [random_field(s, n, 1, window)[0] for s, n in ((0, "a"), (1, "a"), (0, "b"), (-1, "a"), (10**30, "a"))]
    fields += list(random_field(0, "c", 2, window))
    for i, one in enumerate(fields):
        for other in fields[:i]:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.25


def test_values_are_standard_normal_and_do_not_repeat_from_brick_to_brick():
    field = random_field(0, "a", 1, Window(-128, -128, 256, 256))[0]
    assert abs(field.mean()) < 0.02
    assert abs(field.std() - 1) < 0.02
    assert len(np.unique(field)) > 0.99 * field.size


def test_golden_values():
    """If this fails, a NumPy release changed its normal transform, and every canvas would change with it."""
    expected = np.array(GOLDEN, np.float32)
    np.testing.assert_array_equal(random_field(7, "z_l", 1, Window(-2, -1, 4, 3))[0], expected)
    np.testing.assert_array_equal(random_field(7, "z_g", 512, Window(3, 0, 1, 1))[:4, 0, 0], np.array(DEEP, np.float32))
    far = random_field(0, "z_n/3", 1, Window(10**12 + 3, -100, 200, 150)).astype("<f4")
    assert hashlib.sha256(far.tobytes()).hexdigest() == FAR_HASH


@pytest.mark.parametrize(("channels", "side"), [(1, 64), (2, 32), (4, 32), (16, 16), (256, 4), (512, 2), (4097, 1)])
def test_the_rule_of_brick_sides(channels, side):
    assert brick_side(channels) == side
