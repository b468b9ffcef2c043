"""Clips as mp4, mkv and webm, written so that a killed run leaves a part that plays and can be gone on with.

While it grows, a clip is NAME.part.mp4 (an mp4 in fragments, one a segment), .mkv or .webm. When it is whole, its packets
are put into a plain file, which takes the name asked for: so the bytes do not tell how often it was interrupted.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from mediagen.errors import StoreError
from mediagen.io.files import storing
from mediagen.io.video_codecs import CODECS, SEGMENT, ClipLayout
from mediagen.io.video_encode import SegmentCoder, configure
from mediagen.io.video_place import put_in_place

FORMATS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm"}
READERS = {"mp4": "mp4", "mkv": "matroska", "webm": "matroska"}
GROWING = {
    "mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    "mkv": {"cluster_time_limit": "1000"},
    "webm": {"cluster_time_limit": "1000"},
}
PLAIN = {"mp4": {"movflags": "faststart"}, "mkv": {}, "webm": {}}


def read_comment(path: Path) -> str | None:
    """A container's comment; None when there is none, or what is there cannot be read as what its name says."""
    try:
        with av.open(_url(path), format=READERS[path.suffix.lower()[1:]]) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError):
        return None
    return found.get("comment")


def whole_frames(path: Path, fps: Fraction) -> int:
    """How many frames from the first on are in a file, whole ones, however it ends."""
    return sum(1 for _ in _packets(path, fps))


def decoded_frames(path: Path) -> int:
    """How many frames from the first on can be decoded without a fault."""
    count = 0
    try:
        with av.open(_url(path), format=READERS[path.suffix.lower()[1:]]) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            for _ in container.decode(stream):
                count += 1
    except (av.FFmpegError, IndexError):
        pass
    return count


class ContainerClip:
    """A clip that grows at `part`. `done` frames are there already; `add` the ones after them, then `finish`."""

    def __init__(self, path: Path, part: Path, kept: Path, layout: ClipLayout, record: Mapping[str, Any]) -> None:
        self.path, self.part, self.kept, self.layout = path, part, kept, layout
        self.comment = json.dumps(record, sort_keys=True)
        self._coder = SegmentCoder(layout)
        self._container: OutputContainer | None = None
        self._failed = False
        with storing(path):
            self.done = self._continue()

    def _continue(self) -> int:
        """Takes over the whole segments of what a former run left: moved aside, and copied into the new part."""
        # A `kept` is there only until the copy of it has been written, so it is never behind the part.
        if self.kept.exists():
            self.part.unlink(missing_ok=True)
        elif self.part.exists():
            self.part.rename(self.kept)
        done = whole_frames(self.kept, self.layout.fps) if self.kept.exists() else 0
        if done < self.layout.frames:
            done -= done % SEGMENT
        self._container, self._stream = open_muxer(self.part, self.layout, self.comment, GROWING)
        self._written = 0
        if done:
            for packet in _packets(self.kept, self.layout.fps):
                if self._written < done:
                    self._mux(packet, self._written)
        return done

    def add(self, frames: np.ndarray) -> None:
        """The next frames, (n, H, W, 3) uint8. Raises StoreError."""
        with storing(self.path):
            try:
                for frame in frames:
                    self._add(frame)
            except OSError:
                self._failed = True
                raise

    def _add(self, frame: np.ndarray) -> None:
        last = (self.done + 1) % SEGMENT == 0 or self.done + 1 == self.layout.frames
        for packet in self._coder.code(frame, last):
            self._mux(packet, self.done // SEGMENT * SEGMENT + (packet.pts or 0))
        self.done += 1
        if last:
            assert self._written == self.done, "an encoder gives one packet a frame"
            self.kept.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the part as it is: it plays, and the same command goes on with it. Raises StoreError."""
        if self._container is not None:
            container, self._container = self._container, None
            with storing(self.path):
                container.close()
                if not self._failed:  # else packets that were copied may be missing
                    self.kept.unlink(missing_ok=True)

    def finish(self) -> None:
        """Puts the whole clip at its place. Raises StoreError."""
        assert self.done == self.layout.frames
        self.close()
        with storing(self.path), put_in_place(self.path) as draft:
            container, stream = open_muxer(draft, self.layout, self.comment, PLAIN)
            count = 0
            try:
                for packet in _packets(self.part, self.layout.fps):
                    container.mux_one(_placed(packet, count, stream, self.layout.fps))
                    count += 1
            finally:
                container.close()
            if count != self.layout.frames:
                raise StoreError(f"{self.part}: damaged, {count} of {self.layout.frames} frames can be read; delete it")
        for left in (self.part, self.kept):
            left.unlink(missing_ok=True)

    def _mux(self, packet: av.Packet[VideoStream], index: int) -> None:
        assert self._container is not None
        assert index == self._written, "frames come in the order they are shown in"
        self._container.mux_one(_placed(packet, index, self._stream, self.layout.fps))
        self._written += 1


def open_muxer(
    path: Path, layout: ClipLayout, comment: str, options: Mapping[str, Mapping[str, str]]
) -> tuple[OutputContainer, VideoStream]:
    """A file with its header written. The same layout and comment give the same header."""
    container = av.open(
        _url(path),
        "w",
        format=FORMATS[layout.container],
        options={"fflags": "+bitexact", "flush_packets": "1", **options[layout.container]},
    )
    try:
        container.metadata["comment"] = comment
        stream = container.add_stream(CODECS[layout.codec].encoder, rate=layout.fps)
        assert isinstance(stream, VideoStream)
        configure(stream.codec_context, layout)
        container.start_encoding()
    except BaseException:
        with suppress(av.FFmpegError, OSError):
            container.close()
        raise
    return container, stream


def _placed(packet: av.Packet[VideoStream], index: int, stream: VideoStream, fps: Fraction) -> av.Packet[VideoStream]:
    """A packet as frame `index` of a stream."""
    packet.stream, packet.time_base = stream, 1 / fps
    packet.pts = packet.dts = index
    packet.duration = 1
    return packet


def _packets(path: Path, fps: Fraction) -> Iterator[av.Packet[VideoStream]]:
    """The packets of a file's frames 0, 1, 2, ... as far as they are whole and none is missing."""
    try:
        with closing(av.open(_url(path), format=READERS[path.suffix.lower()[1:]])) as container:
            count = 0
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                if packet.is_corrupt or packet.pts is None or round(packet.pts * packet.time_base * fps) != count:
                    return
                yield packet
                count += 1
    except (av.FFmpegError, IndexError) as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            raise
        # The file was cut short there.


def _url(path: Path) -> str:
    """A path as libav takes it for nothing but a file, whatever characters are in it."""
    return f"file:{path}"
