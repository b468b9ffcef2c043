"""The pyramid of one picture: the paper's sizes, resampling against torch's own, and windows that agree anywhere."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mediagen.core.geometry import Interval
from mediagen.nn.single_image import Axis, Plan, mirrored, place, resample, shrunk, stage_sizes, with_ends, with_rows

WIDTHS, HEIGHTS = (34, 42, 56, 84, 167, 250), (25, 32, 42, 63, 126, 188)


def axis(sizes: tuple[int, ...], bounded: bool = False) -> Axis:
    return Axis(sizes, bounded, sizes)


def test_the_six_printed_sizes():
    assert stage_sizes(188, 188, 25, 6) == HEIGHTS
    assert stage_sizes(250, 188, 25, 6) == WIDTHS


def test_the_geometric_sizes():
    assert stage_sizes(188, 188, 25, 6, geometric=True) == (25, 38, 57, 84, 126, 188)
    assert stage_sizes(250, 188, 25, 6, geometric=True) == (34, 50, 75, 112, 167, 250)


@pytest.mark.parametrize(("stages", "sizes"), [(1, (188,)), (2, (25, 188)), (3, (25, 69, 188))])
def test_few_stages(stages, sizes):
    assert stage_sizes(188, 188, 25, stages, geometric=stages == 3) == sizes
    assert stage_sizes(20, 20, 25, stages) == (20,) * stages


def test_upsampling_is_the_framework_s_own_within_the_picture():
    """Bicubic with aligned corners, edges repeated: equal to what ConSinGAN was written with."""
    rows, columns = axis(HEIGHTS, True), axis(WIDTHS, True)
    x = torch.randn(2, 3, 63, 84, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = Interval(0, 126), Interval(0, 167)
    down, across = (a.upsampling(4, out, Interval(0, a.sizes[3])) for a, out in zip((rows, columns), made, strict=True))
    wanted = F.interpolate(x, (126, 167), mode="bicubic", align_corners=True)
    torch.testing.assert_close(resample(x, down, across), wanted, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(-(10**15), 10**15), st.integers(1, 40), st.integers(1, 5), st.integers(0, 20), st.integers(0, 20))
def test_any_part_upsamples_as_in_the_whole_however_far_out(start, length, stage, before, after):
    a = axis(WIDTHS)
    small, large = Interval(start, start + length), Interval(start - before, start + length + after)
    read, reads = a.reads(stage, small), a.reads(stage, large)
    part, whole = a.upsampling(stage, small, read), a.upsampling(stage, large, reads)
    rows = whole[small.within(large)]
    np.testing.assert_array_equal(rows[:, read.within(reads)], part)
    assert rows.sum() == pytest.approx(part.sum())
    np.testing.assert_allclose(part.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("stage", range(1, 6))
def test_everything_repeats_after_the_period(stage):
    a = axis(WIDTHS)
    period, far = a.period(stage), 10**12
    near, there = Interval(3, 40), Interval(3 + far * period, 40 + far * period)
    steps = [a.steps(stage, span, reach=3, tail=1) for span in (near, there)]
    for k, (one, other) in enumerate(zip(*steps, strict=True)):
        move = far * period * (WIDTHS[k] - 1) // (WIDTHS[stage] - 1)
        assert (other.taken.start - move, other.taken.stop - move) == (one.taken.start, one.taken.stop)
        if k:
            matrices = [a.upsampling(k, s[k].known, s[k - 1].made) for s in steps]
            np.testing.assert_array_equal(*matrices)


def test_the_windows_of_the_documented_example():
    """256 pixels of the 250-pixel pyramid read 65 to 67 cells of the coarsest stage, and few more pixels than they keep."""
    for start in range(0, 249, 7):
        made = axis(WIDTHS).steps(5, Interval(start, start + 256), reach=3, tail=1)
        assert [len(step.made) for step in made][-1] == 258
        assert 60 <= len(made[0].taken) <= 75
        assert len(made[5].taken) == 264


def test_a_bounded_axis_ends_where_the_picture_does():
    a = axis(HEIGHTS, True)
    steps = a.steps(5, Interval(0, 188), reach=3, tail=1)
    for size, step in zip(HEIGHTS, steps, strict=True):
        assert (step.made, step.known) == (Interval(0, size), Interval(0, size))
        assert step.taken == Interval(-3, size + 3)


def test_the_plan_of_a_window_lies_inside_the_plan_of_a_larger_one():
    axes = axis(HEIGHTS, True), axis(WIDTHS)
    small = Plan.of(axes, 5, (Interval(20, 60), Interval(500, 540)), reach=3, tail=1)
    large = Plan.of(axes, 5, (Interval(0, 188), Interval(400, 700)), reach=3, tail=1)
    for n in range(6):
        for one, other in zip(small.known(n), large.known(n), strict=True):
            one.within(other)


def test_shrinking_keeps_the_ends_and_the_mean():
    axes = axis(HEIGHTS, True), axis(WIDTHS, True)
    ramp = torch.linspace(-1, 1, 250).expand(1, 3, 188, 250)
    small = shrunk(ramp, axes, 0)
    assert small.shape == (1, 3, 25, 34)
    torch.testing.assert_close(small[0, 0, 3, 3:-3], torch.linspace(-1, 1, 34)[3:-3], atol=1e-3, rtol=0)
    flat = torch.full((1, 3, 188, 250), 0.3)
    torch.testing.assert_close(shrunk(flat, axes, 2), torch.full((1, 3, 42, 56), 0.3))
    assert shrunk(ramp, axes, 5) is ramp


def test_shrinking_removes_what_a_coarse_lattice_cannot_hold():
    axes = axis(HEIGHTS, True), axis(WIDTHS, True)
    stripes = (torch.arange(250) % 2 * 2.0 - 1).expand(1, 3, 188, 250)
    assert shrunk(stripes, axes, 0).abs()[..., 2:-2].max() < 0.05


def test_mirroring_continues_a_picture():
    x = torch.arange(4.0).view(1, 1, 1, 4)
    found = mirrored(x, Interval(0, 1), Interval(-4, 9))[0, 0, 0].tolist()
    assert found == [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_rows_are_told_by_position():
    x = torch.zeros(2, 3, 10, 4)
    whole, part = with_rows(x, 3, Interval(0, 10), 10), with_rows(x[:, :, 4:7], 3, Interval(4, 7), 10)
    assert whole.shape == (2, 6, 10, 4)
    torch.testing.assert_close(whole[:, :, 4:7], part)
    assert float(whole[0, 3, 0, 0]) == pytest.approx(-float(whole[0, 3, 9, 0]))
    assert with_rows(x, 0, Interval(0, 10), 10) is x


def test_ends_are_mirrored_where_a_window_touches_them():
    x = torch.arange(6.0).view(1, 1, 6, 1)

    def seen(start: int) -> list[float]:
        return with_ends(x, 2, Interval(start, start + 6), 10).flatten().tolist()

    assert seen(0) == [2, 1, 0, 1, 2, 3, 4, 5]
    assert seen(2) == [0, 1, 2, 3, 4, 5]
    assert seen(4) == [0, 1, 2, 3, 4, 5, 4, 3]
    assert with_ends(x, 0, Interval(0, 6), 6) is x


def test_windows_show_the_ends_as_often_as_the_middle():
    rng = torch.Generator().manual_seed(0)
    starts = [place(160, 96, rng).start for _ in range(2000)]
    assert (min(starts), max(starts)) == (0, 64)
    assert 0.1 < np.mean(np.array(starts) == 0) < 0.25
    assert place(50, 96, rng) == place(50, 0, rng) == Interval(0, 50)
