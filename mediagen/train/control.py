"""What goes on beside the iterations: drawing the next batch ahead, and listening for the signals that ask to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mediagen.train.source import Examples


@contextlib.contextmanager
def ahead(draw: Callable[[int], Examples], first: int, total: int) -> Iterator[Iterator[Examples]]:
    """Draws the next batch in a thread while the present one is trained on."""
    with ThreadPoolExecutor(max_workers=1) as pool:

        def batches() -> Iterator[Examples]:
            upcoming: Future[Examples] = pool.submit(draw, first)
            for iteration in range(first + 1, total + 1):
                ready = upcoming.result()
                upcoming = pool.submit(draw, iteration)
                yield ready

        yield batches()


@contextlib.contextmanager
def stop_signals(should_stop: Callable[[], bool] | None) -> Iterator[Callable[[], bool]]:
    """While inside, the first SIGINT or SIGTERM asks to stop after the iteration; a second one acts as ever."""
    raised: list[int] = []
    before: dict[int, Any] = {}

    def ask(number: int, _frame: object) -> None:
        raised.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(raised) or (should_stop is not None and should_stop())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
