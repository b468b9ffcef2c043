"""Random fields by absolute position: every value is a pure function of (seed, name, channels, channel, x, y).

A field's lattice is cut into square bricks. Brick (bx, by) is filled by NumPy's counter-based Philox, keyed by a hash
of (seed, name) and started at the counter (0, bx, by, 0): any window is a few bricks, and no order of drawing exists.

The brick's side depends on nothing but the channel count: the largest power of two up to 64 with side**2 * channels
<= 4096 (at least 1). One channel makes bricks of 64 x 64, 512 channels bricks of 2 x 2: a single cell of a deep latent
costs little, and a large flat window spends its time in Philox instead of in Python.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random import Generator, Philox

from mediagen.core.geometry import Window

BRICK_VALUES = 4096
LONGEST_SIDE = 64
WORD = (1 << 64) - 1


def brick_side(channels: int) -> int:
    """Side in cells of the bricks of a field with that many channels."""
    side = LONGEST_SIDE
    while side > 1 and side * side * channels > BRICK_VALUES:
        side //= 2
    return side


def key_of(seed: int, name: str) -> np.ndarray:
    """The 128-bit Philox key of one named field: uint64 (2,)."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def random_field(seed: int, name: str, channels: int, window: Window) -> np.ndarray:
    """N(0, 1) values of a field inside `window` of its own lattice: float32 (channels, height, width)."""
    side = brick_side(channels)
    out = np.empty((channels, window.height, window.width), np.float32)
    brick = np.empty((side, channels, side), np.float32)  # row by row, so that a brick's lower rows can be left undrawn
    bits = Philox(key=key_of(seed, name))
    draw = Generator(bits).standard_normal
    state = bits.state  # setting the state again is ten times cheaper than a generator per brick
    counter = state["state"]["counter"]
    for by in range(window.y // side, (window.bottom - 1) // side + 1):
        top, bottom = max(window.y, by * side), min(window.bottom, (by + 1) * side)
        drawn = brick[: bottom - by * side]
        rows = drawn[top - by * side :].transpose(1, 0, 2)
        into = out[:, top - window.y : bottom - window.y]
        for bx in range(window.x // side, (window.right - 1) // side + 1):
            counter[:] = 0, bx & WORD, by & WORD, 0
            bits.state = state
            draw(dtype=np.float32, out=drawn)
            left, right = max(window.x, bx * side), min(window.right, (bx + 1) * side)
            into[:, :, left - window.x : right - window.x] = rows[:, :, left - bx * side : right - bx * side]
    return out
