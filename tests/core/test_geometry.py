import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.core.geometry import PLANE_LIMIT, Conv, Interval, Up, Window, receptive_field

layers = st.lists(st.sampled_from([Conv(1), Conv(3), Conv(7), Up()]), max_size=6)


def read_by(layer, position):
    """The inputs of one output of one layer, from its definition."""
    if isinstance(layer, Up):
        return {i for i in range(position // 2 - 2, position // 2 + 3) if abs(position - 2 * i) <= 1}
    return set(range(position - layer.kernel // 2, position + layer.kernel // 2 + 1))


@given(layers, st.integers(-1000, 1000), st.integers(1, 40))
def test_receptive_fields_are_exactly_what_is_read(stack, start, length):
    wanted = set(range(start, start + length))
    for layer in reversed(stack):
        wanted = set().union(*(read_by(layer, position) for position in wanted))
    field = receptive_field(stack, Interval(start, start + length))
    assert (min(wanted), max(wanted) + 1) == (field.start, field.stop)


@given(st.integers(-(10**13), 10**13), st.integers(1, 50))
def test_what_up_reads_is_enough_to_make_what_was_asked(start, length):
    out = Interval(start, start + length)
    made = Up().makes(Up().reads(out))
    assert made.start <= out.start
    assert out.stop <= made.stop


boxes = st.builds(Window, st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 20), st.integers(1, 20))


@given(boxes, boxes)
def test_meeting_windows(one, other):
    def cells(w):
        return {(x, y) for x in range(w.x, w.right) for y in range(w.y, w.bottom)}

    both = one.meet(other)
    assert (cells(both) if both else set()) == cells(one) & cells(other)
    assert one.contains(other) == (cells(other) <= cells(one))


@given(boxes, st.data())
def test_within_cuts_the_right_part(outer, data):
    x = data.draw(st.integers(outer.x, outer.right - 1))
    y = data.draw(st.integers(outer.y, outer.bottom - 1))
    inner = Window(x, y, outer.right - x, outer.bottom - y)
    positions = np.array([[(x, y) for x in range(outer.x, outer.right)] for y in range(outer.y, outer.bottom)])
    cut = positions[inner.within(outer)]
    assert cut.shape[:2] == (inner.height, inner.width)
    assert tuple(cut[0, 0]) == (x, y)


@pytest.mark.parametrize(
    ("x", "y", "width", "height"), [(0, 0, 0, 1), (0, 0, 1, -3), (PLANE_LIMIT, 0, 1, 1), (0, -(2**63), 1, 1)]
)
def test_windows_that_cannot_be(x, y, width, height):
    with pytest.raises(ValueError, match=r"window needs|plane ends"):
        Window(x, y, width, height)


def test_the_paper_s_sizes():
    """11 cells of z_S become 17, 29, 53 and 101 (InfinityGAN, Fig. 18); 101 pixels need 35 cells of z_l."""
    block = [Up(), Conv(3), Conv(3)]
    sizes = [11]
    for _ in range(4):
        start, stop = 0, sizes[-1]
        # The outputs whose receptive field lies inside what is there.
        inside = [
            p
            for p in range(2 * start - 4, 2 * stop + 4)
            if _inside(receptive_field(block, Interval(p, p + 1)), start, stop)
        ]
        sizes.append(len(inside))
    assert sizes == [11, 17, 29, 53, 101]
    patch = Interval(30, 131)
    assert len(receptive_field([Conv(7)] * 4 + block * 4, patch)) == 35


def _inside(field, start, stop):
    return start <= field.start and field.stop <= stop
