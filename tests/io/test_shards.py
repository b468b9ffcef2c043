from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_parts import fill, make_store, picture

from mediagen.io.layout import make_levels
from mediagen.io.shards import array_options, encode, is_whole

CHUNKS = 8
FOOTER = 16 * CHUNKS + 4


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    store = make_store(tmp_path / "a.zarr", 128, 64)
    fill(store, picture(64, 128))
    return store.shard_path(0, 0, 0)


def test_a_written_shard_is_whole(shard: Path) -> None:
    assert is_whole(shard, CHUNKS)


def test_absent_ones_are_not(shard: Path) -> None:
    assert not is_whole(shard.with_name("9"), CHUNKS)
    assert not is_whole(shard / "below", CHUNKS)


def test_no_truncation_passes(shard: Path) -> None:
    data = shard.read_bytes()
    for length in [*range(FOOTER + 2), *range(FOOTER, len(data), 97), len(data) - 1]:
        shard.write_bytes(data[:length])
        assert not is_whole(shard, CHUNKS), length


def test_no_flipped_bit_of_the_index_passes(shard: Path) -> None:
    data = shard.read_bytes()
    for bit in range(8 * FOOTER):
        damaged = bytearray(data)
        damaged[len(data) - FOOTER + bit // 8] ^= 1 << bit % 8
        shard.write_bytes(damaged)
        assert not is_whole(shard, CHUNKS), bit


def test_extra_bytes_and_lost_beginnings_do_not_pass(shard: Path) -> None:
    data = shard.read_bytes()
    for damaged in (data + b"\0", b"\0" + data, data[1:], data[-FOOTER:]):
        shard.write_bytes(damaged)
        assert not is_whole(shard, CHUNKS)


def test_a_shard_with_an_empty_slot_does_not_pass(tmp_path: Path) -> None:
    import zarr

    with zarr.config.set({"array.write_empty_chunks": False}):
        array = zarr.create_array(
            tmp_path / "a.zarr", shape=(64, 128), shards=(64, 128), chunks=(32, 32), dtype="uint8"
        )
        array[:32, :32] = np.ones((32, 32), np.uint8)
    assert (tmp_path / "a.zarr/c/0/0").exists()
    assert not is_whole(tmp_path / "a.zarr/c/0/0", CHUNKS)


@pytest.mark.parametrize(("columns", "rows"), [(4, 2), (2, 4), (1, 1), (8, 2), (3, 5), (7, 3), (16, 1)])
def test_the_bytes_are_zarrs_own(tmp_path: Path, columns: int, rows: int) -> None:
    import zarr

    width, height = 16 * columns, 16 * rows
    (level,) = make_levels(width, height, (width, height), 16, 1)
    planar = picture(height, width).transpose(2, 0, 1)
    array = zarr.create_array(tmp_path / "a.zarr", shape=planar.shape, **array_options(level))
    array[...] = planar
    assert encode(level, planar) == (tmp_path / "a.zarr/c/0/0/0").read_bytes()
    cut = encode(level, planar[:, :-9, :-9])
    array[...] = 0
    array[:, :-9, :-9] = planar[:, :-9, :-9]
    assert cut == (tmp_path / "a.zarr/c/0/0/0").read_bytes()
