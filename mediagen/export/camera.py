"""Where a camera looks at each moment: a straight glide, or a smooth path through key frames. Positions are in pixels.

A camera's x and y are the centre of the view, counted from an integer anchor on the plane, so that far places are as exact as
near ones; its zoom is how many pixels of the frame one pixel of the plane takes.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from mediagen.errors import UsageError

Direction = Literal["right", "left", "up", "down"]
TOWARDS: Mapping[Direction, tuple[int, int]] = {"right": (1, 0), "left": (-1, 0), "up": (0, -1), "down": (0, 1)}
COLUMNS = ("t", "x", "y", "zoom")
MOST_KEYS = 10_000


@dataclass(frozen=True)
class Poses:
    """Arrays (n,) of where the camera is."""

    x: np.ndarray
    y: np.ndarray
    zoom: np.ndarray


class Camera(Protocol):
    """A pure function of time, in seconds."""

    def at(self, times: np.ndarray) -> Poses: ...


@dataclass(frozen=True)
class Glide:
    """From (x, y) on at `velocity` (x, y) pixels a second."""

    x: float
    y: float
    velocity: tuple[float, float]
    zoom: float

    def at(self, times: np.ndarray) -> Poses:
        across, down = self.velocity
        return Poses(self.x + across * times, self.y + down * times, np.full(len(times), self.zoom))


@dataclass(frozen=True)
class Route:
    """Through key frames: x, y and the logarithm of zoom are monotone cubics of time (Fritsch and Carlson, 1980).

    They pass through each key frame, never beyond it where it is a turning point, with a speed that does not jump; the
    camera starts and stops gently.
    """

    times: np.ndarray
    x: np.ndarray
    y: np.ndarray
    log_zoom: np.ndarray

    def at(self, times: np.ndarray) -> Poses:
        x, y, zoom = (_monotone(self.times, values, times) for values in (self.x, self.y, self.log_zoom))
        return Poses(x, y, np.exp(zoom))


@dataclass(frozen=True)
class Key:
    """One key frame; x and y on the plane. What is None is as the command line says."""

    t: float
    x: float
    y: float | None = None
    zoom: float | None = None


def route_through(keys: Sequence[Key], anchor: tuple[int, int], y: float, zoom: float) -> Route:
    """A camera through key frames; `y` (from the anchor) and `zoom` are for those that do not say."""
    return Route(
        np.array([key.t for key in keys]),
        np.array([_from(key.x, anchor[0]) for key in keys]),
        np.array([y if key.y is None else _from(key.y, anchor[1]) for key in keys]),
        np.log(np.array([zoom if key.zoom is None else key.zoom for key in keys])),
    )


def read_keys(file: Path) -> list[Key]:
    """Key frames out of a .json (a list of objects) or .csv file with t, x and, if wanted, y and zoom. Raises UsageError."""
    try:
        text = file.read_text("utf-8-sig")
        rows = json.loads(text) if file.suffix.lower() == ".json" else list(csv.DictReader(text.splitlines()))
    except OSError as error:
        raise UsageError(f"cannot read the key frames {file}: {error.strerror}") from None
    except (ValueError, csv.Error, RecursionError) as error:
        raise UsageError(f"{file}: no key frames: {error}") from None
    if not isinstance(rows, list) or not 2 <= len(rows) <= MOST_KEYS:
        raise UsageError(f"{file}: a path is a list of 2 to {MOST_KEYS:,} key frames with t (seconds), x, y and zoom")
    keys = [_key(row, f"{file}, key frame {number}") for number, row in enumerate(rows, 1)]
    times = [key.t for key in keys]
    if times[0] != 0 or any(later <= one for one, later in pairwise(times)):
        raise UsageError(f"{file}: times (t) begin at 0 and increase")
    return keys


def _key(row: Any, where: str) -> Key:
    if not isinstance(row, dict) or not {"t", "x"} <= row.keys() or row.keys() - set(COLUMNS):
        raise UsageError(f"{where}: must have t and x, may have y and zoom, and nothing else")
    values: dict[str, float | None] = {name: _number(row.get(name), f"{where}: {name}") for name in COLUMNS}
    t, x, zoom = values["t"], values["x"], values["zoom"]
    if t is None or x is None:
        raise UsageError(f"{where}: must have t and x")
    if zoom is not None and not 1e-6 <= zoom <= 1e3:
        raise UsageError(f"{where}: zoom is pixels of the frame per pixel of the plane, 0.000001 to 1000, not {zoom:g}")
    return Key(t, x, values["y"], zoom)


def _number(value: Any, what: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        # Whole numbers stay integers: a place far out on the plane is exact.
        number = value if isinstance(value, int) else int(value) if str(value).lstrip("+-").isdigit() else float(value)
    except (TypeError, ValueError):
        number = math.nan
    # Compared first: a whole number of 400 digits has no float to ask about.
    if isinstance(value, bool) or not abs(number) <= 2**61:
        raise UsageError(f"{what} is no number in reach: {str(value)[:40]!r}")
    return number


def _from(value: float, anchor: int) -> float:
    """A place counted from the anchor, exactly where it is a whole number."""
    return float(value - anchor) if isinstance(value, int) else (value - anchor)


def _monotone(keys: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic Hermite interpolation with slopes that keep each stretch monotone, and are zero at both ends."""
    steps, rises = np.diff(keys), np.diff(values)
    slopes = rises / steps
    tangents = np.zeros(len(keys))
    before, after = slopes[:-1], slopes[1:]
    turning = before * after <= 0
    w1, w2 = 2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        tangents[1:-1] = np.where(turning, 0.0, (w1 + w2) / (w1 / before + w2 / after))
    at = np.clip(at, keys[0], keys[-1])
    i = np.clip(np.searchsorted(keys, at, side="right") - 1, 0, len(steps) - 1)
    h = steps[i]
    s = (at - keys[i]) / h
    bend = s * s * (3 - 2 * s)
    return (
        values[i] + rises[i] * bend
        + h * (tangents[i] * s * (1 - s) ** 2 - tangents[i + 1] * s * s * (1 - s))
    )  # fmt: skip
