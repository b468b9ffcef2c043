"""The frames of a flight, group by group: one piece of scenery is read and made ready for all frames that see it.

Every frame depends on its own number alone, so a flight can be gone on with anywhere, and memory does not grow with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from mediagen.core.geometry import Window
from mediagen.export.ahead import cores
from mediagen.export.camera import Camera, Poses
from mediagen.export.resample import Colours, View, frame_shape, planes, put, reach, rounded, sheet_of
from mediagen.export.scenery import Scenery

Seen = list[tuple[int, View, float]]
"""What a frame is mixed from: levels, what it shows of each, and their shares."""

BATCH = 64
"""Frames of a group at most; groups do not cross a multiple of it, so that segments of a clip are whole groups."""
GROUP_BYTES = 2**27
AT_ONCE = 8
"""Frames that are handed on together."""
ON_LATTICE = 1e-6
"""Pixels of the frame by which lattices may differ that count as one."""
SPREAD = 1.6
"""A group's piece of scenery has at most so many times the pixels that one of its frames sees."""
FINE = 1.5
"""Frames that show so many pixels of a level in one, or fewer, are made from it alone; up to 2, the next one is mixed in."""
LOOK_AHEAD = 24
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Flight:
    """Everything that decides a clip's frames; `size` is (width, height) in pixels of the frame."""

    scenery: Scenery
    camera: Camera
    size: tuple[int, int]
    colours: Colours
    fps: Fraction
    frames: int

    def poses(self, first: int, stop: int) -> Poses:
        """Where the camera is at frames first .. stop - 1."""
        return self.camera.at(np.arange(first, stop) * self.fps.denominator / self.fps.numerator)


@dataclass(frozen=True)
class Group:
    """Frames that share pieces of scenery, one of each level."""

    first: int
    views: list[Seen]
    windows: dict[int, Window]

    @property
    def wanted(self) -> list[tuple[int, Window]]:
        return list(self.windows.items())


@dataclass
class Strip:
    """Frames that lie on one lattice: whole pixels of the frame apart, as in an even glide. They are made as one wide one.

    `members` are (frame of the group, columns from the first one).
    """

    seen: Seen
    members: list[tuple[int, int]]

    def columns_to(self, other: Seen, colours: Colours) -> int | None:
        """How far right a frame lies, if it is on the lattice (which chroma has only at every other column)."""
        for (level, one, share), (level_, view, share_) in zip(self.seen, other, strict=False):
            if (level, share, one.top, one.step) != (level_, share_, view.top, view.step):
                return None
        one, view = self.seen[0][1], other[0][1]
        columns = (view.left - one.left) / one.step
        whole = round(columns)
        fits = abs(columns - whole) < ON_LATTICE and (colours == "rgb" or whole % 2 == 0)
        return whole if fits else None

    @property
    def reach(self) -> tuple[int, int]:
        """The first and the last of its members' columns."""
        return min(columns for _, columns in self.members), max(columns for _, columns in self.members)


def strips_of(group: Group, colours: Colours) -> list[Strip]:
    """A group's frames as few strips."""
    found: list[Strip] = []
    for i, seen in enumerate(group.views):
        for strip in found:
            columns = strip.columns_to(seen, colours)
            if columns is not None:
                strip.members.append((i, columns))
                break
        else:
            found.append(Strip(seen, [(i, 0)]))
    return found


def frames_from(flight: Flight, start: int) -> Generator[np.ndarray, None, None]:
    """The frames from `start` on, as (n, ...) uint8 of any n."""
    source = groups(flight, start)
    held = deque(islice(source, 1 + LOOK_AHEAD))
    pool = ThreadPoolExecutor(min(THREADS, cores()), "mediagen-flight", torch.set_num_threads, (1,))
    before: list[tuple[Strip, Future[list[Tensor]]]] = []
    try:
        while held:
            group = held.popleft()
            following = [wanted for later in held for wanted in later.wanted]
            # In the pool too, where torch keeps to one thread: its own threads would wait for work by spinning.
            sheets = {
                level: pool.submit(sheet_of, flight.scenery.read(level, window, following), flight.colours).result()
                for level, window in group.wanted
            }
            begun = [
                (strip, pool.submit(_make, flight, group, sheets, strip)) for strip in strips_of(group, flight.colours)
            ]
            yield from _frames(flight, before)
            before = begun
            held.extend(islice(source, 1))
        yield from _frames(flight, before)
    finally:
        pool.shutdown(cancel_futures=True)


def groups(flight: Flight, start: int) -> Iterator[Group]:
    """The frames from `start` on in groups."""
    most = min(BATCH, GROUP_BYTES // math.prod(frame_shape(flight.size, flight.colours)))
    most = 2 ** max(0, most.bit_length() - 1)  # so that a batch is whole groups
    while start < flight.frames:
        stop = min(flight.frames, (start // BATCH + 1) * BATCH)
        poses = flight.poses(start, stop)
        views = [_views(flight, x, y, zoom) for x, y, zoom in zip(poses.x, poses.y, poses.zoom, strict=True)]
        group: list[Seen] = []
        around: dict[int, Window] = {}
        for i, seen in enumerate(views):
            windows = {level: _window(flight, level, view) for level, view, _ in seen}
            joined = {level: _hull(around[level], window) for level, window in windows.items()} if (
                windows.keys() == around.keys()) else {}  # fmt: skip
            fits = joined and all(joined[level].area <= SPREAD * windows[level].area for level in windows)
            if group and (not fits or len(group) == most):
                yield Group(start + i - len(group), group, around)
                group, around = [], {}
            group.append(seen)
            around = joined if around else windows
        yield Group(stop - len(group), group, around)
        start = stop


def levels_for(step: float, levels: int) -> list[tuple[int, float]]:
    """The levels that show `step` pixels of the plane in one of the frame, with their shares."""
    level = max(0, min(levels - 1, math.ceil(math.log2(step)) - 1))
    here = step / 2**level
    if here <= FINE or level + 1 == levels:
        return [(level, 1.0)]
    share = min(1.0, math.log(here / FINE) / math.log(2 / FINE))
    return [(level, 1.0 - share), (level + 1, share)] if share < 1.0 else [(level + 1, 1.0)]


def _views(flight: Flight, x: float, y: float, zoom: float) -> Seen:
    width, height = flight.size
    left, top = x - width / 2 / zoom, y - height / 2 / zoom
    chosen = levels_for(1 / zoom, flight.scenery.levels)
    return [(k, View(left / 2**k, top / 2**k, 1 / zoom / 2**k), share) for k, share in chosen]


def _window(flight: Flight, level: int, view: View) -> Window:
    """The pixels of a level that a view reads, as far as there are any."""
    (width, height), more = flight.size, reach(view.step, flight.colours)
    left, top = math.floor(view.left) - more, math.floor(view.top) - more
    right = math.ceil(view.left + width * view.step) + more
    bottom = math.ceil(view.top + height * view.step) + more
    part = Window(left, top, right - left, bottom - top).meet(flight.scenery.bounds(level))
    assert part is not None, "the camera was checked to stay inside"
    return part


def _hull(one: Window, other: Window) -> Window:
    return Window.of(one.columns.hull(other.columns), one.rows.hull(other.rows))


def _make(flight: Flight, group: Group, sheets: dict[int, Tensor], strip: Strip) -> list[Tensor]:
    """The planes of a strip, as bytes."""
    mixed: list[Tensor] = []
    low, high = strip.reach
    size = flight.size[0] + high - low, flight.size[1]
    for level, first, share in strip.seen:
        window, view = group.windows[level], View(first.left + low * first.step, first.top, first.step)
        parts = planes(sheets[level], (window.x, window.y), view, size, flight.colours)
        if share < 1.0:
            parts = [part.mul_(share) for part in parts]
        mixed = [a.add_(b) for a, b in zip(mixed, parts, strict=True)] if mixed else parts
    return rounded(mixed)


def _frames(flight: Flight, begun: list[tuple[Strip, Future[list[Tensor]]]]) -> Iterator[np.ndarray]:
    """A group's frames in their order, a few at a time, cut out of its strips as soon as those are made."""
    where = {i: (future, columns - strip.reach[0]) for strip, future in begun for i, columns in strip.members}
    for first in range(0, len(where), AT_ONCE):
        some = range(first, min(len(where), first + AT_ONCE))
        out = np.empty((len(some), *frame_shape(flight.size, flight.colours)), np.uint8)
        for frame, i in zip(out, some, strict=True):
            future, shift = where[i]
            put(future.result(), shift, frame, flight.colours)
        yield out
