"""The decoding process: told on its stdin which files to read, it appends their frames to the rows of a lane.

A line in, a line out, all JSON. In: {"path": FILE}. Out: {"rows": COUNT, "first": ROW, "sha256": HEX, "broken": REASON or
null}, or {"refused": REASON}, and {"beat": 0} about once a second in between. Whatever libav does on a hostile file
(crash, hang, take all memory) happens here and costs that file alone. No torch: it must start quickly.

A lane is a row of files of `per` frames each, LANE.0, LANE.1 and so on, (frames, H, W, 3) uint8 as they are.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from mediagen.data.files import open_regular
from mediagen.data.video_decode import MAX_BYTES, MAX_FRAMES, Broken, decode_video
from mediagen.data.video_frames import Wanted
from mediagen.errors import DataError

MEMORY = 2**32
"""Bytes of address space a file may cost beyond what the process has from the start."""
BLOCK = 2**20


class Lane:
    """Appends frames behind row `row`; a file that fails takes its rows back."""

    def __init__(self, place: Path, row: int, wanted: Wanted, per: int) -> None:
        self.place, self.row, self.per = place, row, per
        self.first = row
        self._bytes = wanted.height * wanted.width * 3
        self._block = np.empty((max(1, min(per, BLOCK // self._bytes)), wanted.height, wanted.width, 3), np.uint8)
        self._filled = 0
        self._open: tuple[int, int] | None = None  # number and handle of the file written last

    @property
    def count(self) -> int:
        """Frames since `begin`."""
        return self.row + self._filled - self.first

    def begin(self) -> None:
        self.first, self._filled = self.row, 0

    def add(self, picture: np.ndarray, count: int) -> None:
        """Appends a picture `count` times. Raises DataError beyond the limit, OSError."""
        if self.count + count > MAX_FRAMES:
            raise DataError(f"more than {MAX_FRAMES} frames")
        while count > 0:
            some = min(count, len(self._block) - self._filled)
            self._block[self._filled : self._filled + some] = picture
            self._filled += some
            count -= some
            if self._filled == len(self._block):
                self.flush()

    def flush(self) -> None:
        """Writes what waits in memory, over as many files as it takes."""
        waiting = self._block[: self._filled]
        while len(waiting):
            number, start = divmod(self.row, self.per)
            some = waiting[: self.per - start]
            data, handle = some.data.cast("B"), self._handle(number)
            os.lseek(handle, start * self._bytes, os.SEEK_SET)
            while len(data):  # A nearly full disk may take a part.
                data = data[os.write(handle, data) :]
            self.row += len(some)
            waiting = waiting[len(some) :]
        self._filled = 0

    def undo(self) -> None:
        self.row, self._filled = self.first, 0

    def _handle(self, number: int) -> int:
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                os.close(self._open[1])
            flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._open = (number, os.open(f"{self.place}.{number}", flags, 0o644))
        return self._open[1]


class Beat:
    """Says about once a second that there is life; a parent that is gone ends this process."""

    def __init__(self, out: IO[str]) -> None:
        self.out, self.last = out, time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self.last > 1.0:
            self.last = now
            say(self.out, {"beat": 0})


def read(path: str, lane: Lane, wanted: Wanted, beat: Beat) -> dict[str, Any]:
    """Appends one file's frames to the lane; the answer for the parent. Raises OSError when the lane cannot be written."""
    broken = None
    lane.begin()
    try:
        with open_regular(Path(path), MAX_BYTES) as file:
            digest = digest_of(file, beat)
            try:
                for picture, count in decode_video(file, wanted, beat):
                    lane.add(picture, count)
            except Broken as error:
                if lane.count == 0:
                    raise
                broken = str(error)
        lane.flush()
    except (DataError, MemoryError) as error:
        lane.undo()
        return {
            "refused": "too large for the memory that a file may take" if isinstance(error, MemoryError) else str(error)
        }
    return {"rows": lane.count, "first": lane.first, "sha256": digest, "broken": broken}


def digest_of(file: BinaryIO, beat: Beat) -> str:
    """SHA-256 of the file, which is then at its beginning again. Raises DataError."""
    digest = sha256()
    try:
        while piece := file.read(BLOCK):
            digest.update(piece)
            beat()
        file.seek(0)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def say(out: IO[str], answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


def limit_memory() -> None:
    """No core dumps, and an end to what a file may allocate; where the system knows such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def main() -> None:
    """Reads the lane and the wanted frames from the first line, then one line a file until there are no more."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints, prints elsewhere
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A Ctrl-C is for the parent, whose end closes our stdin.
    with suppress(BrokenPipeError):
        setup = json.loads(sys.stdin.readline())
        asked = setup["wanted"]
        wanted = Wanted(**asked | {"resize": asked["resize"] and tuple(asked["resize"])})
        lane, beat = Lane(Path(setup["lane"]), setup["row"], wanted, setup["per"]), Beat(out)
        limit_memory()
        say(out, {"beat": 0})
        for line in sys.stdin:
            try:
                say(out, read(json.loads(line)["path"], lane, wanted, beat))
            except BrokenPipeError:
                return
            except OSError as error:
                say(out, {"failed": error.errno, "words": error.strerror})
                return
