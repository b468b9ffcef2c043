"""Worker processes on this machine, and what keeps them quiet: their log lines, and Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import dask
from distributed import Nanny, Scheduler, SpecCluster

from mediagen.errors import WorkerError
from mediagen.execute.units import one_line

_LOGGERS = ("distributed", "tornado", "asyncio")


@contextmanager
def local_cluster(workers: int, threads: int, gpus: Sequence[str] = ()) -> Iterator[SpecCluster]:
    """`workers` processes that compute one unit at a time with `threads` threads each; they end with the context."""
    environment = _environment(threads)
    settings = {
        "distributed.nanny.pre-spawn-environ": environment,
        # A unit may hold the interpreter for minutes (a compilation, say) without being lost.
        "distributed.scheduler.worker-ttl": "1 hour",
    }
    with tempfile.TemporaryDirectory(prefix="mediagen-") as scratch, dask.config.set(settings), _restored(environment):
        specs = {str(i): _spec(str(gpus[i % len(gpus)]) if gpus else None, scratch) for i in range(workers)}
        # Even without a dashboard there is a small HTTP server, by default on a fixed port and loud when that is taken.
        options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        scheduler = {"cls": Scheduler, "options": options}
        try:
            with _interrupts_ignored():  # Children inherit this; a Ctrl-C in the terminal must not kill their work.
                cluster = SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL)
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            hint = 'a script that uses workers must begin its work under `if __name__ == "__main__":`'
            raise WorkerError(f"{workers} workers could not be started ({one_line(error)}); {hint}") from error
        try:
            yield cluster
        finally:
            with suppress(TimeoutError):
                cluster.close(timeout=5)


@contextmanager
def hushed() -> Iterator[None]:
    """Keeps dask's log lines off the terminal: what matters is raised, and a person wants one line."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def interrupt_flag() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C into a flag, the second being fatal, unless the caller has a handler of its own."""
    asked = threading.Event()
    if not _in_main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if not _in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _restored(names: dict[str, str]) -> Iterator[None]:
    """Undoes what nannies do to this process's own environment when they start a worker."""
    before = {name: os.environ.get(name) for name in (*names, "PYTHONHASHSEED", "__DASK_PARENT_PID")}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _spec(gpu: str | None, scratch: str) -> dict[str, Any]:
    # No memory limit: dask would count pinned and cached memory and kill a worker that is well.
    # Two units at once: one is computed (run_unit sees to that) while the one before is finished.
    options: dict[str, Any] = {"nthreads": 2, "memory_limit": 0, "local_directory": scratch, "host": "127.0.0.1"}
    if gpu is not None:
        options["env"] = {"CUDA_VISIBLE_DEVICES": gpu}
    return {"cls": Nanny, "options": options | {"dashboard": False, "silence_logs": logging.CRITICAL}}


def _environment(threads: int) -> dict[str, str]:
    """Set before a worker starts, when libraries read it; dask's own default is one thread, whatever was asked for."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: str(threads) for name in names} | {"DASK_LOGGING__DISTRIBUTED": "critical"}


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
