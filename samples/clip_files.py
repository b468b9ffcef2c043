"""What the makers of sample videos share: one random generator a clip, and folders of small mp4 files."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np


def clip_rng(seed: int, number: int) -> np.random.Generator:
    """Clip `number` of a set: the same whatever the size of the set, and whichever clips are made before it."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number]))


def write_clip(path: Path, frames: np.ndarray, *, fps: int = 16, exact: bool = False, crf: int = 12) -> None:
    """Frames (T, H, W, 3) uint8 as one h264 mp4.

    `exact` stores RGB without loss: what is read back is what was written, but browsers do not play it. Otherwise
    yuv420p of quality `crf`, which everything plays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    options = {"qp": "0", "preset": "fast"} if exact else {"crf": str(crf), "preset": "slow"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb" if exact else "libx264", rate=fps, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "rgb24" if exact else "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def read_clip(path: Path) -> np.ndarray:
    """All frames of a video, (T, H, W, 3) uint8."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def write_folder(
    folder: Path, clips: Iterable[tuple[np.ndarray, str]], *, fps: int = 16, exact: bool = False, crf: int = 12
) -> int:
    """Every clip as FOLDER/CLASS/NUMBER.mp4; an empty class name means no sub-folder. Returns how many."""
    count = 0
    for number, (frames, name) in enumerate(clips):
        write_clip(folder / name / f"{number:05d}.mp4", frames, fps=fps, exact=exact, crf=crf)
        count += 1
        if count % 50 == 0:
            print(f"\r{count} clips", end="", file=sys.stderr, flush=True)
    print(f"\r{count} clips in {folder}", file=sys.stderr)
    return count
