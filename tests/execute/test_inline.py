from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mediagen.execute.inline import run_inline


def test_results_come_in_order_and_memory_is_bounded() -> None:
    held, most, results = 0, 0, []
    lock = threading.Lock()

    def compute(unit: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return unit * unit

    def finish(value: int) -> int:
        nonlocal held
        time.sleep(0.002)
        with lock:
            held -= 1
        return value + 1

    outcome = run_inline(compute, range(50), finish=finish, on_result=results.append, window=2)
    assert results == [n * n + 1 for n in range(50)]
    assert (outcome.done, outcome.stopped, outcome.failed) == (50, False, [])
    assert most == 3


def test_finishing_overlaps_computing() -> None:
    both = threading.Barrier(2, timeout=30)  # the next one is computed while one is finished, or neither goes on

    def compute(unit: int) -> int:
        if unit > 0:
            both.wait()
        return unit

    def finish(value: int) -> int:
        if value < 19:
            both.wait()
        return value

    results: list[int] = []
    run_inline(compute, range(20), finish=finish, on_result=results.append)
    assert results == list(range(20))


def test_stopping_finishes_what_was_computed() -> None:
    results: list[int] = []
    outcome = run_inline(
        lambda unit: unit,
        iter(range(10**12)),
        finish=lambda value: value,
        on_result=results.append,
        should_stop=lambda: len(results) > 5,
    )
    assert outcome.stopped
    assert results == list(range(outcome.done))


@pytest.mark.parametrize("where", ["compute", "finish", "on_result"])
def test_an_error_anywhere_ends_the_run_and_is_raised(where: str) -> None:
    finished: list[int] = []
    results: list[int] = []

    def fail_at_3(name: str, value: int) -> int:
        if name == where and value == 3:
            raise ArithmeticError(name)
        return value

    def finish(value: int) -> int:
        finished.append(fail_at_3("finish", value))
        return value

    def units() -> Iterator[int]:
        yield from range(10**12)

    with pytest.raises(ArithmeticError, match=where):
        run_inline(
            lambda unit: fail_at_3("compute", unit),
            units(),
            finish=finish,
            on_result=lambda value: results.append(fail_at_3("on_result", value)),
        )
    assert finished[:3] == [0, 1, 2]
    assert len(finished) < 10
