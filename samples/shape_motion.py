"""Makes Shape Motion, the synthetic data of MoCoGAN: `python samples/shape_motion.py OUT --videos 4000 --frames 16`.

After "MoCoGAN: Decomposing Motion and Content for Video Generation" (Tulyakov et al. 2018), section 4, and the strips that
its authors ship: one circle or square of one flat colour on black, not antialiased, moves along a quartic Bezier curve, up
(class 0) or to the left (class 1). The shipped strips hold 32 frames, of which training reads every second.
Frames (T, H, W, 3) uint8. Video k of a seed is the same however many are made. OUT/0-up and OUT/1-left then hold RGB h264
files without loss; the clips need no files either: `shape_motion(count, seed)`.
"""

from __future__ import annotations

import argparse
from math import comb
from pathlib import Path

import numpy as np
from clip_files import clip_rng, write_folder

CLASSES = ("0-up", "1-left")
SIZES = (8, 10, 12, 14)
"""Side or diameter in pixels of a 64 pixel frame."""
EDGE = 1
"""Pixels that stay black at the top and left; at the bottom and right twice as many, as in the shipped strips."""
DARKEST = 16
"""The least value of a colour's brightest channel: a shape that nobody sees has no colour to measure."""


def shape_motion_clip(
    rng: np.random.Generator, *, frames: int = 16, size: int = 64, mirrored: bool = False
) -> tuple[np.ndarray, int]:
    """One clip, (frames, size, size, 3) uint8, and its class: 0 moves up, 1 moves to the left.

    `mirrored` turns that into down and to the right, the directions that the paper's text names.
    """
    kind = int(rng.integers(2))
    shape = _circle if rng.integers(2) else _square
    mask = shape(SIZES[rng.integers(len(SIZES))] * size // 64)
    colour = rng.integers(256, size=3)
    while colour.max() < DARKEST:
        colour = rng.integers(256, size=3)
    along, across = _path(rng, frames, EDGE * size // 64, size - 2 * EDGE * size // 64 - len(mask))
    clip = np.zeros((frames, size, size, 3), np.uint8)
    for picture, a, b in zip(clip, along, across, strict=True):
        y, x = (a, b) if kind == 0 else (b, a)
        picture[y : y + len(mask), x : x + len(mask)][mask] = colour
    return (clip[:, ::-1, ::-1].copy() if mirrored else clip), kind


def shape_motion(
    count: int, seed: int = 0, *, frames: int = 16, size: int = 64, mirrored: bool = False, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Videos first .. first + count - 1 of a seed: (count, frames, size, size, 3) uint8 and classes (count,) int64."""
    numbers = range(first, first + count)
    made = [shape_motion_clip(clip_rng(seed, k), frames=frames, size=size, mirrored=mirrored) for k in numbers]
    return np.stack([clip for clip, _ in made]), np.array([kind for _, kind in made], np.int64)


def _path(rng: np.random.Generator, frames: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole positions of a shape's upper left corner, in [low, high], along the motion's axis and across it.

    A quartic Bezier curve from `high` to `low`: its five control points start and end at one place across, the three
    between lie anywhere.
    """
    t = np.linspace(0.0, 1.0, frames)
    weights = np.stack([comb(4, k) * t**k * (1 - t) ** (4 - k) for k in range(5)])  # Bernstein polynomials (5, T)
    inner = rng.uniform(low, high, (3, 2))
    home = rng.uniform(low, high)
    points = np.array([[high, home], *inner, [low, home]])
    along, across = np.rint(points.T @ weights).astype(int)
    return along, across


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), bool)


def _circle(diameter: int) -> np.ndarray:
    """A disc as the shipped strips have it: its centre is a pixel, so a box of even size cuts two of its tips."""
    offset = np.arange(diameter) - (diameter // 2 - 1)
    return offset[:, None] ** 2 + offset[None, :] ** 2 <= (diameter / 2) ** 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the videos")
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--frames", type=int, default=16, help="16 as in the paper, 32 as in the shipped strips")
    parser.add_argument("--size", type=int, default=64, help="pixels, at least 16")
    parser.add_argument("--fps", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mirrored", action="store_true", help="down and to the right instead of up and to the left")
    asked = parser.parse_args()

    def clip(number: int) -> tuple[np.ndarray, str]:
        rng = clip_rng(asked.seed, number)
        frames, kind = shape_motion_clip(rng, frames=asked.frames, size=asked.size, mirrored=asked.mirrored)
        return frames, (("0-down", "1-right") if asked.mirrored else CLASSES)[kind]

    write_folder(asked.out, map(clip, range(asked.videos)), fps=asked.fps, exact=True)


if __name__ == "__main__":
    main()
