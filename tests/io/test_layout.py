from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.io.layout import level_count, make_levels, ngff, read_origin

sizes = st.integers(1, 10**12)


@given(sizes, sizes, st.integers(1, 4), st.integers(1, 4))
def test_every_pixel_of_a_level_is_in_exactly_one_shard(width: int, height: int, across: int, down: int) -> None:
    for level in make_levels(width, height, (across * 64, down * 64), 64, level_count(width, height)):
        rows, columns = level.grid
        last = level.shard_window(rows - 1, columns - 1)
        assert (last.right, last.bottom) == (level.width, level.height)
        assert (last.x, last.y) == ((columns - 1) * level.shard_width, (rows - 1) * level.shard_height)


@given(sizes, sizes)
def test_a_parent_has_at_most_four_children(width: int, height: int) -> None:
    levels = make_levels(width, height, (512, 256), 64, level_count(width, height))
    assert max(levels[-1].width, levels[-1].height) <= 1024
    for child, parent in pairwise(levels):
        assert (parent.width, parent.height) == (-(-child.width // 2), -(-child.height // 2))
        assert parent.grid == (-(-child.grid[0] // 2), -(-child.grid[1] // 2))


def test_small_levels_have_small_shards() -> None:
    levels = make_levels(100_000, 512, (4096, 512), 256, 8)
    assert [level.shard_height for level in levels[:3]] == [512, 256, 256]
    assert levels[-1].shard_width == 1024


@pytest.mark.parametrize("origin", [(0, 0), (-(10**18) - 3, -256), (2**61 + 1, 5)])
def test_the_origin_is_read_back_exactly(origin: tuple[int, int]) -> None:
    assert read_origin(ngff(origin, 5)) == origin
