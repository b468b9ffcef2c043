"""Work done ahead by a few threads, its results taken in order, in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Unit = TypeVar("Unit")
Value = TypeVar("Value")

MOST = 16


def cores() -> int:
    """How many threads this process may keep busy."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, MOST)


def in_order(work: Callable[[Unit], Value], units: Iterable[Unit], threads: int, ahead: int = 4) -> Iterator[Value]:
    """`work` of each unit, in their order; at most `ahead` units a thread are begun before they are asked for."""
    source = iter(units)
    pool = ThreadPoolExecutor(threads, "mediagen-export")
    try:
        held: deque[Future[Value]] = deque(pool.submit(work, unit) for unit in islice(source, threads * ahead))
        while held:
            value = held.popleft().result()
            held.extend(pool.submit(work, unit) for unit in islice(source, 1))
            yield value
    finally:
        pool.shutdown(cancel_futures=True)
