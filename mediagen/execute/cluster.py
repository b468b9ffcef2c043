"""Runs units on dask workers: a bounded window of units in flight, small records back, and a preflight of every worker.

The workers are processes started here on this machine, or those of a scheduler that the user started elsewhere. A unit
may run more than once (a lost worker, a retry), so it must do the same thing each time. Dask lets its peers run code:
what is started here listens on 127.0.0.1 only, and a scheduler elsewhere must be one the user trusts.
"""

from __future__ import annotations

import asyncio
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any

from distributed import Client, Future, KilledWorker, Security
from distributed.comm.core import connect

from mediagen.errors import MediagenError, WorkerError
from mediagen.execute.local import hushed, interrupt_flag, local_cluster
from mediagen.execute.units import Call, Check, Failure, Outcome, one_line, require_importable
from mediagen.execute.worker import StatePlugin, answer, hold, run_unit, versions

CONNECT_SECONDS = 5
NO_WORKERS_SECONDS = 60
"""A run gives up when there has been no worker at all for this long (a nanny needs some seconds to replace one)."""
Work = Callable[[Any, Any], Any]
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 2.0
_FAILURES_IN_A_ROW = 32
_AGAIN = "say the same command again to go on"
_LOST = f"the scheduler has gone away; {_AGAIN}"


def run_cluster(
    make_worker_state: Call,
    fn: Work,
    units: Iterable[Any],
    *,
    workers: int = 0,
    scheduler: str | None = None,
    threads: int = 1,
    gpus: Sequence[str] = (),
    packages: Sequence[str] = ("mediagen", "numpy"),
    checks: Sequence[Check] = (),
    on_result: Callable[[Any], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    window: int = 2,
    retries: int = 2,
    finish: Work | None = None,
) -> Outcome:
    """Calls `fn(state, unit)` for every unit on `workers` local processes, or on those of `scheduler` (an address).

    With `finish`, a unit's record is `finish(state, fn(state, unit))`: a worker runs one `fn` at a time, and meanwhile
    finishes (compresses, writes) the unit before.

    Each worker first builds `state = make_worker_state(threads=threads)`; local worker number i sees only the GPU
    gpus[i % len(gpus)]. At most `window` units per worker are in flight. `on_result(record)` runs in this thread, in
    the order of completion. A unit that raises is tried `retries` times more and then listed in the outcome; an error
    that is a user's (MediagenError: a full disk, say) ends the run. Raises WorkerError when the workers are no use.
    """
    assert (workers > 0) != (scheduler is not None), "give either a number of workers or a scheduler's address"
    for function in (fn, finish or fn):
        require_importable(function)
    with hushed(), interrupt_flag() as interrupted, ExitStack() as stack:
        if scheduler is None:
            cluster = stack.enter_context(local_cluster(workers, threads, gpus))
            client = stack.enter_context(_connected(cluster.scheduler_address, expect=workers))
        else:
            client = stack.enter_context(_connected(scheduler, expect=1))
        count = _preflight(client, packages, checks)
        plugin = StatePlugin(f"mediagen-{uuid.uuid4().hex}", make_worker_state, threads, own=scheduler is None)
        stack.enter_context(_registered(client, plugin))
        flight = _Flight(client, plugin.name, fn, finish, retries)
        return _run(flight, iter(units), count * window, on_result, lambda: interrupted() or should_stop())


class _Flight:
    """The units that are out: submitted, and not yet come back."""

    def __init__(self, client: Client, name: str, fn: Work, finish: Work | None, retries: int) -> None:
        self.client, self.name, self.fn, self.finish, self.retries = client, name, fn, finish, retries
        self.units: dict[str, tuple[Future[Any], Any]] = {}
        self._back: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._count = 0
        self._workers_seen = time.monotonic()
        self._next_look = 0.0

    def send(self, unit: Any) -> None:
        key = f"{self.name}-{self._count}"
        self._count += 1
        call = run_unit, self.name, self.fn, self.finish, unit
        future = self.client.submit(*call, key=key, retries=self.retries, pure=False)
        self.units[key] = future, unit
        future.add_done_callback(self._back.put)

    def receive(self) -> tuple[Future[Any], Any] | None:
        """The next future that came back, with its unit; None after a moment in which nothing did."""
        try:
            future = self._back.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            self._look_after_workers()
            return None
        return self.units.pop(str(future.key))

    def settle(self, future: Future[Any]) -> tuple[bool, Any] | Exception:
        """What `run_unit` returned, or raised. Raises WorkerError when the scheduler has gone away."""
        try:
            if future.status != "cancelled":
                ran, record = future.result()  # Waits, should its worker have died since: dask then runs it again.
                return ran, record
        except (CancelledError, asyncio.CancelledError):
            pass
        except Exception as error:
            return error
        raise WorkerError(_LOST)

    def call_back(self) -> None:
        """Has every unit come back soon: those being run when they are done, those that wait on a worker undone."""
        with suppress(Exception):  # Whoever does not hear it goes on working, which does no harm.
            self.client.run(hold, self.name, on_error="ignore")

    def _look_after_workers(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        if self.client.status != "running":
            raise WorkerError(_LOST)
        if self.client.scheduler_info()["workers"]:
            self._workers_seen = now
        elif now - self._workers_seen > NO_WORKERS_SECONDS:
            raise WorkerError(f"there has been no worker for {NO_WORKERS_SECONDS} s; {_AGAIN}")


def _run(
    flight: _Flight,
    units: Iterator[Any],
    limit: int,
    on_result: Callable[[Any], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Keeps `limit` units out until there are no more, or until asked to stop; then waits for those that are out."""
    outcome = Outcome()
    fatal: MediagenError | None = None
    failed_in_a_row = 0
    while True:
        if not outcome.stopped and fatal is None and should_stop():
            outcome.stopped = True
            flight.call_back()
        if not outcome.stopped and fatal is None:
            for unit in islice(units, limit - len(flight.units)):
                flight.send(unit)
        if not flight.units:
            break
        returned = flight.receive()
        if returned is None:
            continue
        future, unit = returned
        result = flight.settle(future)
        future.release()
        if isinstance(result, Exception):
            outcome.failed.append(Failure(unit, _reason(result)))
            failed_in_a_row += 1
            if fatal is None and (isinstance(result, MediagenError) or failed_in_a_row >= _FAILURES_IN_A_ROW):
                fatal = result if isinstance(result, MediagenError) else _hopeless(failed_in_a_row, result)
                flight.call_back()
        elif result[0]:
            on_result(result[1])
            outcome.done += 1
            failed_in_a_row = 0
    if fatal is not None:
        raise fatal
    return outcome


@contextmanager
def _connected(address: str, expect: int) -> Iterator[Client]:
    """A client of the scheduler at `address`, once `expect` workers are there."""
    try:
        with ThreadPoolExecutor(1) as pool:  # Where a notebook has an event loop running, another thread has none.
            pool.submit(lambda: asyncio.run(_reach(address))).result()
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
        raise WorkerError(f"the scheduler at {address} does not answer: check the address and that it runs") from error
    try:
        try:
            client.wait_for_workers(expect, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise WorkerError(f"the scheduler at {address} has no workers: dask worker {address}") from error
        yield client
    finally:
        with suppress(TimeoutError, OSError):
            client.close(timeout=2)


async def _reach(address: str) -> None:
    """Raises OSError or ValueError unless a dask process answers; a Client would try for half a minute and complain."""
    security = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=CONNECT_SECONDS, **security), CONNECT_SECONDS + 1)
    await comm.close()


def _preflight(client: Client, packages: Sequence[str], checks: Sequence[Check]) -> int:
    """Asks every worker for its versions and the answers to `checks`; returns the number of workers."""
    mine = versions(packages)
    answers = _ask_all(client, "runs another mediagen, or none", versions, packages)
    for address, theirs in answers.items():
        for name in packages:
            if theirs[name] != mine[name]:
                raise WorkerError(f"worker {address} has {name} {theirs[name]}, but this process has {mine[name]}")
    for check in checks:
        for address, value in _ask_all(client, f"cannot use {check.what}", answer, check.call).items():
            if check.expected is not None and value != check.expected:
                raise WorkerError(f"worker {address} sees another {check.what} than this process does")
    return len(answers)


def _ask_all(client: Client, trouble: str, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    try:
        answers: dict[str, Any] = client.run(function, *arguments, on_error="return")
    except (OSError, ValueError, RuntimeError) as error:
        raise WorkerError(f"the workers do not answer: {one_line(error)}") from error
    for address, value in answers.items():
        if isinstance(value, BaseException):
            raise WorkerError(f"worker {address} {trouble}: {one_line(value)}") from value
    return answers


@contextmanager
def _registered(client: Client, plugin: StatePlugin) -> Iterator[None]:
    """Every worker, also one that joins or is replaced later, has built its state while this lasts."""
    try:
        client.register_plugin(plugin)
    except Exception as error:  # Whatever the state's factory raised in a worker is raised here.
        raise WorkerError(f"a worker could not be made ready: {one_line(error)}") from error
    try:
        yield
    finally:
        if not plugin.own:  # The scheduler goes on living, and must not build our state on its next worker.
            with suppress(Exception):
                client.unregister_worker_plugin(plugin.name)


def _reason(error: BaseException) -> str:
    if isinstance(error, KilledWorker):
        return "the workers that tried it died, perhaps for want of memory"
    return one_line(error)


def _hopeless(count: int, error: BaseException) -> WorkerError:
    return WorkerError(f"{count} units in a row failed, the last one thus: {_reason(error)}")
