from fractions import Fraction

import numpy as np
import pytest

from mediagen.core.geometry import Window
from mediagen.core.resample import Resample, local_field, touching
from mediagen.core.seeds import random_field

CELL = (16, 16)


@pytest.mark.parametrize(
    ("rectangle", "cells"),
    [
        (Resample(0, 0, 16, 16, 1), Window(0, 0, 2, 2)),  # pixel 15 lies nearer to position 1 than to 0
        (Resample(-8, -8, 16, 16, 1), Window(0, 0, 1, 1)),
        (Resample(7, 8, 1, 1, 1), Window(0, 1, 1, 1)),
        (Resample(-9, 0, 1, 1, 1), Window(-1, 0, 1, 1)),
        (Resample(16 * 10**15, 0, 17, 1, 1), Window(10**15, 0, 2, 1)),
    ],
)
def test_a_rectangle_holds_the_positions_nearest_to_its_pixels(rectangle, cells):
    assert rectangle.cells(CELL) == cells


def test_every_pixel_belongs_to_one_position_whatever_the_spacing():
    for size in (Fraction(249, 24), Fraction(7, 3), 64):
        each = [Resample(x, 0, 1, 1, 1).cells((size, size)).x for x in range(-300, 300)]
        assert each == [round(Fraction(x) / size + Fraction(1, 10**9)) for x in range(-300, 300)]


def test_inside_comes_from_the_rectangle_s_seed_and_outside_stays():
    field, rectangle = Window(-3, 5, 20, 10), Resample(16, 16 * 7, 16 * 4, 16 * 2, 99)
    drawn, plain, other = (
        local_field(1, 8, field, [rectangle], CELL),
        random_field(1, "z_l", 8, field),
        random_field(99, "z_l", 8, field),
    )
    inside = np.zeros((10, 20), bool)
    inside[rectangle.cells(CELL).within(field)] = True
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(drawn[:, inside], other[:, inside])
    np.testing.assert_array_equal(drawn[:, ~inside], plain[:, ~inside])


def test_windows_agree_and_the_plane_s_own_seed_changes_nothing():
    anew = [Resample(0, 0, 100, 100, 5), Resample(50, 50, 100, 100, 6)]
    large, small = Window(-10, -10, 40, 40), Window(2, 3, 7, 6)
    np.testing.assert_array_equal(
        local_field(1, 4, small, anew, CELL), local_field(1, 4, large, anew, CELL)[:, 13:19, 12:19]
    )
    np.testing.assert_array_equal(
        local_field(1, 4, large, [Resample(0, 0, 100, 100, 1)], CELL), random_field(1, "z_l", 4, large)
    )


def test_only_what_touches_a_window_is_told():
    anew = [Resample(0, 0, 32, 32, 5), Resample(10**6, 0, 32, 32, 6)]
    assert touching(anew, CELL, Window(100, 100, 5, 5)) == []
    assert touching(anew, CELL, Window(1, 0, 9, 9)) == [(1, 0, 2, 3, 5)]
