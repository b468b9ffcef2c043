"""Saving: windows and levels, what is refused, what an end on the way leaves behind, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from export_parts import halved, scene, stored
from PIL import Image

from mediagen.errors import StoreError, UsageError
from mediagen.export import export, pixels
from mediagen.export import save as module
from mediagen.io.shards import read_chunk
from mediagen.io.store import CanvasStore


def shown(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_window_is_in_pixels_of_the_plane(canvas, picture, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.png", x=100, y=0, width=300, height=200)
    assert np.array_equal(shown(tmp_path / "a.png"), picture[24:224, 140:440])
    assert (report.x, report.y, report.width, report.height) == (100, 0, 300, 200)
    assert report.bytes == (tmp_path / "a.png").stat().st_size


def test_a_level_widens_the_window_to_its_own_pixels(canvas, picture, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.png", x=-35, y=-24, width=10, height=8, level=2)
    assert (report.x, report.width, report.pixels_wide) == (-36, 12, 3)
    assert np.array_equal(shown(tmp_path / "a.png"), halved(picture, 2)[0:2, 1:4])
    whole = export(canvas, tmp_path / "b.jpg", level=1)
    assert (whole.width, whole.pixels_wide) == (2301, 1151)


def test_progress_reaches_the_end(canvas, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.tif", "a.dzi"):
        told: list[tuple[int, int]] = []
        export(canvas, tmp_path / name, progress=lambda done, total, told=told: told.append((done, total)))
        assert told[-1][0] == told[-1][1], name
        assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.dzi"])
def test_a_stop_leaves_nothing(name: str, canvas, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / name, should_stop=lambda: True)
    assert report.interrupted
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.dzi"])
def test_a_failure_keeps_what_was_there(name: str, canvas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(canvas, tmp_path / name, width=100)
    before = (tmp_path / name).read_bytes()
    calls = []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) > 3:
            raise StoreError("a disk failed")
        return np.zeros((3, arguments[1].height, arguments[1].width), np.uint8)

    monkeypatch.setattr(module.Picture, "read", failing)
    monkeypatch.setattr(module, "BAND", 2**14)
    with pytest.raises(StoreError, match="a disk failed"):
        export(canvas, tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


WRONG = {
    "an ending": ("a.bmp", {}, UsageError, r"\.tif"),
    "beyond": ("a.png", {"x": -41}, UsageError, "not inside"),
    "beyond the right": ("a.png", {"width": 2302}, UsageError, "not inside"),
    "nothing": ("a.png", {"width": 0}, UsageError, "at least 1"),
    "a level": ("a.png", {"level": 9}, UsageError, "levels 0"),
    "a quality": ("a.jpg", {"quality": 101}, UsageError, "1 to 100"),
    "an overlap": ("a.dzi", {"overlap": 2}, UsageError, "--overlap"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_what_is_refused(wrong, canvas, tmp_path: Path) -> None:
    name, options, kind, said = wrong
    with pytest.raises(kind, match=said):
        export(canvas, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_no_room(canvas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda path: 10_000)
    for name in ("a.tif", "a.png", "a.dzi", "a.jpg"):
        with pytest.raises(StoreError, match="free"):
            export(canvas, tmp_path / name)


def test_into_the_canvas_itself(canvas) -> None:
    with pytest.raises(StoreError, match="another name"):
        export(canvas, canvas.path / "a.png")


def test_an_unpainted_canvas(tmp_path: Path) -> None:
    picture = scene(1500, 300)
    store = stored(tmp_path / "half.zarr", picture, leave_out=((0, 1), (1, 1)))
    with pytest.raises(StoreError, match=r"2 of 6 shards.*`mediagen canvas half.zarr --resume`.*--partial"):
        export(store, tmp_path / "a.png")
    export(store, tmp_path / "there.png", width=512)
    report = export(store, tmp_path / "a.tif", partial=True)
    assert report.missing_shards == 2
    tifffile = pytest.importorskip("tifffile")
    picture[:, 512:1024] = 0
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for index, level in enumerate(file.series[0].levels):  # the pyramid has all that is there, and no more
            assert np.array_equal(level.asarray(), halved(picture, index))


def test_damage_is_said(tmp_path: Path) -> None:
    store = stored(tmp_path / "bad.zarr", scene(600, 200))
    file = store.shard_path(0, 0, 0)
    data = bytearray(file.read_bytes())
    data[100] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"shard 0/0/0 cannot be read.*--resume"):
        export(store, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zarr"]


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_wide_picture_decodes_a_chunk_few_times(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stored(tmp_path / "wide.zarr", scene(3000, 1024, seed=3))
    read, counted = CanvasStore.read_chunk, []

    def counting(self, *place):
        counted.append(place)
        return read(self, *place)

    monkeypatch.setattr(CanvasStore, "read_chunk", counting)
    monkeypatch.setattr(pixels, "CACHE", 1)  # less than a row of chunks, as for a canvas that is wider still
    window = {"x": store.origin[0] + 100, "y": store.origin[1] + 30, "width": 2500, "height": 900}
    export(store, tmp_path / name, **window)
    assert len(counted) == len(set(counted)), "bands lie on rows of chunks"
    counted.clear()
    monkeypatch.setattr(module, "BAND", 2500 * 3 * 100)  # 100 rows at most: two bands to a row of chunks
    export(store, tmp_path / f"again_{name}", **window)
    assert max(Counter(counted).values()) == -(-store.levels[0].chunk // 100)
    assert np.array_equal(shown(tmp_path / name), shown(tmp_path / f"again_{name}"))


def test_chunks_wider_than_what_is_read_at_once(tmp_path: Path) -> None:
    painted = scene(4200, 6)
    store = stored(tmp_path / "a.zarr", painted, shard=(4200, 4200), chunk=4200)
    export(store, tmp_path / "out.png")
    assert np.array_equal(shown(tmp_path / "out.png"), painted)


def test_chunks_are_read_as_zarr_reads_them(canvas: CanvasStore) -> None:
    for level in canvas.levels:
        whole = canvas.read_shard(level.index, 0, 0).transpose(2, 0, 1)
        for y in range(level.shard_height // level.chunk):
            for x in range(level.shard_width // level.chunk):
                chunk = read_chunk(canvas.shard_path(level.index, 0, 0), level, y, x)
                part = whole[:, y * level.chunk :, x * level.chunk :][:, : level.chunk, : level.chunk]
                assert np.array_equal(chunk[:, : part.shape[1], : part.shape[2]], part)


def test_the_same_file_again(canvas, tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a.jpg"):
        (tmp_path / "1").mkdir(exist_ok=True)
        (tmp_path / "2").mkdir(exist_ok=True)
        export(canvas, tmp_path / "1" / name)
        export(canvas, tmp_path / "2" / name)
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


CHILD = """
import sys
from mediagen.export import export
assert "torch" not in sys.modules
print(export(sys.argv[1], sys.argv[2]).peak_memory_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell of its peak")
def test_memory_does_not_grow_with_the_canvas(tmp_path: Path) -> None:
    part = np.random.default_rng(0).integers(0, 256, (256, 2048, 3), dtype=np.uint8)
    peaks = {}
    for columns in (10, 80):
        store = CanvasStore.create(
            tmp_path / f"{columns}.zarr", width=2048 * columns, height=256, shard=(2048, 256), origin=(0, 0),
            attributes={}, levels=1,
        )  # fmt: skip
        for ix in range(columns):
            store.write_shard(0, 0, ix, part) if ix == 0 else os.link(
                store.shard_path(0, 0, 0), store.shard_path(0, 0, ix)
            )
        for ending in ("tif", "png"):
            words = [sys.executable, "-c", CHILD, str(store.path), str(tmp_path / f"out{columns}.{ending}")]
            ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
            peaks[columns, ending] = int(ran.stdout)
    raw = 2048 * 70 * 256 * 3  # what the wide one has more: 110 MB
    for ending in ("tif", "png"):
        assert peaks[80, ending] - peaks[10, ending] < raw / 4, peaks
