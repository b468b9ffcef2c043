"""Whether a flight stays over its ground, found out before the first frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from mediagen.errors import UsageError
from mediagen.export.camera import Camera
from mediagen.export.ground import Extent, Ground

AT_ONCE = 2**16
SLACK = 1e-6
"""Pixels that a view may reach beyond the ground by rounding."""
MOST_SEEN = 2**25
"""Pixels of an unstored plane that one frame may show: all of them have to be painted."""


def default_zoom(size: tuple[int, int], ground: Ground) -> float:
    """One pixel of the frame for one of the plane, or more where a frame would not be filled otherwise."""
    across = size[0] / ground.home.width if ground.stored else 0.0
    return max(1.0, across, size[1] / ground.home.height)


def edges(
    camera: Camera, size: tuple[int, int], fps: Fraction, frames: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(first frame, what frames see first: (n, 2), and last: (n, 2)), in pixels from the anchor, x and y."""
    for first in range(0, frames, AT_ONCE):
        poses = camera.at(np.arange(first, min(frames, first + AT_ONCE)) * fps.denominator / fps.numerator)
        centre = np.stack([poses.x, poses.y], axis=1)
        half = np.array(size) / 2 / poses.zoom[:, None]
        yield first, centre - half, centre + half


def frames_that_fit(camera: Camera, size: tuple[int, int], fps: Fraction, frames: int, ground: Ground) -> int:
    """How many frames, from the first one on, lie over the ground as a whole."""
    low, high = _bounds(ground)
    for first, near, far in edges(camera, size, fps, frames):
        outside = ((near < low - SLACK) | (far > high + SLACK)).any(axis=1)
        if outside.any():
            return first + int(outside.argmax())
    return frames


def extent_of(camera: Camera, size: tuple[int, int], fps: Fraction, frames: int, ground: Ground) -> Extent:
    """What the flight sees in all."""
    low, high = np.full(2, math.inf), np.full(2, -math.inf)
    widest = np.zeros(2)
    for _, near, far in edges(camera, size, fps, frames):
        low, high = np.minimum(low, near.min(axis=0)), np.maximum(high, far.max(axis=0))
        widest = np.maximum(widest, (far - near).max(axis=0))
    x, y = ground.anchor
    return Extent(low[0] + x, low[1] + y, high[0] + x, high[1] + y, float(widest[0]), float(widest[1]))


def check(
    camera: Camera, size: tuple[int, int], fps: Fraction, frames: int, ground: Ground, on_path: bool
) -> Extent:  # fmt: skip
    """What the flight sees. Raises UsageError where it would leave its ground, or see too much of an unpainted one."""
    there = frames_that_fit(camera, size, fps, frames, ground)
    if there < frames:
        raise UsageError(_refusal(camera, size, fps, there, ground, on_path))
    extent = extent_of(camera, size, fps, frames, ground)
    if not ground.stored and extent.width * extent.height > MOST_SEEN:
        raise UsageError(
            f"a frame would show {extent.width:,.0f} x {extent.height:,.0f} px of the plane, and all of them would have to be "
            "painted; raise --zoom, or paint a canvas first and fly over that"
        )
    return extent


def _refusal(
    camera: Camera, size: tuple[int, int], fps: Fraction, there: int, ground: Ground, on_path: bool
) -> str:  # fmt: skip
    at = np.array([there * fps.denominator / fps.numerator])
    pose = camera.at(at)
    centre, half = np.array([pose.x[0], pose.y[0]]), np.array(size) / 2 / pose.zoom[0]
    low, high = _bounds(ground)
    left, top = (np.floor(centre - half) + np.array(ground.anchor)).tolist()
    right, bottom = (np.ceil(centre + half) + np.array(ground.anchor)).tolist()
    has = f"x = {ground.limits.x} to {ground.limits.right}, y = {ground.limits.y} to {ground.limits.bottom}"
    if not ground.stored:
        has = f"y = {ground.limits.y} to {ground.limits.bottom}"
    if (2 * half > high - low + SLACK).any():
        zoom = float((np.array(size) / (high - low)).max())
        advice = f"raise the zoom to {math.ceil(zoom * 100) / 100:g} or more, or make the frame smaller (--size)"
    elif on_path:
        advice = f"change the key frames before second {at[0]:.2f}"
    elif there == 0:
        advice = "start elsewhere (--x, --y), which are the centre of the first frame"
    else:
        fits = math.floor(there / float(fps) * 10) / 10
        advice = f"{fits:g} seconds fit from that start at that speed: say --seconds {fits:g}"
    return (
        f"at second {at[0]:.2f} the camera would see x = {left:.0f} to {right:.0f}, y = {top:.0f} to {bottom:.0f}, "
        f"and {ground.name} has {has}; {advice}"
    )


def _bounds(ground: Ground) -> tuple[np.ndarray, np.ndarray]:
    """The ground's corners from the anchor (x, y)."""
    limits, (x, y) = ground.limits, ground.anchor
    return np.array([limits.x - x, limits.y - y], float), np.array([limits.right - x, limits.bottom - y], float)
