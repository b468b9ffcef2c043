"""Files that are either whole or absent, and operating-system errors turned into one clear line."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mediagen.errors import StoreError

PARTIAL = ".partial"
"""Suffix of a file that is still being written; zarr itself uses the same one. A killed writer can leave some."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which is put at `target` when the body ends, durably and in one step; never when it fails.

    After a crash the old file, the new one, or none is there. Raises OSError; wrap it in `storing` to give people one line.
    """
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    sync_folder(target.parent)


def write_file(target: Path, data: bytes | memoryview) -> None:
    """Puts `data` at `target` by `new_file`."""
    with new_file(target) as file:
        file.write(data)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, each of them durably entered into the one above."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for child in reversed(missing):
        child.mkdir(exist_ok=True)
        sync_folder(child.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and new entries of a folder survive a power cut."""
    if os.name == "nt":  # Windows opens no folders; its renames are journalled.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Some network file systems cannot sync a folder.
            raise
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Makes every file and folder below `root` survive a power cut."""
    for folder, _, names in os.walk(root):
        for name in names:
            handle = os.open(Path(folder, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(folder))


def remove_partials(root: Path) -> int:
    """Deletes what killed writers left below `root`; returns how many files that were. No writer may be alive."""
    count = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(PARTIAL):
                Path(folder, name).unlink(missing_ok=True)
                count += 1
    return count


def free_bytes(path: Path) -> int:
    """Free bytes on the disk that holds `path`, or would hold it if it existed."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns an OSError of the body into a StoreError that says what happened to `path` and what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(_line(path, error)) from error


def _line(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return f"{path}: the disk is full; free some space there and say the same command again to go on"
    if error.errno in _DENIED:
        return f"{path}: no permission to write there ({error.strerror}); choose another place or make it writable"
    return f"{path}: {error.strerror or error}"
