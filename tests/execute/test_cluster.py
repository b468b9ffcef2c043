from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster_parts as parts
import dask
import pytest

import mediagen
from mediagen.errors import StoreError, UsageError, WorkerError
from mediagen.execute import cluster
from mediagen.execute.cluster import run_cluster
from mediagen.execute.units import Call, Check, Outcome

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(Path(mediagen.__path__[0]).parent), str(HERE), os.environ.get("PYTHONPATH", "")])


def made(**arguments: Any) -> Call:
    return Call(target="cluster_parts:make", arguments=arguments)


def test_a_killed_worker_and_a_failing_unit_lose_nothing_else(tmp_path: Path) -> None:
    taken: list[int] = []
    results: list[tuple[int, int]] = []
    most = 0

    def units() -> Iterator[int]:
        nonlocal most
        for unit in range(40):
            taken.append(unit)
            most = max(most, len(taken) - len(results))
            yield unit

    environment = dict(os.environ)
    outcome = run_cluster(
        made(offset=10**12, marker=str(tmp_path / "died")),
        parts.dies_once,
        units(),
        workers=2,
        on_result=results.append,
    )
    assert sorted(results) == [(n, n * n + 10**12) for n in range(40) if n != 8]
    assert (outcome.done, outcome.stopped) == (39, False)
    assert [failure.unit for failure in outcome.failed] == [8]
    assert outcome.failed[0].reason == "eight is not possible"
    assert (tmp_path / "died").exists()
    assert most <= 2 * 2 + 1  # The window, and the unit that failed.
    assert dict(os.environ) == environment


def test_threads_and_gpus_reach_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # dask leaves alone what somebody has set
    seen: list[dict[str, Any]] = []
    checks = [Check(what="answer", call=Call(target="cluster_parts:answer_of", arguments={"pid": False}), expected=42)]
    run_cluster(
        made(),
        parts.surroundings,
        range(8),
        workers=2,
        threads=3,
        gpus=("4", "7"),
        checks=checks,
        on_result=seen.append,
    )
    assert {(one["threads"], one["OMP_NUM_THREADS"]) for one in seen} == {(3, "3")}
    assert {one["CUDA_VISIBLE_DEVICES"] for one in seen} == {"4", "7"}
    assert len({one["pid"] for one in seen}) == 2


def test_a_unit_that_kills_every_worker_is_given_up_and_listed() -> None:
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        outcome = run_cluster(made(), parts.always_dies, [3], workers=1)
    assert outcome.done == 0
    assert [failure.unit for failure in outcome.failed] == [3]
    assert "died" in outcome.failed[0].reason


SERVER = """
import asyncio, sys
import mediagen
from distributed import Scheduler, Worker
if sys.argv[2] != "same":
    mediagen.__version__ = sys.argv[2]
async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        workers = [await Worker(scheduler.address, nthreads=2) for _ in range(int(sys.argv[1]))]
        print(scheduler.address, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def serve(workers: int, version: str) -> tuple[subprocess.Popen[str], str]:
    """A scheduler with workers as a user would start them, in another process; returns its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(workers), version],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": PATH},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    process, address = serve(1, "same")
    yield address
    process.kill()
    process.communicate()


def run(address: str, fn: Any = parts.square, units: Any = range(50), **more: Any) -> Outcome:
    return run_cluster(more.pop("state", made()), fn, units, scheduler=address, **more)


def test_a_scheduler_of_the_users_own_serves_run_after_run(address: str) -> None:
    for offset in (0, 5):
        results: list[tuple[int, int]] = []
        assert run(address, state=made(offset=offset), on_result=results.append).done == 50
        assert sorted(results) == [(n, n * n + offset) for n in range(50)]


def test_stopping_drains_the_window(address: str, tmp_path: Path) -> None:
    results: list[int] = []
    outcome = run(
        address,
        parts.slow,
        state=made(marker=str(tmp_path)),
        on_result=results.append,
        should_stop=lambda: bool(results),
    )
    assert outcome.stopped
    assert 1 <= outcome.done == len(results) <= 3
    assert {int(file.name) for file in tmp_path.iterdir()} == set(results)


def test_a_unit_is_finished_while_the_next_one_is_computed(address: str) -> None:
    records: list[dict[str, Any]] = []
    outcome = run(address, parts.compute, range(8), finish=parts.write_down, on_result=records.append, retries=0)
    assert sorted(record["unit"] for record in records) == [0, 1, 2, 4, 5, 6, 7]
    assert [failure.unit for failure in outcome.failed] == [3]
    spans = sorted(record["computed"] for record in records)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans)), "one is computed at a time"
    between = [a for a in records for b in records if a["finished"][0] < b["computed"][0] < a["finished"][1]]
    assert between, "computing waits for nothing"


def test_a_users_error_ends_the_run_and_says_so(address: str) -> None:
    with pytest.raises(StoreError, match=r"^a.zarr: the disk is full$"):
        run(address, parts.disk_full)


def test_hopeless_runs_end(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_FAILURES_IN_A_ROW", 5)
    with pytest.raises(WorkerError, match="5 units in a row failed"):
        run(address, parts.always_fails, iter(range(10**9)))


def test_workers_that_cannot_be_made_ready(address: str) -> None:
    with pytest.raises(WorkerError, match=r"made ready: small\.safetensors: truncated"):
        run(address, state=Call(target="cluster_parts:broken"))
    check = Check(
        what="canvas", call=Call(target="cluster_parts:answer_of", arguments={"pid": True}), expected=os.getpid()
    )
    with pytest.raises(WorkerError, match="another canvas"):
        run(address, checks=[check])
    with pytest.raises(WorkerError, match=r"worker tcp://.* cannot use the moon"):
        run(address, checks=[Check(what="the moon", call=Call(target="no_such_module:fly"))])


def test_another_version_is_refused() -> None:
    process, address = serve(1, "0.0.0.other")
    try:
        with pytest.raises(WorkerError, match=r"worker tcp://.* has mediagen 0.0.0.other") as caught:
            run(address)
        assert len(str(caught.value).splitlines()) == 1
    finally:
        process.kill()
        process.communicate()


def test_a_scheduler_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    process, address = serve(0, "same")
    try:
        with pytest.raises(WorkerError, match="has no workers"):
            run(address)
    finally:
        process.kill()
        process.communicate()


def test_a_scheduler_that_dies_on_the_way_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    process, address = serve(1, "same")
    start = time.perf_counter()
    try:
        with pytest.raises(WorkerError, match="gone away"):
            run(address, parts.slow, state=made(marker=str(tmp_path)), on_result=lambda record: process.kill())
        assert time.perf_counter() - start < 10
    finally:
        process.communicate()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "not an address", "smoke://127.0.0.1:8786"])
def test_a_scheduler_that_does_not_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    start = time.perf_counter()
    with pytest.raises(WorkerError, match="does not answer") as caught:
        run(address)
    assert time.perf_counter() - start < 4
    assert len(str(caught.value).splitlines()) == 1


def test_something_else_that_listens_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(WorkerError, match="does not answer"):
            run(f"tcp://127.0.0.1:{silent.getsockname()[1]}")


def test_functions_must_be_importable() -> None:
    def nested(state: Any, unit: Any) -> None: ...

    for function in (nested, lambda state, unit: None):
        with pytest.raises(UsageError, match="cannot be sent to workers"):
            run_cluster(made(), function, [1], workers=1)


INTERRUPTED = """
import sys
from cluster_parts import slow
from mediagen.execute.cluster import run_cluster
from mediagen.execute.units import Call
if __name__ == "__main__":
    state = Call(target="cluster_parts:make", arguments={"marker": sys.argv[1]})
    outcome = run_cluster(state, slow, range(10**6), workers=2, on_result=lambda unit: print(unit, flush=True))
    assert outcome.stopped
    sys.exit(130)
"""


def test_ctrl_c_finishes_the_units_in_flight(tmp_path: Path) -> None:
    script, marker = tmp_path / "script.py", tmp_path / "done"
    script.write_text(INTERRUPTED)
    marker.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(marker)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": PATH},
        start_new_session=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # As a terminal does: the workers get it too.
    start = time.perf_counter()
    rest, noise = process.communicate(timeout=30)
    assert time.perf_counter() - start < 6
    assert (process.returncode, noise) == (130, "")
    assert sorted([first.strip(), *rest.split()]) == sorted(file.name for file in marker.iterdir())
