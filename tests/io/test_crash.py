"""Killed writers, full disks and read-only targets: real ones, wherever the system lets a test have them."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_parts import cut, fill, hashes, make_store, picture

from mediagen.errors import StoreError
from mediagen.io import files
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore

WRITER = """
import sys
import numpy as np
from mediagen.io.store import CanvasStore
store = CanvasStore.open(sys.argv[1], "r+")
shard = np.random.default_rng(0).integers(0, 256, (512, 1024, 3)).astype(np.uint8)
print("ready", flush=True)
while True:
    for ix in range(4):
        store.write_shard(0, 0, ix, shard)
"""


def test_a_killed_writer_leaves_whole_shards_and_nothing_else_after_cleaning(tmp_path: Path) -> None:
    shard = np.random.default_rng(0).integers(0, 256, (512, 1024, 3)).astype(np.uint8)
    store = make_store(tmp_path / "a.zarr", 4096, 512, shard=(1024, 512), chunk=256, levels=1)
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        process.kill()
        process.communicate()
        for ix in range(4):
            if store.shard_path(0, 0, ix).exists():
                assert store.shard_is_whole(0, 0, ix)
        store.remove_orphans()
        assert not list(store.path.rglob(f"*{files.PARTIAL}"))
    for ix in range(4):
        store.write_shard(0, 0, ix, shard)
    undisturbed = make_store(tmp_path / "b.zarr", 4096, 512, shard=(1024, 512), chunk=256, levels=1)
    fill(undisturbed, np.tile(shard, (1, 4, 1)))
    assert hashes(store.path) == hashes(undisturbed.path)


class Crash(BaseException):
    """Stands for the process ending there and then."""


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "after"])
def test_a_crash_at_every_step_of_every_write_can_be_resumed(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = picture(64, 500)
    undisturbed = make_store(tmp_path / "b.zarr", 500, 64, levels=3)
    fill(undisturbed, whole)
    Pyramid(undisturbed).catch_up()
    total = len([name for name in hashes(undisturbed.path) if not name.endswith("zarr.json")])
    real = files.write_file
    for crash_at in range(total):
        store = make_store(tmp_path / f"{crash_at}.zarr", 500, 64, levels=3)
        count = iter(range(total + 1))

        def crashing(target: Path, data: memoryview, count: Any = count, crash_at: int = crash_at) -> None:
            if next(count) != crash_at:
                real(target, data)
                return
            half = {"write": 0.5, "fsync": 1.0}.get(step)  # What a dying process leaves behind at that step.
            if half is not None:
                target.with_name(f"{target.name}.0a{files.PARTIAL}").write_bytes(data[: int(len(data) * half)])
            elif step == "replace":  # A power cut, on a file system that orders nothing: the name without the data.
                target.write_bytes(b"")
            else:
                real(target, data)
            raise Crash

        monkeypatch.setattr("mediagen.io.store.write_file", crashing)
        with pytest.raises(Crash):
            resume(store, whole)
        monkeypatch.undo()
        again = CanvasStore.open(store.path, "r+")
        again.remove_orphans()
        resume(again, whole)
        assert hashes(again.path) == hashes(undisturbed.path), crash_at


def resume(store: CanvasStore, whole: np.ndarray) -> None:
    pyramid = Pyramid(store)
    pyramid.catch_up()
    for iy, ix in store.missing(0):
        store.write_shard(0, iy, ix, cut(store, whole, (iy, ix)))
        pyramid.done(0, iy, ix)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "no permission"),
        (errno.EIO, "Input"),
    ],
)
def test_a_failing_disk_is_one_clear_line(
    tmp_path: Path, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "a.zarr", 300, 64)
    before = hashes(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=words) as caught:
        store.write_shard(0, 0, 0, picture(64, 128))
    assert len(str(caught.value).splitlines()) == 1
    assert hashes(tmp_path) == before
    with pytest.raises(StoreError, match=words):
        make_store(tmp_path / "b.zarr", 300, 64)
    assert hashes(tmp_path) == before
    monkeypatch.undo()
    store.write_shard(0, 0, 0, picture(64, 128))
    assert store.shard_is_whole(0, 0, 0)
    make_store(tmp_path / "b.zarr", 300, 64)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", place], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_really_full_disk(small_disk: Path) -> None:
    store = make_store(small_disk / "a.zarr", 3000, 64)
    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    with pytest.raises(StoreError, match="disk is full"):
        [store.write_shard(0, 0, ix, noise) for ix in range(20)]
    assert not list(store.path.rglob(f"*{files.PARTIAL}"))
    assert (0, 0) not in list(store.missing(0))
    with pytest.raises(StoreError, match="disk is full"):
        [make_store(small_disk / f"{name}.zarr", 10**9, 64) for name in range(100)]


def test_a_really_read_only_disk(small_disk: Path) -> None:
    store = make_store(small_disk / "a.zarr", 300, 64)
    fill(store, picture(64, 300))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for attempt in (
        lambda: store.write_shard(0, 0, 0, picture(64, 128)),
        lambda: make_store(small_disk / "b.zarr", 300, 64),
        lambda: make_store(small_disk / "a.zarr", 300, 64, overwrite=True),
        lambda: make_store(small_disk / "deep" / "b.zarr", 300, 64),
    ):
        with pytest.raises(StoreError, match="no permission"):
            attempt()
    assert np.array_equal(CanvasStore.open(small_disk / "a.zarr").read(0, 0, 0, 300, 64), picture(64, 300))


def test_an_interrupt_while_writing_leaves_no_partial_file(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a.zarr", 4096, 512, shard=(1024, 512), chunk=256, levels=1)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert not list(store.path.rglob(f"*{files.PARTIAL}"))
