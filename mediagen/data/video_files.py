"""Which videos a folder or list offers: names, classes, and a print by which a cache of them is found again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath

from mediagen.data.files import Skipped, list_files, open_regular
from mediagen.data.video_decode import MAX_BYTES
from mediagen.errors import DataError

ENDS = 2**16
STEM = "decoded-videos-"
TOP = "."
"""The class of videos that lie beside the sub-folders."""


@dataclass(frozen=True)
class Listing:
    """Candidates with their places and prints, in the order of the names, and what is refused without opening it."""

    names: list[str]
    places: list[Path]
    prints: list[str]
    sizes: list[int]
    skipped: list[Skipped]

    def key(self, *words: object) -> str:
        """Changes with any name, size, time or end of a file, and with the words."""
        digest = sha256("\0".join(map(str, words)).encode())
        for name, mark in zip(self.names, self.prints, strict=True):
            digest.update(f"\0{name}\0{mark}".encode("utf-8", "surrogateescape"))
        for refused in self.skipped:
            digest.update(f"\0{refused.name}\0{refused.reason}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def list_videos(path: Path, cache: Path) -> Listing:
    """What lies below a folder, or what a `.txt` file names, but none of our own stores in `cache`. Raises DataError."""
    found = Listing([], [], [], [], [])
    root, ours = (path if path.is_dir() else path.parent).resolve(), cache.resolve()
    for name, place in list_files(path, "videos"):
        if isinstance(place, Skipped):
            found.skipped.append(place)
        elif not _is_cached(root / name, ours):
            try:
                size, mark = _print(place)
            except DataError as error:
                found.skipped.append(Skipped(name, str(error)))
            else:
                found.names.append(name)
                found.places.append(place)
                found.prints.append(mark)
                found.sizes.append(size)
    return found


def labels_of(names: Iterable[str]) -> tuple[list[str], list[int]]:
    """Classes, sorted by name, and each video's: its first sub-folder. Without sub-folders no classes, and all 0."""
    own = [_class(name) for name in names]
    classes = sorted(set(own))
    if classes in ([], [TOP]):
        return [], [0] * len(own)
    number = {name: label for label, name in enumerate(classes)}
    return classes, [number[name] for name in own]


def fingerprint(names: Sequence[str], digests: Sequence[str]) -> str:
    """SHA-256 over the names and contents in use."""
    total = sha256()
    for name, digest in zip(names, digests, strict=True):
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(digest))
    return total.hexdigest()


def store_of(cache: Path, key: str) -> Path:
    """Where a cache of this key lies; a build and its lock lie beside it, under the same stem."""
    return cache / f"{STEM}{key[:32]}.zarr"


def _is_cached(place: Path, cache: Path) -> bool:
    """Whether a file is part of a cache: somebody may keep them below his videos, or his videos beside them."""
    return place.is_relative_to(cache) and place.relative_to(cache).parts[0].startswith(STEM)


def _class(name: str) -> str:
    """A list may name files anywhere: there, what counts is the folder that holds the video."""
    parts = PurePath(name).parts
    if PurePath(name).is_absolute() or ".." in parts:
        return PurePath(name).parent.name or TOP
    return parts[0] if len(parts) > 1 else TOP


def _print(place: Path) -> tuple[int, str]:
    """Its size, and a print: size, time of the last change, and both ends; whole videos would take minutes to hash."""
    with open_regular(place, MAX_BYTES) as file:
        try:
            found = os.fstat(file.fileno())
            digest = sha256(file.read(ENDS))
            if found.st_size > ENDS:
                file.seek(max(ENDS, found.st_size - ENDS))
                digest.update(file.read(ENDS))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}") from None
    return found.st_size, f"{found.st_size} {found.st_mtime_ns} {digest.hexdigest()}"
