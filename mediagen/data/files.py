"""Which files of a folder tree, or of a list, may be pictures or videos; untrusted names, links and kinds of file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mediagen.errors import DataError

MAX_FILES = 2_000_000
MAX_FILE_BYTES = 2**29
"""Of a picture or a list; those are read as a whole."""


@dataclass(frozen=True)
class Skipped:
    """A file that cannot be used: its name relative to the folder, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        # A name may hold line ends, escape codes or bytes that are no text.
        return f"{self.name if self.name.isprintable() else ascii(self.name)}: {self.reason}"


def list_files(path: Path, kind: str) -> Iterator[tuple[str, Path | Skipped]]:
    """Names with their places: of all files below a folder, sorted, or of a `.txt` file, in its order.

    `kind` is what they are hoped to be ("pictures"). Raises DataError when the path is neither.
    """
    return _listed(path, kind) if path.suffix == ".txt" and path.is_file() else _walked(path, kind)


def list_pictures(path: Path) -> Iterator[tuple[str, Path | Skipped]]:
    """`list_files` of pictures."""
    return list_files(path, "pictures")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file of sane size. Raises DataError."""
    with open_regular(path, MAX_FILE_BYTES) as file:
        try:
            return file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from None


def open_regular(path: Path, most: int) -> BinaryIO:
    """A regular file of at most `most` bytes, open for reading; a pipe or a device would block. Raises DataError."""
    try:
        # O_NONBLOCK so that opening a pipe returns, and the check is made on what was opened.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return os.fdopen(handle, "rb")
    os.close(handle)
    if not stat.S_ISREG(found.st_mode):
        raise DataError("not a regular file")
    raise DataError(f"{found.st_size / 2**20:.0f} MiB; at most {most // 2**20} are read")


def _walked(root: Path, kind: str) -> Iterator[tuple[str, Path | Skipped]]:
    """Every file under `root`, sorted by name; hidden ones are passed over, links that leave the folder are refused."""
    if not root.is_dir():
        missing = "there is no such folder" if not root.exists() else f"neither a folder nor a .txt list of {kind}"
        raise DataError(f"{root}: {missing}; give a folder of {kind}")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from None
    inside, found = root.resolve(), []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        found += [Path(folder) / name for name in [*files, *linked] if not name.startswith(".")]
        if len(found) > MAX_FILES:
            raise DataError(f"{root}: more than {MAX_FILES} files; give a smaller folder")
    for path in sorted(found, key=lambda p: p.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
            yield name, Skipped(name, "a link that leaves the folder")
        elif path.is_dir():
            yield name, Skipped(name, "a link to a folder")
        else:
            yield name, path


def _listed(path: Path, kind: str) -> Iterator[tuple[str, Path | Skipped]]:
    """The files that a text file names, one a line; empty lines and lines that start with # are passed over."""
    try:
        lines = read_regular(path).decode("utf-8").splitlines()
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a list of {kind}: {error}") from None
    for line in lines:
        name = line.strip()
        if name and not name.startswith("#"):
            yield name, path.parent / name if "\0" not in name else Skipped(name, "not a file name")
