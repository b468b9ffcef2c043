"""Threads in which a model works: several chunks of frames at a time, each in one thread of torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Literal, Self, TypeVar

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16"]
Value = TypeVar("Value")

LANE_THREADS = 1
MOST = 8
"""Lanes at most: each holds what its layers need."""


class Lanes:
    """Use as a context. `make` runs a function in one of the lanes, `walk` in a thread that is never busy with frames.

    On the CPU a lane is a single thread of torch: several work better than many threads sharing each layer, above all
    where other processes compute too, and a frame's bits then do not depend on how many cores there are.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        self.device, self.precision = device, precision
        self._threads = torch.get_num_threads()
        self.count = max(1, min(self._threads, MOST)) if device.type == "cpu" else 1
        self._lanes, self._walker = (
            ThreadPoolExecutor(
                count,
                thread_name_prefix="mediagen-frames",
                initializer=torch.set_num_threads,
                initargs=(LANE_THREADS,),
            )
            for count in (self.count, 1)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._lanes, self._walker):
            pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)

    def make(self, function: Callable[..., Tensor], *arguments: Any) -> Future[Tensor]:
        return self._lanes.submit(self._guarded, function, *arguments)

    def walk(self, function: Callable[..., Value], *arguments: Any) -> Value:
        return self._walker.submit(self._guarded, function, *arguments).result()

    def _guarded(self, function: Callable[..., Value], *arguments: Any) -> Value:
        half = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
        with torch.no_grad(), half:
            return function(*arguments)


def in_order(begun: Iterator[Future[Tensor]], ahead: int) -> Iterator[Tensor]:
    """The results of futures in their order; `ahead` more of them have been begun meanwhile."""
    held = deque(islice(begun, ahead + 1))
    while held:
        yield held.popleft().result()
        held.extend(islice(begun, 1))
