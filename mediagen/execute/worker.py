"""The worker's side of a cluster run: what dask imports and calls in every worker process."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from mediagen.execute.units import Call

Work = Callable[[Any, Any], Any]


class StatePlugin(WorkerPlugin):
    """Builds a worker's state (the loaded model, say) once; dask runs it again whenever a nanny replaces a worker."""

    def __init__(self, name: str, make_state: Call, threads: int, own: bool) -> None:
        self.name = name
        self.make_state = make_state
        self.threads = threads
        self.own = own
        self.state: Any = None
        self.lock = threading.Lock()
        self.held = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the description travels; the state and its lock belong to one worker.
        return StatePlugin, (self.name, self.make_state, self.threads, self.own)

    def setup(self, worker: Worker) -> None:
        if self.own:
            # A Ctrl-C in the terminal reaches our workers too; the coordinator alone decides what it means.
            with suppress(ValueError):
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.state = self.make_state(threads=self.threads)


def run_unit(name: str, fn: Work, finish: Work | None, unit: Any) -> tuple[bool, Any]:
    """Runs one unit with the worker's state, unless on hold; returns whether it did, and a small record of it."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, StatePlugin)
    with plugin.lock:  # A worker has several threads; its one state serves one unit at a time.
        if plugin.held:
            return False, None
        value = fn(plugin.state, unit)
    return True, value if finish is None else finish(plugin.state, value)


def hold(name: str, dask_worker: Worker) -> None:
    """Lets the unit that is being run finish, and those that wait behind it go back undone."""
    plugin = dask_worker.plugins[name]
    assert isinstance(plugin, StatePlugin)
    plugin.held = True


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """The version of each package here; None where there is none."""
    return {name: _version(name) for name in packages}


def answer(check: Call) -> Any:
    """Carries out a preflight call."""
    return check()


def _version(package: str) -> str | None:
    if package == "mediagen":  # Also when it runs from a checkout and is not installed.
        return getattr(importlib.import_module(package), "__version__", None)
    try:
        return version(package)
    except PackageNotFoundError:
        return None
