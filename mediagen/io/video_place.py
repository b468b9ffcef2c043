"""Where a clip grows and who may write it: names beside the one asked for, one writer at a time, a last rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mediagen.errors import StoreError
from mediagen.io.files import make_folder, storing, sync_folder

PART = ".part"


def part_of(path: Path) -> Path:
    """Where a clip grows: clip.part.mp4 for clip.mp4, frames.part for a folder."""
    return path.with_name(f"{path.stem}{PART}{path.suffix}")


def is_part(path: Path) -> bool:
    """Whether a name is that of a part."""
    return path.suffix == PART or path.stem.endswith(PART)


def kept_of(path: Path) -> Path:
    """Where an interrupted part lies while the frames it holds are taken over."""
    return path.with_name(f"{path.stem}.kept{path.suffix}")


@contextmanager
def only_writer(path: Path) -> Iterator[bool]:
    """Holds a clip against other processes; yields whether one that wrote it died without a word. Raises StoreError.

    The lock is a file beside the clip. The system lets go of it when a process dies, but the file stays: so one that is
    found there tells of a death, and that what lies at the part's name is ours even if its first bytes are missing.
    """
    guard = path.with_name(f".{path.name}.lock")
    with storing(path):
        make_folder(path.parent)
        died = guard.exists()
        handle = _locked(guard, path)
    try:
        yield died
    finally:
        with suppress(OSError):
            guard.unlink()
        os.close(handle)


def _locked(guard: Path, path: Path) -> int:
    while True:
        handle = os.open(guard, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle, path)
            if guard.exists() and guard.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner removed the file between the two calls: take the new one


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: no lock, and no harm: same frames, same bytes.
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{path}: another process is writing it; wait for it or stop it") from None
    except OSError:  # Some network file systems cannot lock.
        return


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """A name to write a file at, which then takes the place of `path` durably and in one step. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.unlink(missing_ok=True)  # of a process that was killed while it wrote
        yield draft
        handle = os.open(draft, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)
