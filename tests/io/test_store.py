from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from store_parts import cut, fill, hashes, make_store, picture

from mediagen.errors import StoreError
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore, is_canvas, probe, remove_canvas


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    whole = picture(150, 300)
    store = make_store(tmp_path / "a.zarr", 300, 150)
    assert store.grid(0) == (3, 3)
    fill(store, whole)
    again = CanvasStore.open(tmp_path / "a.zarr")
    assert np.array_equal(again.read(0, 0, 0, 300, 150), whole)
    assert np.array_equal(again.read(0, 101, 49, 150, 70), whole[49:119, 101:251])
    assert np.array_equal(again.read_shard(0, 2, 2), whole[128:, 256:])
    assert (again.origin, again.attributes, again.levels) == ((-1000, -32), {"seed": 7}, store.levels)


def test_plain_zarr_reads_it(tmp_path: Path) -> None:
    whole = picture(150, 300)
    fill(make_store(tmp_path / "a.zarr", 300, 150), whole)
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["0"]
    assert isinstance(array, zarr.Array)
    assert np.array_equal(np.asarray(array[...]), whole.transpose(2, 0, 1))


def test_plain_zarr_would_have_written_the_same_bytes(tmp_path: Path) -> None:
    whole = picture(128, 384)  # Whole shards: at an array's end, zarr leaves out what lies beyond.
    fill(make_store(tmp_path / "a.zarr", 384, 128), whole)
    make_store(tmp_path / "b.zarr", 384, 128)
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.open_group(tmp_path / "b.zarr", mode="r+")["0"]
        assert isinstance(array, zarr.Array)
        array[...] = whole.transpose(2, 0, 1)
    assert hashes(tmp_path / "a.zarr") == hashes(tmp_path / "b.zarr")


def test_same_pixels_same_bytes_in_any_order_over_anything(tmp_path: Path) -> None:
    one, two = make_store(tmp_path / "a.zarr", 300, 64), make_store(tmp_path / "b.zarr", 300, 64)
    fill(one, picture(64, 300))
    for ix in (2, 0, 1):
        window = two.shard_window(0, 0, ix)
        two.write_shard(0, 0, ix, np.full((window.height, window.width, 3), 9, np.uint8))
        two.write_shard(0, 0, ix, picture(64, 300)[:, window.x : window.right])
    assert hashes(tmp_path / "a.zarr") == hashes(tmp_path / "b.zarr")


def test_black_shards_are_written_and_whole(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 300, 64)
    assert list(store.missing(0)) == [(0, 0), (0, 1), (0, 2)]
    store.write_shard(0, 0, 1, np.zeros((64, 128, 3), np.uint8))
    assert list(store.missing(0)) == [(0, 0), (0, 2)]


def test_it_is_valid_ngff(tmp_path: Path) -> None:
    from ome_zarr_models.v05 import image as models

    make_store(tmp_path / "a.zarr", 3000, 150, origin=(-(10**12), -75))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    image = models.Image.from_zarr(group)
    datasets = image.ome_attributes.multiscales[0].datasets
    assert [data.path for data in datasets] == ["0", "1", "2"]
    scale, translation = datasets[2].coordinateTransformations
    assert list(scale.scale) == [1, 4, 4]
    assert list(translation.translation) == [0, -75 + 1.5, -(10**12) + 1.5]
    assert json.loads((tmp_path / "a.zarr/0/zarr.json").read_text())["dimension_names"] == ["c", "y", "x"]
    assert "consolidated_metadata" not in (tmp_path / "a.zarr/zarr.json").read_text()


def test_the_ome_zarr_reader_opens_it(tmp_path: Path) -> None:
    from ome_zarr import io, reader

    store, whole = make_store(tmp_path / "a.zarr", 1500, 64), picture(64, 1500)
    fill(store, whole)
    Pyramid(store).catch_up()
    (node,) = list(reader.Reader(io.parse_url(tmp_path / "a.zarr"))())
    assert [level.shape for level in node.data] == [(3, 64, 1500), (3, 32, 750)]
    assert np.array_equal(np.asarray(node.data[0]), whole.transpose(2, 0, 1))


def test_width_is_free(tmp_path: Path) -> None:
    store = CanvasStore.create(
        tmp_path / "a.zarr", width=10**9, height=512, shard=(4096, 512), origin=(-(10**15), -256), attributes={}
    )
    store.write_shard(0, 0, 200_000, np.full((512, 4096, 3), 5, np.uint8))
    assert store.read(0, 200_000 * 4096, 511, 1, 1).tolist() == [[[5, 5, 5]]]
    there = [file for file in (tmp_path / "a.zarr").rglob("*") if file.is_file()]
    assert len(there) < 100
    assert sum(file.stat().st_size for file in there if file.name == "zarr.json") < 100_000


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    fill(make_store(tmp_path / "a.zarr", 300, 64), picture(64, 300))
    before = hashes(tmp_path)
    with pytest.raises(StoreError, match=r"--resume.*--overwrite"):
        make_store(tmp_path / "a.zarr", 300, 64)
    assert hashes(tmp_path) == before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "precious.txt").write_text("mine")
    (tmp_path / "file.zarr").write_text("mine")
    for name in ("photos", "file.zarr"):
        with pytest.raises(StoreError, match="no canvas of ours"):
            make_store(tmp_path / name, 300, 64, overwrite=True)
        with pytest.raises(StoreError, match="not a canvas"):
            remove_canvas(tmp_path / name)
        with pytest.raises(StoreError, match="not a canvas"):
            CanvasStore.open(tmp_path / name)
    assert (tmp_path / "photos/precious.txt").read_text() == (tmp_path / "file.zarr").read_text() == "mine"


def test_a_foreign_zarr_is_not_ours(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=3, attributes={"ome": {"version": "0.5"}})
    assert not is_canvas(tmp_path / "a.zarr")
    with pytest.raises(StoreError, match="no canvas of ours"):
        make_store(tmp_path / "a.zarr", 300, 64, overwrite=True)


def test_overwrite_replaces_everything(tmp_path: Path) -> None:
    fill(make_store(tmp_path / "a.zarr", 300, 64), picture(64, 300))
    (tmp_path / "b.zarr").mkdir()  # An empty folder counts as free.
    assert list(make_store(tmp_path / "a.zarr", 400, 64, overwrite=True).missing(0)) == [(0, i) for i in range(4)]
    make_store(tmp_path / "b.zarr", 400, 64)
    assert hashes(tmp_path / "a.zarr") == hashes(tmp_path / "b.zarr")
    remove_canvas(tmp_path / "b.zarr")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_a_killed_creation_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    for purpose in ("creating", "removing"):
        (tmp_path / f".a.zarr.{purpose}" / "0").mkdir(parents=True)
    assert not is_canvas(tmp_path / "a.zarr")
    store = make_store(tmp_path / "a.zarr", 300, 64)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]
    (tmp_path / ".a.zarr.removing").mkdir()
    assert store.remove_orphans() == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"node_type": "group", "attributes": null}', "\x00"])
def test_damaged_metadata_is_one_clear_line(tmp_path: Path, text: str) -> None:
    make_store(tmp_path / "a.zarr", 300, 64)
    (tmp_path / "a.zarr/zarr.json").write_text(text)
    with pytest.raises(StoreError, match="not a canvas"):
        CanvasStore.open(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    "change", [("300", "301"), ("128", "96"), ('"uint8"', '"uint16"'), ('"array"', '"group"'), ("{", "")]
)
def test_a_damaged_level_is_one_clear_line(tmp_path: Path, change: tuple[str, str]) -> None:
    make_store(tmp_path / "a.zarr", 300, 64, levels=2)
    file = tmp_path / "a.zarr/1/zarr.json"
    file.write_text(file.read_text().replace(*change).replace("150", change[1] if change[0] == "300" else "150"))
    with pytest.raises(StoreError, match="metadata is damaged") as caught:
        CanvasStore.open(tmp_path / "a.zarr")
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_there_and_addresses(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no canvas here"):
        CanvasStore.open(tmp_path / "a.zarr")
    with pytest.raises(StoreError, match="local folders"):
        CanvasStore.open("s3://bucket/a.zarr")


def test_flipped_payload_bits_are_reported_not_shown(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 128, 64)
    fill(store, picture(64, 128))
    file = store.shard_path(0, 0, 0)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read"):
        store.read_shard(0, 0, 0)


def test_a_probe_leaves_nothing_and_tells_canvases_apart(tmp_path: Path) -> None:
    for name, seed in (("a.zarr", 1), ("b.zarr", 1), ("c.zarr", 2)):
        make_store(tmp_path / name, 300, 64, attributes={"seed": seed})
    before = hashes(tmp_path)
    assert probe(tmp_path / "a.zarr") == probe(tmp_path / "b.zarr") != probe(tmp_path / "c.zarr")
    assert hashes(tmp_path) == before
    with pytest.raises(StoreError):
        probe(tmp_path / "none.zarr")


def test_one_painter_at_a_time(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 300, 64)
    with store.only_writer(), pytest.raises(StoreError, match="another process"), store.only_writer():
        pass
    with store.only_writer():
        pass


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    whole = picture(64, 128 * 24)
    one, two = make_store(tmp_path / "a.zarr", 128 * 24, 64), make_store(tmp_path / "b.zarr", 128 * 24, 64)
    fill(one, whole)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda ix: two.write_shard(0, 0, ix, cut(two, whole, (0, ix))), range(24)))
    assert hashes(tmp_path / "a.zarr") == hashes(tmp_path / "b.zarr")
