from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediagen.canvas.styles import CentreStyle, StretchStyle, UniformStyle, from_json, to_json, with_textures
from mediagen.core.geometry import Window
from mediagen.core.styles import Centre
from mediagen.errors import UsageError

POINTS = (Centre(10, 5, 1), Centre(61.5, -20.25, 2), Centre(-40, 30, 3), Centre(70, 70, 4), Centre(10, 5, 5))


def brute(points, blend, x, y, spacing=1):
    """Weights of all points at one pixel, straight from the definition."""
    reach = max(0, blend - 1) // 2
    lattice = [
        (u, v)
        for u in range(x - reach, x + reach + 1)
        for v in range(y - reach, y + reach + 1)
        if u % spacing == 0 and v % spacing == 0
    ]
    counts = np.zeros(len(points))
    for u, v in lattice:
        counts[np.argmin([(u - p.x) ** 2 + (v - p.y) ** 2 for p in points])] += 1
    return counts / len(lattice)


def test_one_style_has_weight_one_everywhere():
    style = UniformStyle(3, texture_seed=9)
    centres = style.centres(Window(-(10**15), 0, 10, 10))
    assert [(c.seed, c.index, c.texture_seed) for c in centres] == [(3, 0, 9)]
    np.testing.assert_array_equal(style.weights(Window(5, 5, 7, 2), centres, 4), np.ones((1, 1, 7)))


@pytest.mark.parametrize("blend", [0, 1, 2, 25, 64])
@pytest.mark.parametrize("stride", [1, 4])
def test_stretches_are_the_mean_filtered_one_hot_map(blend, stride):
    style, window = StretchStyle(0, 64, blend), Window(-40, 7, 60, 3)
    centres = style.centres(Window(stride * window.x, 0, stride * window.width, 1))
    weights = style.weights(window, centres, stride)
    reach = max(0, blend - 1) // 2
    for j in range(window.width):
        x = stride * (window.x + j)
        owner = [(x + d) // 64 for d in range(-reach, reach + 1)]
        for n, centre in enumerate(centres):
            assert weights[n, 0, j] == pytest.approx(owner.count(centre.index) / len(owner))
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-6)
    assert all(centre.x == (centre.index + 0.5) * 64 for centre in centres)


def test_only_the_stretches_that_weigh_are_named():
    style = StretchStyle(0, 100, 20)
    assert [c.index for c in style.centres(Window(10, 0, 80, 1))] == [0]
    assert [c.index for c in style.centres(Window(10, 0, 82, 1))] == [0, 1]
    assert [c.index for c in style.centres(Window(-9, 0, 1, 1))] == [-1, 0]
    assert [c.index for c in style.centres(Window(10**15 + 50, 0, 1, 1))] == [10**13]


@pytest.mark.parametrize(("every", "blend"), [(0, 0), (-5, 0), (10, 11), (10, -1)])
def test_stretches_that_cannot_be(every, blend):
    with pytest.raises(UsageError, match="styles that change"):
        StretchStyle(0, every, blend)


@pytest.mark.parametrize("blend", [0, 1, 7, 24])
@pytest.mark.parametrize("stride", [1, 8])
def test_centres_are_the_mean_filtered_nearest_map(blend, stride):
    style, window = CentreStyle(POINTS, blend), Window(-7, -6, 20, 15)
    pixels = Window(stride * window.x, stride * window.y, stride * window.width, stride * window.height)
    centres = style.centres(pixels)
    weights = style.weights(window, centres, stride)
    for i, j in ((0, 0), (3, 11), (14, 19), (9, 4)):
        expected = brute(POINTS, blend, stride * (window.x + j), stride * (window.y + i))
        found = np.zeros(len(POINTS))
        for n, centre in enumerate(centres):
            found[POINTS.index(centre)] = weights[n, i, j]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)


def test_a_tie_goes_to_the_first_centre():
    style = CentreStyle((Centre(0, 0, 1), Centre(10, 0, 2), Centre(10, 0, 3)), 0)
    assert [c.seed for c in style.centres(Window(5, 0, 1, 1))] == [1]
    assert [c.seed for c in style.centres(Window(6, 0, 1, 1))] == [2]


def test_a_wide_filter_thins_out_its_taps():
    style = replace(CentreStyle(POINTS), blend=600)
    assert style.spacing == 4
    window = Window(-3, 1, 9, 6)
    centres = style.centres(window)
    weights = style.weights(window, centres, 1)
    expected = brute(POINTS, 600, -3 + 8, 1 + 5, spacing=4)
    np.testing.assert_allclose(weights[:, 5, 8], [expected[POINTS.index(c)] for c in centres], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([0, 9, 127, 700]),
    st.sampled_from([1, 2, 16]),
    st.one_of(st.integers(-200, 200), st.integers(-(10**14), 10**14)),
    st.integers(-100, 100),
)
def test_weights_have_the_same_bits_in_every_window(blend, stride, x, y):
    points = tuple(replace(p, x=p.x + stride * x) for p in POINTS)
    for style in (CentreStyle(points, blend), StretchStyle(0, 1000, blend)):
        large, small = Window(x, y, 30, 20), Window(x + 7, y + 3, 11, 9)
        centres = style.centres(Window(stride * x, stride * y, stride * 30, stride * 20))
        some = style.centres(Window(stride * small.x, stride * small.y, stride * 11, stride * 9))
        outer, inner = style.weights(large, centres, stride), style.weights(small, some, stride)
        outer = np.broadcast_to(outer, (len(centres), 20, 30))[:, 3:12, 7:18]
        inner = np.broadcast_to(inner, (len(some), 9, 11))
        for n, centre in enumerate(centres):
            expected = inner[some.index(centre)] if centre in some else np.zeros((9, 11))
            np.testing.assert_array_equal(outer[n], expected)


def test_centres_that_are_missing_are_noticed():
    style = CentreStyle(POINTS, 9)
    with pytest.raises(AssertionError, match="centres are missing"):
        style.weights(Window(-100, -100, 300, 300), [POINTS[0]], 1)


@pytest.mark.parametrize(
    "style", [UniformStyle(1, 2), StretchStyle(1, 50, 10, 4), with_textures(CentreStyle(POINTS, 9), 6)]
)
def test_style_maps_survive_json(style):
    assert from_json(to_json(style)) == style


def test_a_map_without_centres_is_refused():
    with pytest.raises(UsageError, match="at least one centre"):
        CentreStyle(())
