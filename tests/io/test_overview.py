from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from store_parts import fill, make_store

from mediagen.io.overview import LONG_SIDE, draw_overview, fold, write_overview
from mediagen.io.pyramid import Pyramid

sizes = st.integers(1, 10**10)


@given(sizes, sizes)
def test_strips_fit_the_picture_and_lie_in_the_canvas(width: int, height: int) -> None:
    folding = fold(width, height)
    strips = [folding.strip_size(window) for window in folding.windows]
    along, across = (0, 1) if folding.down else (1, 0)
    assert max(strip[along] for strip in strips) <= LONG_SIDE
    assert sum(strip[across] for strip in strips) + 8 * (len(strips) - 1) <= LONG_SIDE + len(strips)
    for window in folding.windows:
        assert window.x >= 0
        assert window.y >= 0
        assert window.right <= width
        assert window.bottom <= height


@given(st.integers(1, 200_000), st.integers(256, 4096))
def test_up_to_a_hundred_thousand_pixels_nothing_is_left_out(width: int, height: int) -> None:
    windows = fold(width, height).windows
    if height >= 512 or width <= 100_000:
        assert sum(window.area for window in windows) == width * height


def test_a_wide_canvas_is_read_like_text(tmp_path: Path) -> None:
    ramp = np.zeros((64, 20_000, 3), np.uint8)
    ramp[:, :, 0] = np.linspace(0, 255, 20_000)
    ramp[:32, :, 2] = 200
    store = make_store(tmp_path / "a.zarr", 20_000, 64, shard=(1024, 64))
    fill(store, ramp)
    Pyramid(store).catch_up()
    size = write_overview(store, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as png:
        assert png.size == size
        seen = np.asarray(png).astype(int)
        notes = dict(png.info)
    assert max(size) <= LONG_SIDE
    assert json.loads(notes["mediagen"]) == {"seed": 7}
    strips = json.loads(notes["mediagen-strips"])
    assert strips[0][:2] == [-1000, -32]
    assert len(strips) > 5
    pitch = (size[1] + 8) / len(strips)
    for i, (x, _, width, _) in enumerate(strips):
        row = round(i * pitch) + 4
        shown = min(size[0], round(width * size[0] / strips[0][2]))
        assert abs(seen[row, shown // 2, 0] - 255 * (x + 1000 + width / 2) / 20_000) < 4
        assert seen[row, shown // 2, 2] == 200
        assert seen[round((i + 1) * pitch) - 12, shown // 2, 2] == 0
    assert (seen[round(pitch) - 6 : round(pitch) - 2] == 255).all()


def test_a_square_canvas_is_shown_whole(tmp_path: Path) -> None:
    whole = np.zeros((1500, 1400, 3), np.uint8)
    whole[:700, :, 0] = 250
    whole[:, 700:, 1] = 250
    store = make_store(tmp_path / "a.zarr", 1400, 1500, shard=(512, 512), chunk=256)
    fill(store, whole)
    Pyramid(store).catch_up()
    assert write_overview(store, tmp_path / "a.png") == (1400, 1500)
    with Image.open(tmp_path / "a.png") as png:
        assert np.array_equal(np.asarray(png), whole)


def test_the_same_canvas_gives_the_same_file_even_unfinished(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 3000, 64)
    for name in ("a.png", "b.png"):
        write_overview(store, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("width", "height"), [(9000, 64), (300, 5000), (1400, 1500), (5000, 3000)])
def test_drawn_while_the_canvas_comes_about_it_is_the_same(tmp_path: Path, width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 50 + 1, width // 50 + 1, 3), np.uint8)
    whole = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    store = make_store(tmp_path / "a.zarr", width, height, shard=(512, 512), chunk=256)
    pyramid, drawing, waited = Pyramid(store), draw_overview(store, tmp_path / "a.png"), 0
    rows, columns = store.grid()
    for ix in range(columns):
        for iy in range(rows):
            window = store.shard_window(0, iy, ix)
            store.write_shard(0, iy, ix, whole[window.y : window.bottom, window.x : window.right])
            pyramid.done(0, iy, ix)
            waited += next(drawing, "done") is None
    assert waited > 0
    assert list(drawing) == []
    write_overview(store, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    folding = fold(width, height)
    with Image.open(tmp_path / "a.png") as png:
        seen = np.asarray(png).astype(int)
    for window, place in folding.strips():
        level = 0
        while level + 1 < len(store.levels) and window.width >> (level + 1) >= place.width:
            level += 1
        pixels = store.read(level, *(n >> level for n in (window.x, window.y, window.width, window.height)))
        at_once = Image.fromarray(pixels).resize((place.width, place.height), Image.Resampling.LANCZOS)
        off = np.abs(seen[place.y : place.bottom, place.x : place.right] - np.asarray(at_once))
        assert off.max() <= 3, "bands must not show"
        assert off.mean() < 0.2


def test_a_drawing_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    drawing = draw_overview(make_store(tmp_path / "a.zarr", 3000, 64), tmp_path / "a.png")
    next(drawing)
    assert len(list(tmp_path.glob("a.png.*"))) == 1
    drawing.close()
    assert not list(tmp_path.glob("a.png*"))
