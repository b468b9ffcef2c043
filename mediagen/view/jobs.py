"""Work that is shared, bounded, newest first, and dropped when nobody waits for it any more.

Whoever looks has moved on since the earlier requests: what was asked for last is done first. Two who ask for the same
share one job. A job that nobody waits for any more is not begun; one that has begun is finished, for it is soon done.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

State = TypeVar("State")

RATE_OVER = 10.0
"""Seconds of work that the speed is measured over."""


class Full(Exception):
    """There is more to do than is taken on; to be asked again a little later."""


class Closed(Full):
    """Nothing more is taken on, for good."""


@dataclass
class _Job(Generic[State]):
    work: Callable[[State], int]
    urgency: int
    turn: int = 0
    waiting: set[Future[None]] = field(default_factory=set)
    begun: bool = False


class Jobs(Generic[State]):
    """Threads that work off jobs; each is begun with `enter()`, whose result every job of that thread is given.

    A job returns how many pixels it has made. `most` jobs wait at a time.
    """

    def __init__(self, threads: int, enter: Callable[[], State], most: int) -> None:
        self.most = most
        self.made = 0
        self._jobs: dict[Hashable, _Job[State]] = {}
        self._turns: list[tuple[int, int, Hashable]] = []
        self._turn = 0
        self._busy = 0
        self._open = True
        self._recent: deque[tuple[float, float, int]] = deque()
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(enter,), name=f"mediagen-lane-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, key: Hashable, work: Callable[[State], int], urgency: int = 0) -> Future[None]:
        """A future that ends when the job of that key is done; cancel it to give up. Raises Full, Closed.

        Jobs of a higher urgency come first, and of one urgency the newest. Who asks for one again with a lower urgency
        waits for it, and leaves it where it is.
        """
        with self._change:
            job = self._jobs.get(key)
            if job is None:
                if not self._open:
                    raise Closed
                if len(self._jobs) >= self.most:
                    raise Full
                job = self._jobs[key] = _Job(work, urgency)
            if not job.begun and urgency >= job.urgency:
                self._turn += 1
                job.turn, job.urgency = self._turn, urgency
                heapq.heappush(self._turns, (-urgency, -self._turn, key))
                self._tidy()
                self._change.notify()
            future: Future[None] = Future()
            job.waiting.add(future)
        future.add_done_callback(lambda done: self._left(key, done))
        return future

    def counts(self) -> tuple[int, int]:
        """How many jobs are being done, and how many wait."""
        with self._change:
            return self._busy, len(self._jobs) - self._busy

    def speed(self) -> float:
        """Pixels a second over the last seconds of work; 0 before any."""
        with self._change:
            spans = list(self._recent)
        if not spans:
            return 0.0
        covered, until = 0.0, 0.0
        for start, stop, _ in sorted(spans):  # the union of what several threads did side by side
            covered += max(0.0, stop - max(start, until))
            until = max(until, stop)
        return sum(pixels for _, _, pixels in spans) / max(covered, 1e-9)

    def close(self) -> None:
        """Gives up what waits, and waits for what is being done."""
        with self._change:
            self._open = False
            waiting = [future for job in self._jobs.values() for future in job.waiting]
            self._change.notify_all()
        for future in waiting:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def _left(self, key: Hashable, future: Future[None]) -> None:
        with self._change:
            job = self._jobs.get(key)
            if job is None:
                return
            job.waiting.discard(future)
            if not job.waiting and not job.begun:
                del self._jobs[key]

    def _tidy(self) -> None:
        """Forgets the turns of what was given up, before there are many more of them than jobs."""
        if len(self._turns) > 2 * len(self._jobs) + 64:
            self._turns = [turn for turn in self._turns if self._is_due(turn)]
            heapq.heapify(self._turns)

    def _is_due(self, turn: tuple[int, int, Hashable]) -> bool:
        job = self._jobs.get(turn[2])
        return job is not None and not job.begun and job.turn == -turn[1]  # else given up, or asked for again since

    def _next(self) -> tuple[Hashable, _Job[State]] | None:
        with self._change:
            while True:
                while self._open and not self._turns:
                    self._change.wait()
                if not self._open:
                    return None
                turn = heapq.heappop(self._turns)
                if self._is_due(turn):
                    job = self._jobs[turn[2]]
                    job.begun = True
                    self._busy += 1
                    return turn[2], job

    def _run(self, enter: Callable[[], State]) -> None:
        state = enter()
        while True:
            found = self._next()
            if found is None:
                return
            key, job = found
            start, error, pixels = time.monotonic(), None, 0
            try:
                pixels = job.work(state)
            except Exception as fault:
                error = fault
            with self._change:
                self._busy -= 1
                self.made += pixels
                del self._jobs[key]
                waiting = list(job.waiting)
                if pixels:
                    self._count(start, time.monotonic(), pixels)
            for future in waiting:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error) if error else future.set_result(None)

    def _count(self, start: float, stop: float, pixels: int) -> None:
        self._recent.append((start, stop, pixels))
        while stop - self._recent[0][0] > RATE_OVER and len(self._recent) > 1:
            self._recent.popleft()
