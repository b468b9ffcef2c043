"""Half the size: how every level of a pyramid comes from the one before."""

from __future__ import annotations

import numpy as np


def halved(planar: np.ndarray, times: int) -> np.ndarray:
    """`halve`, so many times: a picture (3, h, w) of level k as one of level k + times."""
    for _ in range(times):
        planar = halve(planar)
    return planar


def halve(planar: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels, (a + b + c + d + 2) // 4, of (3, h, w) uint8; an odd last row or column counts twice."""
    _, height, width = planar.shape
    if height % 2 or width % 2:
        planar = np.pad(planar, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    # Two neighbours of a row as one 16-bit number: half as many numbers to go through, and none of them strided.
    pairs = np.ascontiguousarray(planar).view(np.uint16)
    out = np.empty((len(pairs), pairs.shape[1] // 2, pairs.shape[2]), np.uint8)
    for colour, half in zip(pairs, out, strict=True):
        total = colour & 0xFF
        total += colour >> 8
        rows = total[0::2]
        rows += total[1::2]
        rows += 2
        rows >>= 2
        half[:] = rows
    return out
