"""Clips as GIFs: each frame with its own 256 colours, coded by Pillow and appended, so memory does not grow with the clip.

A GIF has no index: cut off behind any frame, it is a GIF that lacks nothing but its last byte, and viewers play it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import GifImagePlugin, Image

from mediagen.io.files import storing, sync_folder
from mediagen.io.video_codecs import SEGMENT, ClipLayout

END = b";"
FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
COMMENT, PICTURE, EXTENSION = 0xFE, 0x2C, 0x21
COLOURS, SAMPLED = 256, 96


def read_comment(path: Path) -> str | None:
    """The comment in a GIF's head; None when there is none, or the file is no GIF."""
    try:
        with path.open("rb") as file:
            return next((text.decode() for kind, text in _blocks(file) if kind == COMMENT), None)
    except (OSError, ValueError):
        return None


def frame_ends(path: Path) -> Iterator[int]:
    """For each whole frame from the first on, the position in bytes where it ends."""
    with path.open("rb") as file:
        try:
            for kind, _ in _blocks(file):
                if kind == PICTURE:
                    yield file.tell()
        except ValueError:  # cut short there
            return


class GifClip:
    """A GIF that grows at `part`. `done` frames are there already; `add` the ones after them, then `finish`."""

    def __init__(self, path: Path, part: Path, layout: ClipLayout, record: Mapping[str, Any]) -> None:
        self.path, self.part, self.layout = path, part, layout
        with storing(path):
            self.done = self._continue(_head(layout, json.dumps(record, sort_keys=True).encode()))

    def _continue(self, head: bytes) -> int:
        """Cuts a former run's part behind its last whole segment, or begins a new one."""
        done, end = 0, 0
        for count, position in enumerate(frame_ends(self.part) if self.part.exists() else (), 1):
            if count % SEGMENT == 0 or count == self.layout.frames:
                done, end = count, position
        self._file: IO[bytes] = self.part.open("r+b" if done else "wb")
        if done:
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self._file.write(head)
            self._file.flush()
        return done

    def add(self, frames: np.ndarray) -> None:
        """The next frames, (n, H, W, 3) uint8. Raises StoreError."""
        with storing(self.path):
            for frame in frames:
                picture = _in_few_colours(Image.fromarray(frame))
                lasts = 10 * _hundredths(self.done, self.layout.fps)
                self._file.write(b"".join(GifImagePlugin.getdata(picture, duration=lasts, include_color_table=True)))
                self.done += 1
            self._file.flush()

    def close(self) -> None:
        """Leaves the part as it is. Raises StoreError."""
        with storing(self.path):
            self._file.close()

    def finish(self) -> None:
        """Ends the GIF and puts it at its place. Raises StoreError."""
        assert self.done == self.layout.frames
        with storing(self.path):
            self._file.write(END)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self.part.replace(self.path)
            sync_folder(self.path.parent)


def _in_few_colours(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours of its own: a median cut of some of its pixels, several times as fast as of all."""
    some = picture.resize([min(side, SAMPLED) for side in picture.size], Image.Resampling.NEAREST)
    return picture.quantize(palette=some.quantize(COLOURS), dither=Image.Dither.NONE)


def _head(layout: ClipLayout, comment: bytes) -> bytes:
    size = layout.width.to_bytes(2, "little") + layout.height.to_bytes(2, "little")
    pieces = [comment[i : i + 255] for i in range(0, len(comment), 255)]
    said = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return b"GIF89a" + size + b"\x70\0\0" + FOREVER + bytes([EXTENSION, COMMENT]) + said + b"\0"


def _hundredths(index: int, fps: Fraction) -> int:
    """How long a frame lasts, in 1/100 s; rounded so that the clip as a whole keeps its time."""
    return round(100 * (index + 1) / fps) - round(100 * index / fps)


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(kind, text) of each block, read up to its end; the text of comments alone is kept. Raises ValueError at the end."""
    head = _exactly(file, 13)
    if head[:3] != b"GIF":
        raise ValueError("no GIF")
    _colours(file, head[10])
    while True:
        kind = _exactly(file, 1)[0]
        if kind == PICTURE:
            _colours(file, _exactly(file, 9)[8])
            _exactly(file, 1)
        elif kind == EXTENSION:
            kind = _exactly(file, 1)[0]
        else:
            raise ValueError("the end, or no block")
        text = b""
        while length := _exactly(file, 1)[0]:
            piece = _exactly(file, length)
            text += piece if kind == COMMENT else b""
        yield kind, text


def _colours(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        _exactly(file, 3 * 2 ** (1 + (flags & 7)))


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise ValueError("cut short")
    return data
