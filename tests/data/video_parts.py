"""Small real videos whose truth is known: flat frames numbered by their colour, lossless where it matters."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ZOO = Path(__file__).parents[3] / "shared" / "data" / "video_zoo"


def numbered(count: int, *, video: int = 0, size: tuple[int, int] = (16, 16)) -> list[np.ndarray]:
    """Flat frames (h, w, 3): red tells the video, green the frame; the left half is darker in blue than the right."""
    frames = [np.full((*size, 3), (video, number, 100), np.uint8) for number in range(count)]
    for frame in frames:
        frame[:, size[1] // 2 :, 2] = 200
    return frames


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    **more: Any,
) -> Path:
    """Encodes RGB frames, shown at `times` (seconds) or at `rate` a second, in what the name's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", **more) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def folder_of(root: Path, counts: Sequence[int], *, classes: int = 0) -> Path:
    """One lossless video for each count, 000.mkv on, dealt to the sub-folders 0, 1 and so on if there are classes."""
    for video, count in enumerate(counts):
        place = root / str(video % classes) if classes else root
        write(place / f"{video:03d}.mkv", numbered(count, video=video))
    return root
