"""The decoded cache: whole or absent whatever is killed, built once, found again, and readable by others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from video_parts import folder_of, numbered, write

from mediagen.data import video_cache
from mediagen.data.video_frames import Wanted
from mediagen.data.video_pool import Outcome, Pool, Read, Refused
from mediagen.data.videos import VideoFolder
from mediagen.errors import DataError, StoreError
from mediagen.models._spec import ClipNeeds

NEEDS = ClipNeeds(frames=4, height=16, width=16)
WANTED = Wanted(height=16, width=16)


class Count:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))


def everything(folder: VideoFolder) -> dict[str, np.ndarray]:
    """All frames of all videos, through the folder's own rows."""
    rows = zip(folder.names, folder._first, folder.counts, strict=True)
    return {name: folder._take(first + np.arange(count)) for name, first, count in rows}


def same(one: VideoFolder, other: VideoFolder) -> bool:
    a, b = everything(one), everything(other)
    return one.fingerprint == other.fingerprint and list(a) == list(b) and all(np.array_equal(a[n], b[n]) for n in a)


def stores(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.suffix != ".lock")


def test_built_once_and_found_again(tmp_path: Path) -> None:
    root, place, first, second = folder_of(tmp_path / "v", [5, 9, 3]), tmp_path / "cache", Count(), Count()
    built = VideoFolder(root, needs=NEEDS, cache=place, progress=first)
    found = VideoFolder(root, needs=NEEDS, cache=place, progress=second)
    assert sorted(first.calls) == [(1, 3), (2, 3), (3, 3)]
    assert second.calls == []
    assert same(built, found)
    assert {name: len(frames) for name, frames in everything(found).items()} == {
        "000.mkv": 5,
        "001.mkv": 9,
        "002.mkv": 3,
    }
    for video, frames in enumerate(everything(found).values()):
        assert np.array_equal(frames, numbered(len(frames), video=video))
    assert [path.suffix for path in stores(place)] == [".zarr"]


def test_only_what_changes_frames_makes_another_cache(tmp_path: Path) -> None:
    root, place = folder_of(tmp_path / "v", [5, 9]), tmp_path / "cache"
    VideoFolder(root, needs=NEEDS, cache=place)
    VideoFolder(root, needs=ClipNeeds(frames=2, stride=3, flip=True, images=2, height=16, width=16), cache=place)
    assert len(stores(place)) == 1
    for more in ({"fps": 10.0}, {"resize": (20, 16)}):
        VideoFolder(root, needs=ClipNeeds(frames=4, height=16, width=16, **more), cache=place)
    VideoFolder(root, needs=ClipNeeds(frames=4, height=8, width=16), cache=place)
    assert len(stores(place)) == 4


@pytest.mark.parametrize("change", ["touched", "changed", "added", "removed", "renamed"])
def test_a_changed_folder_is_read_anew(tmp_path: Path, change: str) -> None:
    root, place, count = folder_of(tmp_path / "v", [5, 9]), tmp_path / "cache", Count()
    before = VideoFolder(root, needs=NEEDS, cache=place)
    if change == "touched":
        os.utime(root / "000.mkv", (1, 1))
    elif change == "changed":
        write(root / "000.mkv", numbered(5, video=9))
    elif change == "added":
        write(root / "002.mkv", numbered(2))
    elif change == "removed":
        (root / "000.mkv").unlink()
    else:
        (root / "000.mkv").rename(root / "zzz.mkv")
    after = VideoFolder(root, needs=NEEDS, cache=place, progress=count)
    assert count.calls
    assert (before.fingerprint == after.fingerprint) == (change == "touched")


def test_others_can_read_it(tmp_path: Path) -> None:
    root, place = folder_of(tmp_path / "v", [5, 9]), tmp_path / "cache"
    folder = VideoFolder(root, needs=NEEDS, cache=place, memory=0)
    group = zarr.open_group(stores(place)[0], mode="r")
    said = group.attrs["mediagen"]
    frames = group["frames"]
    assert [name for name, _, _ in said["videos"]] == folder.names
    for name, first, count in said["videos"]:
        assert np.array_equal(frames[first : first + count], everything(folder)[name])
    assert str(tmp_path) not in (stores(place)[0] / "zarr.json").read_text()


@pytest.mark.parametrize("workers", [1, 3])
def test_videos_over_many_chunks_and_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Seven frames a chunk: every video begins and ends somewhere else; the broken ones leave no frame behind."""
    monkeypatch.setattr(video_cache, "CHUNK_BYTES", 7 * 16 * 16 * 3)
    counts = [5, 30, 1, 13, 7, 7, 22, 2]
    root = folder_of(tmp_path / "v", counts)
    (root / "003a.mkv").write_bytes((root / "001.mkv").read_bytes()[:60] + bytes(2**22))  # enough for all processes
    mapped = VideoFolder(root, needs=NEEDS, cache=tmp_path / "cache", workers=workers, memory=0)
    kept = VideoFolder(root, needs=NEEDS, cache=tmp_path / "cache")
    assert len(mapped._chunks) > len(kept._chunks) == 1
    assert same(mapped, kept)
    assert [skipped.name for skipped in kept.skipped] == ["003a.mkv"]
    for video, frames in enumerate(everything(kept).values()):
        assert np.array_equal(frames, numbered(counts[video], video=video))


def test_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    root, place = folder_of(tmp_path / "v", [5, 9]), tmp_path / "cache"
    before = everything(VideoFolder(root, needs=NEEDS, cache=place))
    for number, damage in enumerate(["truncated", "lost", "words"]):
        chunk = stores(place)[0] / "frames" / "c.0.0.0.0"
        if damage == "truncated":
            os.truncate(chunk, 100)
        elif damage == "lost":
            chunk.unlink()
        else:
            (stores(place)[0] / "zarr.json").write_text("{")
        count = Count()
        after = everything(VideoFolder(root, needs=NEEDS, cache=place, progress=count))
        assert len(count.calls) == 2, number
        assert all(np.array_equal(before[name], after[name]) for name in before)


BUILD = """
import sys, time
from pathlib import Path
from mediagen.data.videos import ClipNeeds, VideoFolder
root, place, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
def progress(done, total):
    if done == last:  # and stays there, with its processes, until it is killed
        print(done, flush=True)
        time.sleep(600)
VideoFolder(root, needs=ClipNeeds(frames=4, height=16, width=16), cache=place, workers=2, progress=progress)
"""


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


@pytest.mark.parametrize("done", [1, 11])
def test_killed_half_way(tmp_path: Path, done: int) -> None:
    """SIGKILL leaves nothing that is taken for a cache, and no process; the next build clears up after it."""
    root, place = folder_of(tmp_path / "v", [40] * 24), tmp_path / "cache"
    (root / "zzz.bin").write_bytes(bytes(2**20))  # enough for a second process
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(root), str(place), str(done)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == done
        workers = children(child.pid)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert len(workers) == 2
    assert [path.suffix for path in stores(place)] == [".building"]
    (place / "decoded-videos-0.building").mkdir()  # another folder's, killed long ago
    after, whole = (VideoFolder(root, needs=NEEDS, cache=tmp_path / name) for name in ("cache", "other"))
    assert same(after, whole)
    assert [path.suffix for path in stores(place)] == [".zarr"]
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a decoding process outlives its parent"
        time.sleep(0.05)


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    root, place = folder_of(tmp_path / "v", [5] * 6), tmp_path / "cache"

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VideoFolder(root, needs=NEEDS, cache=place, progress=interrupt)
    assert stores(place) == []


def test_two_at_once_build_once(tmp_path: Path) -> None:
    root, place, counts = folder_of(tmp_path / "v", [5] * 6), tmp_path / "cache", [Count(), Count()]
    found: list[VideoFolder] = []
    threads = [
        threading.Thread(target=lambda c=count: found.append(VideoFolder(root, needs=NEEDS, cache=place, progress=c)))
        for count in counts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(count.calls) for count in counts) == [0, 6]
    assert same(*found)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGSEGV, signal.SIGKILL])
def test_a_hang_or_a_crash_costs_one_file(tmp_path: Path, how: signal.Signals) -> None:
    root = folder_of(tmp_path / "v", [30] * 12)
    files = sorted(root.iterdir())
    # Only the silent one has to wait for its end; on a busy machine nobody else is taken for silent.
    pool = Pool(tmp_path, WANTED, 1000, 1, stall=6.0 if how == signal.SIGSTOP else 60.0)
    worker = pool.workers[0]
    answer, first = worker.answer, worker.process

    def answer_and_strike() -> tuple[int, Outcome]:
        """In the thread that feeds the process: so it is struck while files are left, however busy this thread is."""
        found, worker.answer = answer(), answer  # type: ignore[method-assign]
        os.kill(first.pid, how)
        return found

    worker.answer = answer_and_strike  # type: ignore[method-assign]
    outcomes = dict(pool.read(files))
    refused = {number: outcome.reason for number, outcome in outcomes.items() if isinstance(outcome, Refused)}
    assert sorted(outcomes) == list(range(12))
    assert list(refused.values()) == (
        ["no frame of it for 6 s"] if how == signal.SIGSTOP else [f"decoding it crashed ({how.name})"]
    )
    frames = np.fromfile(tmp_path / "lane0.0", np.uint8).reshape(-1, 16, 16, 3)
    for number, outcome in outcomes.items():
        if isinstance(outcome, Read):
            assert np.array_equal(frames[outcome.first : outcome.first + outcome.rows], numbered(30, video=number))
    assert pool.rows == [30 * 11]


def test_a_file_that_takes_too_long_in_all(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [20] * 2)
    one = write(tmp_path / "one.mjpeg", numbered(1, size=(64, 64)), codec="mjpeg", pix_fmt="yuvj420p")
    slow = root / "slow.mjpeg"
    slow.write_bytes(one.read_bytes() * 20_000)
    pool = Pool(tmp_path, WANTED, 10_000, 1, longest=0.1)
    outcomes = dict(pool.read([slow, root / "001.mkv"]))
    assert outcomes[0] == Refused("decoding it takes over 0.1 s")


def test_a_decoder_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path / "v", [5])
    monkeypatch.setattr("mediagen.data.video_pool.COMMAND", "raise SystemExit(3)")
    with pytest.raises(DataError, match=r"does not start \(exit code 3\)"):
        VideoFolder(root, needs=NEEDS, cache=tmp_path / "cache")
    assert stores(tmp_path / "cache") == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [5])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        VideoFolder(root, needs=NEEDS, cache=tmp_path / "file" / "cache")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "file") in str(caught.value)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """/dev/full takes nothing: what a decoding process meets there reaches the user."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    files = sorted(folder_of(tmp_path / "v", [5, 5]).iterdir())
    (tmp_path / "lane0.0").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        list(Pool(tmp_path, WANTED, 1000, 1).read(files))


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert video_cache.default_place() == tmp_path / "x" / "mediagen"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert video_cache.default_place() == tmp_path / ".cache" / "mediagen"
    monkeypatch.delenv("XDG_CACHE_HOME")
    root = folder_of(tmp_path / "v", [5])
    VideoFolder(root, needs=NEEDS)
    assert [path.suffix for path in stores(tmp_path / ".cache" / "mediagen")] == [".zarr"]


@pytest.mark.parametrize("where", ["v/cache", "v", "."])
def test_a_cache_below_or_above_the_videos_is_no_video(tmp_path: Path, where: str) -> None:
    root = folder_of(tmp_path / "v", [5])
    first, again = (VideoFolder(root, needs=NEEDS, cache=tmp_path / where) for _ in range(2))
    assert same(first, again)
    assert first.skipped == again.skipped == []
    assert again.names == ["000.mkv"]
