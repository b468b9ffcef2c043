"""One segment of a clip: uint8 frames (H, W, 3) -> coded packets, by an encoder that knows nothing of other segments."""

from __future__ import annotations

import os
from collections.abc import Iterator

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from mediagen.errors import UsageError
from mediagen.io.video_codecs import CODECS, SEGMENT, ClipLayout

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder would tell of itself on stderr

BT709 = 1  # of ITU-T H.273: primaries, transfer and matrix


def configure(context: VideoCodecContext, layout: ClipLayout) -> None:
    """Sets everything that decides an encoder's bytes."""
    codec = CODECS[layout.codec]
    context.width, context.height = layout.coded_size
    context.pix_fmt = codec.pixels
    context.framerate = layout.fps
    context.time_base = 1 / layout.fps
    context.gop_size = SEGMENT
    context.thread_count = layout.threads
    context.flags |= Flags.global_header | Flags.bitexact
    if codec.pixels == "yuv420p":
        context.color_range = ColorRange.MPEG
        context.colorspace = context.color_primaries = context.color_trc = BT709
    context.options = {**codec.options, **({} if layout.crf is None else {"crf": str(layout.crf)})}


def open_encoder(layout: ClipLayout) -> VideoCodecContext:
    """An encoder for one segment. Raises UsageError when this machine has none, or it refuses the size."""
    name = CODECS[layout.codec].encoder
    try:
        context = av.CodecContext.create(name, "w")
    except av.FFmpegError:
        raise UsageError(
            f"this installation of PyAV has no encoder for {layout.codec} ({name}); choose another"
        ) from None
    assert isinstance(context, VideoCodecContext)
    configure(context, layout)
    try:
        context.open()
    except av.FFmpegError as error:
        width, height = layout.coded_size
        raise UsageError(
            f"{layout.codec} cannot code frames of {width} x {height} px ({error.strerror}); change --scale or --codec"
        ) from None
    return context


class SegmentCoder:
    """Codes frames, a segment at a time, with one colour converter kept for all of them.

    One thread converts: the hand-over to several costs more than they save at these sizes.
    """

    def __init__(self, layout: ClipLayout) -> None:
        self.layout = layout
        self._reformatter = VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        width, height = layout.coded_size
        odd = (width, height) != (layout.width, layout.height)
        self._padded = np.empty((height, width, 3), np.uint8) if odd else None
        self._in_segment = 0

    def code(self, frame: np.ndarray, last: bool) -> Iterator[av.Packet[VideoStream]]:
        """What is ready after one more frame; `last` ends its segment. Times count from the segment's start.

        A frame is (H, W, 3), or (H * 3 / 2, W) where the layout takes planes: BT.709 in studio range.
        """
        self._encoder = self._encoder or open_encoder(self.layout)
        picture = self._converted(frame)
        picture.pts, picture.time_base = self._in_segment, 1 / self.layout.fps
        self._in_segment += 1
        yield from self._encoder.encode(picture)
        if last:
            yield from self._encoder.encode(None)
            self._encoder, self._in_segment = None, 0

    def _converted(self, frame: np.ndarray) -> av.VideoFrame:
        if frame.ndim == 2:
            assert self.layout.takes_planes, "these planes would have to be copied"
            return av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame), format="yuv420p")
        pixels = CODECS[self.layout.codec].pixels
        raw = av.VideoFrame.from_numpy_buffer(self._even(frame), format="rgb24")
        if pixels != "yuv420p":
            return self._reformatter.reformat(raw, format=pixels, threads=1)
        picture = self._reformatter.reformat(
            raw,
            format=pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )
        for plane in picture.planes:
            if plane.line_size > plane.width:
                # x264 looks at what lies behind a row, up to the next multiple of 16; without this its bytes vary.
                np.asarray(memoryview(plane)).reshape(-1, plane.line_size)[:, plane.width :] = 0
        return picture

    def _even(self, frame: np.ndarray) -> np.ndarray:
        if self._padded is None:
            return np.ascontiguousarray(frame)
        height, width, _ = frame.shape
        self._padded[:height, :width] = frame
        self._padded[height:, :width] = frame[-1:]
        self._padded[:, width:] = self._padded[:, width - 1 : width]
        return self._padded
