"""Makes clips of handwritten digits that bounce: `python samples/moving_digits.py OUT --images IMAGES.idx --labels LABELS.idx`.

After Moving MNIST ("Unsupervised Learning of Video Representations using LSTMs", Srivastava et al. 2015): digits of 28 pixels
in frames of 64, white on black, straight paths that are mirrored at the frame's sides; where digits overlap the brighter
pixel wins. The digits come from idx files (MNIST's own format, also as .gz) that you give.
With one digit a clip, its value is the clip's class. Frames (T, H, W, 3) uint8.
"""

from __future__ import annotations

import argparse
import gzip
import zlib
from pathlib import Path

import numpy as np
from clip_files import clip_rng, write_folder

SPEED = (1.5, 4.0)
"""Slowest and fastest, in pixels a frame at 64 pixels."""


def read_idx(path: Path) -> np.ndarray:
    """An idx file of bytes (.gz or not): (N,) labels or (N, height, width) pictures. Raises ValueError."""
    raw = path.read_bytes()
    try:
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, OSError, zlib.error):
        raise ValueError(f"{path}: truncated: its compressed data ends too early") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: no idx file of bytes; MNIST's files are such files")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", count=dimensions, offset=4) if len(data) >= 4 + 4 * dimensions else [0]
    if int(np.prod(shape, dtype=np.int64)) != len(data) - 4 - 4 * dimensions:
        raise ValueError(f"{path}: truncated: its header and its {len(data)} bytes disagree")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def moving_digits_clip(
    rng: np.random.Generator, images: np.ndarray, *, digits: int = 2, frames: int = 32, size: int = 64
) -> tuple[np.ndarray, list[int]]:
    """One clip, (frames, size, size, 3) uint8, and which of `images` (N, h, w) are in it."""
    which = rng.integers(len(images), size=digits)
    clip = np.zeros((frames, size, size), np.float32)
    for picture in images[which]:
        y, x = (_bounce(rng, frames, size - side, size / 64) for side in picture.shape)
        for canvas, top, left in zip(clip, y, x, strict=True):
            _stamp(canvas, picture, top, left)
    return np.repeat(np.rint(clip).astype(np.uint8)[..., None], 3, axis=3), which.tolist()


def moving_digits(
    count: int, images: np.ndarray, seed: int = 0, *, digits: int = 2, frames: int = 32, size: int = 64
) -> np.ndarray:
    """The first `count` videos of a seed, (count, frames, size, size, 3) uint8."""
    made = (
        moving_digits_clip(clip_rng(seed, k), images, digits=digits, frames=frames, size=size) for k in range(count)
    )
    return np.stack([clip for clip, _ in made])


def _bounce(rng: np.random.Generator, frames: int, room: int, scale: float) -> np.ndarray:
    """Places in [0, room] along one axis: a steady walk, folded back at both ends."""
    speed = rng.uniform(*SPEED) * rng.choice([-1, 1]) * scale
    unfolded = rng.uniform(0, room) + speed * np.arange(frames)
    return room - np.abs(unfolded % (2 * room) - room)


def _stamp(canvas: np.ndarray, picture: np.ndarray, top: float, left: float) -> None:
    """The brighter of canvas and picture, the latter at a place between pixels (bilinear)."""
    y, x = int(top), int(left)
    dy, dx = top - y, left - x
    height, width = picture.shape
    moved = np.zeros((height + 1, width + 1), np.float32)
    for row, column, share in (
        (0, 0, (1 - dy) * (1 - dx)),
        (0, 1, (1 - dy) * dx),
        (1, 0, dy * (1 - dx)),
        (1, 1, dy * dx),
    ):
        moved[row : row + height, column : column + width] += share * picture
    view = canvas[y : y + height + 1, x : x + width + 1]
    np.maximum(view, moved[: view.shape[0], : view.shape[1]], out=view)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the videos")
    parser.add_argument("--images", type=Path, required=True, help="idx file of pictures, train-images-idx3-ubyte say")
    parser.add_argument(
        "--labels", type=Path, help="idx file of their values: makes sub-folders 0 to 9 (with --digits 1)"
    )
    parser.add_argument("--digits", type=int, default=2, help="digits in a clip")
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", type=int, default=64, help="pixels, more than a digit")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    try:
        images, labels = read_idx(asked.images), read_idx(asked.labels) if asked.labels else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if images.ndim != 3 or max(images.shape[1:]) >= asked.size:
        parser.error(f"{asked.images}: holds no pictures smaller than {asked.size} pixels")
    if labels is not None and (asked.digits != 1 or labels.shape != (len(images),)):
        parser.error("--labels needs --digits 1 and one value for each picture")

    def clip(number: int) -> tuple[np.ndarray, str]:
        rng = clip_rng(asked.seed, number)
        frames, which = moving_digits_clip(rng, images, digits=asked.digits, frames=asked.frames, size=asked.size)
        return frames, "" if labels is None else str(labels[which[0]])

    write_folder(asked.out, map(clip, range(asked.videos)), exact=True)


if __name__ == "__main__":
    main()
