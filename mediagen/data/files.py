"""Which files of a folder tree, or of a list, are candidates for pictures; untrusted names, links and kinds of file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediagen.data.decode import MAX_FILE_BYTES
from mediagen.errors import DataError

MAX_FILES = 2_000_000


@dataclass(frozen=True)
class Skipped:
    """A file that cannot be used: its name relative to the folder, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        # A name may hold line ends, escape codes or bytes that are no text.
        return f"{self.name if self.name.isprintable() else ascii(self.name)}: {self.reason}"


def list_pictures(path: Path) -> Iterator[tuple[str, Path | Skipped]]:
    """Names with their places: of all files below a folder, sorted, or of a `.txt` file, in its order.

    Raises DataError when the path is neither.
    """
    return _listed(path) if path.suffix == ".txt" and path.is_file() else _walked(path)


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file of sane size; a pipe or a device would block for ever. Raises DataError."""
    try:
        # O_NONBLOCK so that opening a pipe returns, and the check is made on what was opened.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise DataError("not a regular file")
            if found.st_size > MAX_FILE_BYTES:
                raise DataError(f"{found.st_size / 2**20:.0f} MiB; at most {MAX_FILE_BYTES // 2**20} are read")
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None


def _walked(root: Path) -> Iterator[tuple[str, Path | Skipped]]:
    """Every file under `root`, sorted by name; hidden ones are passed over, links that leave the folder are refused."""
    if not root.is_dir():
        missing = "there is no such folder" if not root.exists() else "neither a folder nor a .txt list of pictures"
        raise DataError(f"{root}: {missing}; give a folder of pictures")
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


def _listed(path: Path) -> Iterator[tuple[str, Path | Skipped]]:
    """The pictures a text file names, one a line; empty lines and lines that start with # are passed over."""
    try:
        lines = read_regular(path).decode("utf-8").splitlines()
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a list of pictures: {error}") from None
    for line in lines:
        name = line.strip()
        if name and not name.startswith("#"):
            yield name, path.parent / name if "\0" not in name else Skipped(name, "not a file name")
