from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from store_parts import cut, fill, hashes, make_store, picture

from mediagen.io.pyramid import Pyramid, halve
from mediagen.io.store import CanvasStore


def reference(whole: np.ndarray) -> np.ndarray:
    """The next level, one pixel at a time."""
    height, width, _ = whole.shape
    out = np.zeros((-(-height // 2), -(-width // 2), 3), np.uint8)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            rows, columns = [2 * y, min(2 * y + 1, height - 1)], [2 * x, min(2 * x + 1, width - 1)]
            total = sum(whole[row, column].astype(int) for row in rows for column in columns)
            out[y, x] = (total + 2) // 4
    return out


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 4), (8, 8), (5, 9)])
def test_halving_equals_the_plain_loop(height: int, width: int) -> None:
    whole = picture(height, width)
    assert np.array_equal(halve(whole.transpose(2, 0, 1)).transpose(1, 2, 0), reference(whole))


def paint(store: CanvasStore, whole: np.ndarray, order: list[tuple[int, int]]) -> int:
    pyramid, made = Pyramid(store), 0
    for iy, ix in order:
        store.write_shard(0, iy, ix, cut(store, whole, (iy, ix)))
        made += len(pyramid.done(0, iy, ix))
    return made


def test_any_order_gives_the_same_bytes_and_the_reference(tmp_path: Path) -> None:
    whole = picture(205, 777)
    at_once = make_store(tmp_path / "once.zarr", 777, 205, levels=4)
    fill(at_once, whole)
    made = Pyramid(at_once).catch_up()
    assert Pyramid(at_once).is_complete()
    shards = list(make_store(tmp_path / "scratch.zarr", 777, 205, levels=4).missing(0))
    for seed in range(3):
        order = random.Random(seed).sample(shards, len(shards))
        store = make_store(tmp_path / f"{seed}.zarr", 777, 205, levels=4)
        assert paint(store, whole, order) == len(made)
        assert hashes(store.path) == hashes(at_once.path)
    level = whole
    for index in range(1, 4):
        level = reference(level)
        assert np.array_equal(at_once.read(index, 0, 0, level.shape[1], level.shape[0]), level)


def test_a_restart_in_the_middle_finds_what_is_missing(tmp_path: Path) -> None:
    whole = picture(205, 777)
    at_once = make_store(tmp_path / "once.zarr", 777, 205, levels=4)
    fill(at_once, whole)
    Pyramid(at_once).catch_up()
    store = make_store(tmp_path / "a.zarr", 777, 205, levels=4)
    shards = list(store.missing(0))
    paint(store, whole, shards[:11])
    store.write_shard(0, *shards[11], cut(store, whole, shards[11]))  # Killed before its `done`.
    for level, iy, ix in ((1, 0, 0), (2, 0, 0)):  # And two pyramid shards were lost to a power cut.
        file = store.shard_path(level, iy, ix)
        if file.exists():
            file.write_bytes(file.read_bytes()[:50])
    again = CanvasStore.open(store.path, "r+")
    Pyramid(again).catch_up()
    paint(again, whole, list(again.missing(0)))
    assert Pyramid(again).is_complete()
    assert hashes(again.path) == hashes(at_once.path)


def test_catching_up_can_be_stopped(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 777, 205, levels=4)
    fill(store, picture(205, 777))
    assert Pyramid(store).catch_up(should_stop=lambda: True) == []
    assert not Pyramid(store).is_complete()


def test_bookkeeping_does_not_grow_with_the_canvas(tmp_path: Path) -> None:
    peaks = []
    for width in (10**4, 10**9):
        store = make_store(tmp_path / f"{width}.zarr", width, 64)
        pyramid, shard = Pyramid(store), picture(64, 128)
        store.write_shard(0, 0, 0, shard)
        tracemalloc.start()
        for ix in (3, 2, 1):
            store.write_shard(0, 0, ix, shard)
            pyramid.done(0, 0, ix)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert store.shard_is_whole(2, 0, 0)
    assert peaks[1] < 1.5 * peaks[0] + 100_000


def test_pictures_handed_over_are_not_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = picture(205, 777)
    at_once, store = (make_store(tmp_path / name, 777, 205, levels=4) for name in ("once.zarr", "a.zarr"))
    fill(at_once, whole)
    Pyramid(at_once).catch_up()
    monkeypatch.setattr(CanvasStore, "read_planar", None)
    pyramid = Pyramid(store)
    for iy, ix in store.missing(0):
        planar = np.ascontiguousarray(cut(store, whole, (iy, ix)).transpose(2, 0, 1))
        store.write_planar(0, iy, ix, planar)
        pyramid.done(0, iy, ix, planar)
        assert len(pyramid._halved) <= 16
    monkeypatch.undo()
    assert hashes(store.path) == hashes(at_once.path)
