"""Runs units one after the other in this thread, while a second thread finishes (compresses, writes) earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mediagen.execute.units import Outcome

Unit = TypeVar("Unit")
Value = TypeVar("Value")
Record = TypeVar("Record")


def run_inline(
    fn: Callable[[Unit], Value],
    units: Iterable[Unit],
    *,
    finish: Callable[[Value], Record],
    on_result: Callable[[Record], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    window: int = 2,
) -> Outcome:
    """For every unit: `finish(fn(unit))`, `fn` in this thread and `finish` in one other; then `on_result` here.

    At most `window` values wait or are being finished while the next one is computed, so memory is constant. An
    exception of either function ends the run, after what was computed before has been finished; nothing is retried.
    """
    outcome = Outcome()
    pending: deque[Future[Record]] = deque()

    def collect() -> None:
        on_result(pending.popleft().result())
        outcome.done += 1

    with ThreadPoolExecutor(1, thread_name_prefix="mediagen-finish") as pool:
        for unit in units:
            if should_stop():
                outcome.stopped = True
                break
            pending.append(pool.submit(finish, fn(unit)))
            while len(pending) > window or (pending and pending[0].done()):
                collect()
        while pending:
            collect()
    return outcome
