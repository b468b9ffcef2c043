"""One video file -> frames of the wanted size and rate. Untrusted files: what is not on a short list is not opened.

Arrays are (H, W, 3) uint8. No torch here: decoding processes import this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from mediagen.data.video_frames import MAX_PIXELS, Framer, Wanted
from mediagen.errors import DataError

# Containers in which people keep videos. Not here: playlists and scripts, which open other files (concat, hls, dash), devices,
# still pictures, and the formats of old games, whose decoders few have looked at.
FORMATS = (
    "mov,matroska,avi,flv,mpeg,mpegts,mpegvideo,ogg,asf,rm,mxf,nut,ivf,dv,gif,apng,yuv4mpegpipe,mjpeg,h264,hevc,m4v,obu"
)
MAX_BYTES = 2**34
MAX_SECONDS = 4 * 3600
MAX_FRAMES = 1_000_000
SLACK = 0.002
"""Seconds by which a frame may be late and still count as in time: many containers round to milliseconds."""


class Broken(DataError):
    """Decoding stopped part way; the frames before that are good."""


def decode_video(
    file: BinaryIO, wanted: Wanted, beat: Callable[[], None] = lambda: None
) -> Iterator[tuple[np.ndarray, int]]:
    """Each picture with the number of frames that it fills; `beat` is called for every frame decoded.

    Raises DataError with the reason alone: Broken when the file ends in the middle, another one when it is refused.
    """
    with _opened(file) as container:
        stream = _chosen(container)
        framer, some = Framer(wanted, stream.sample_aspect_ratio), False
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        for frame, count in _paced(_decoded(container, stream, beat), wanted.fps, 1.0 / min(max(rate, 0.01), 1000.0)):
            try:
                picture = framer(frame)
            except (av.FFmpegError, ValueError) as error:
                raise Broken(f"cannot be converted: {_said(error)}") from None
            some = True
            yield picture, count
        if not some:
            raise DataError("no frame of it can be decoded")


def _opened(file: BinaryIO) -> InputContainer:
    """Reads through `file` alone: no protocol is allowed, so nothing in it can name another file or an address."""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
    if not file.read(1):
        raise DataError("an empty file")
    file.seek(0)
    try:
        return av.open(file, mode="r", options=options, metadata_errors="ignore")
    except av.ArgumentError:  # What libav says of a format that is not on the list.
        raise DataError("not a video: its format is not among those that are read") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DataError(f"not a video, or damaged at its beginning: {_said(error)}") from None


def _chosen(container: InputContainer) -> VideoStream:
    """The best of the video streams, made ready to decode in this thread alone."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise DataError("it has no video stream")
    if av.stream.Disposition.attached_pic in stream.disposition:
        raise DataError("it has no video stream, only a cover picture")
    if container.duration is not None and container.duration / av.time_base > MAX_SECONDS:
        raise DataError(f"{container.duration / av.time_base / 3600:.1f} hours; at most {MAX_SECONDS // 3600} are read")
    if stream.frames > MAX_FRAMES:
        raise DataError(f"{stream.frames} frames; at most {MAX_FRAMES} are read")
    context = stream.codec_context
    if context is None:
        raise DataError("there is no decoder for its video stream")
    if context.width * context.height > MAX_PIXELS:
        raise DataError(f"{context.width} x {context.height} is more than {MAX_PIXELS // 10**6} million pixels")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = 1
    stream.thread_type = "NONE"
    return stream


def _decoded(container: InputContainer, stream: VideoStream, beat: Callable[[], None]) -> Iterator[av.VideoFrame]:
    try:
        for frame in container.decode(stream):
            beat()
            yield frame
    except (av.FFmpegError, ValueError) as error:
        raise Broken(f"decoding stops: {_said(error)}") from None


def _paced(frames: Iterable[av.VideoFrame], fps: float | None, spacing: float) -> Iterator[tuple[av.VideoFrame, int]]:
    """Frames with how often each is shown: once each, or, at `fps` a second, as often as it is the one on screen.

    Output k shows the last frame that began by k / fps after the first one. `spacing` stands in for missing times.
    """
    if fps is None:
        for frame in frames:
            yield frame, 1
        return
    shown: av.VideoFrame | None = None
    problem: Broken | None = None
    start, now, done = 0.0, 0.0, 0
    try:
        for frame in frames:
            time = frame.time if frame.pts is not None else None
            if shown is None:
                start = time or 0.0
            else:
                now = max(now, time - start if time is not None else now + spacing)
                if (count := _due(now, fps) - done) > 0:
                    yield shown, count
                    done += count
            shown = frame
    except Broken as error:
        problem = error
    if shown is not None and (count := max(_due(now + _length(shown, spacing), fps) - done, 0 if done else 1)) > 0:
        yield shown, count
    if problem is not None:
        raise problem


def _due(seconds: float, fps: float) -> int:
    """How many outputs lie before a frame that begins at `seconds`. Raises DataError beyond the limits."""
    if not seconds <= MAX_SECONDS:
        raise DataError(f"its time stamps span more than {MAX_SECONDS // 3600} hours")
    return max(0, math.ceil((seconds - min(SLACK, 0.25 / fps)) * fps))


def _length(frame: av.VideoFrame, spacing: float) -> float:
    """Seconds for which the last frame is shown."""
    length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else spacing
    return length if 0.0 < length <= 10.0 else spacing


def _said(error: BaseException) -> str:
    """libav's own words in short."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
