"""Decoded videos on disk: a Zarr store of uint8 frames, built once, and only ever whole.

The store is a Zarr v3 group; its array `frames` (rows, H, W, 3) has one codec, the bytes as they are, so that a chunk is
a plain file that can be mapped into memory: drawing 16 frames costs one copy of their bytes and no decoder. The group's
attributes say which rows are which video. A cache can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
import zarr

from mediagen.core.provenance import versions
from mediagen.data.files import Skipped
from mediagen.data.video_files import STEM, Listing, fingerprint, store_of
from mediagen.data.video_frames import Wanted
from mediagen.data.video_pool import LONGEST, STALL, Pool, Read, Refused
from mediagen.errors import DataError, StoreError
from mediagen.io.files import make_folder, storing, sync_folder, sync_tree

FORMAT = 1
CHUNK_BYTES = 2**26
Progress = Callable[[int, int], None]


class NothingUsable(DataError):
    """Every file was refused; `skipped` says why."""

    def __init__(self, skipped: list[Skipped]) -> None:
        super().__init__("no usable video")
        self.skipped = skipped


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """An opened cache: video i fills rows first[i] to first[i] + counts[i] of chunks of `per` rows."""

    names: list[str]
    first: np.ndarray
    counts: np.ndarray
    skipped: list[Skipped]
    damaged: list[Skipped]
    fingerprint: str
    chunks: list[np.ndarray]
    per: int


def default_place() -> Path:
    """$XDG_CACHE_HOME/mediagen, or ~/.cache/mediagen."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "mediagen"


def cached(
    listing: Listing, wanted: Wanted, place: Path, *, workers: int, progress: Progress | None = None,
    stall: float = STALL, longest: float = LONGEST,
) -> Decoded:  # fmt: skip
    """The decoded frames of a listing: found below `place`, or decoded now. Raises StoreError, DataError.

    Processes that want the same cache wait for the first one to build it. What a killed build leaves is never taken for a
    cache, and is removed by the next one.
    """
    key = listing.key(FORMAT, json.dumps(asdict(wanted)), av.__version__, av.ffmpeg_version_info)
    target = store_of(place, key)
    if (found := _opened(target)) is not None:
        return found
    with storing(place):
        make_folder(place)
        with _locked(target.with_suffix(".lock")):
            if (found := _opened(target)) is None:
                _build(listing, wanted, target, workers, progress, stall, longest)
                found = _opened(target)
    if found is None:
        raise StoreError(f"{target}: was written and cannot be read; is another program at work there?")
    return found


def _build(
    listing: Listing,
    wanted: Wanted,
    target: Path,
    workers: int,
    progress: Progress | None,
    stall: float,
    longest: float,
) -> None:
    """Decodes all files into a folder beside `target`, and gives it its name when all of it is on disk."""
    making = target.with_suffix(".building")
    _sweep(target.parent, making)
    for old in (making, target):  # A target that cannot be opened is damaged.
        if old.exists():
            shutil.rmtree(old)
    frames = making / "frames"
    frames.mkdir(parents=True)
    try:
        per = max(1, CHUNK_BYTES // (wanted.height * wanted.width * 3))
        # A process takes as long to start as a MiB of small videos takes to decode.
        useful = min(workers, len(listing.places), 1 + sum(listing.sizes) // 2**20)
        pool = Pool(frames, wanted, per, useful, stall, longest)
        outcomes: dict[int, Read | Refused] = {}
        with ThreadPoolExecutor(1) as syncing:
            for number, outcome in pool.read(listing.places):
                outcomes[number] = outcome
                if isinstance(outcome, Read) and outcome.first // per != (outcome.first + outcome.rows) // per:
                    # What is whole goes to the disk while we decode, so that there is little left to wait for.
                    for whole in range(outcome.first // per, (outcome.first + outcome.rows) // per):
                        syncing.submit(_sync, frames / f"lane{outcome.lane}.{whole}")
                if progress is not None:
                    progress(len(outcomes), len(listing.places))
        if not any(isinstance(outcome, Read) for outcome in outcomes.values()):
            raise NothingUsable(_skipped(listing, outcomes))
        starts = _settle(frames, pool.rows, per, wanted)
        _describe(making, listing, outcomes, starts, per, wanted)
        sync_tree(making)
        making.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


def _settle(frames: Path, rows: list[int], per: int, wanted: Wanted) -> list[int]:
    """Lanes become chunks of one array, one lane behind the other; returns each lane's first row."""
    size, number, starts = wanted.height * wanted.width * 3, 0, []
    for lane, count in enumerate(rows):
        starts.append(number * per)
        for piece in range(-(-count // per)):
            path = frames / f"lane{lane}.{piece}"
            kept = min(per, count - piece * per) * size
            os.truncate(path, kept)  # Behind it may lie what a refused file left.
            os.truncate(path, per * size)  # A chunk is always whole; what is added takes no room on most disks.
            path.rename(frames / f"c.{number}.0.0.0")
            number += 1
    for left in frames.glob("lane*"):
        left.unlink()
    return starts


def _describe(
    making: Path, listing: Listing, outcomes: dict[int, Read | Refused], starts: list[int], per: int, wanted: Wanted
) -> None:
    """Writes the store's metadata beside its chunks."""
    videos: list[tuple[str, int, int]] = []
    digests, broken = [], []
    for number, name in enumerate(listing.names):
        outcome = outcomes[number]
        if isinstance(outcome, Refused):
            continue
        videos.append((name, starts[outcome.lane] + outcome.first, outcome.rows))
        digests.append(outcome.sha256)
        if outcome.broken is not None:
            broken.append([name, f"only its first {outcome.rows} frames: {outcome.broken}"])
    chunks = len(list((making / "frames").glob("c.*")))
    attributes = {
        "format": FORMAT, "wanted": asdict(wanted), "videos": videos, "damaged": broken,
        "skipped": [[refused.name, refused.reason] for refused in _skipped(listing, outcomes)],
        "fingerprint": fingerprint([video[0] for video in videos], digests),
        "made_with": versions("mediagen", "numpy", "zarr", "av"),
    }  # fmt: skip
    group = zarr.create_group(making, attributes={"mediagen": attributes}, zarr_format=3)
    shape = (wanted.height, wanted.width, 3)
    group.create_array(
        "frames", shape=(chunks * per, *shape), chunks=(per, *shape), dtype="uint8", compressors=None, filters=None,
        fill_value=0, chunk_key_encoding={"name": "default", "separator": "."}, dimension_names=["t", "y", "x", "c"],
    )  # fmt: skip


def _skipped(listing: Listing, outcomes: dict[int, Read | Refused]) -> list[Skipped]:
    """What was refused, by name, whether at a glance or on decoding."""
    late = [Skipped(listing.names[n], found.reason) for n, found in outcomes.items() if isinstance(found, Refused)]
    return sorted([*listing.skipped, *late], key=lambda refused: refused.name)


def _opened(target: Path) -> Decoded | None:
    """The cache at `target`; None when there is none, or when it is not whole."""
    try:
        found = json.loads((target / "zarr.json").read_bytes())["attributes"]["mediagen"]
        array = json.loads((target / "frames" / "zarr.json").read_bytes())
        rows, *frame = array["shape"]
        per = array["chunk_grid"]["configuration"]["chunk_shape"][0]
        files = [target / "frames" / f"c.{number}.0.0.0" for number in range(rows // per)]
        chunks = [np.memmap(file, np.uint8, mode="r", shape=(per, *frame)) for file in files]
        videos = found["videos"]
        return Decoded(
            names=[video[0] for video in videos],
            first=np.array([video[1] for video in videos], np.int64),
            counts=np.array([video[2] for video in videos], np.int64),
            skipped=[Skipped(*words) for words in found["skipped"]],
            damaged=[Skipped(*words) for words in found["damaged"]],
            fingerprint=found["fingerprint"], chunks=list(chunks), per=per,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; it ends with the process that holds it."""
    try:
        import fcntl
    except ImportError:  # Windows: two builds at once end in an error of the second one, and nothing is harmed.
        yield
        return
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.2)
            except OSError:  # Some network file systems have no locks.
                break
        yield


def _sweep(place: Path, mine: Path) -> None:
    """Removes what killed builds of other caches left, which may be large; a build that is alive holds its lock."""
    try:
        import fcntl
    except ImportError:
        return
    for making in place.glob(f"{STEM}*.building"):
        with suppress(OSError), making.with_suffix(".lock").open("ab") as file:
            if making != mine:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(making)


def _sync(path: Path) -> None:
    with suppress(OSError):  # It may have been renamed meanwhile; everything is synced once more at the end.
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
