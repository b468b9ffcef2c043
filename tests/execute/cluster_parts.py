"""What the workers of the tests run: importable there, and here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from mediagen.errors import CheckpointError, StoreError


def make(threads: int, offset: int = 0, marker: str = "") -> dict[str, Any]:
    return {"threads": threads, "offset": offset, "marker": marker, "built_in": os.getpid()}


def broken(threads: int) -> None:
    raise CheckpointError("small.safetensors: truncated")


def square(state: dict[str, Any], unit: int) -> tuple[int, int]:
    time.sleep(0.01)
    return unit, unit * unit + state["offset"]


def surroundings(state: dict[str, Any], unit: int) -> dict[str, Any]:
    time.sleep(0.1)
    assert state["built_in"] == os.getpid()
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    return {"threads": state["threads"], "pid": os.getpid(), **{name: os.environ.get(name) for name in names}}


def compute(state: dict[str, Any], unit: int) -> dict[str, Any]:
    start = time.monotonic()
    time.sleep(0.2)
    return {"unit": unit, "computed": (start, time.monotonic())}


def write_down(state: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    start = time.monotonic()
    time.sleep(0.15)
    if value["unit"] == 3:
        raise ArithmeticError("three cannot be written")
    return value | {"finished": (start, time.monotonic()), "pid": os.getpid()}


def dies_once(state: dict[str, Any], unit: int) -> tuple[int, int]:
    """Kills its own worker the first time that unit 5 comes up, and fails for good at unit 8."""
    if unit == 5 and not Path(state["marker"]).exists():
        Path(state["marker"]).write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    if unit == 8:
        raise ArithmeticError("eight\nis not possible")
    return square(state, unit)


def always_dies(state: dict[str, Any], unit: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full(state: dict[str, Any], unit: int) -> None:
    raise StoreError("a.zarr: the disk is full")


def always_fails(state: dict[str, Any], unit: int) -> None:
    raise ArithmeticError(f"unit {unit}")


def slow(state: dict[str, Any], unit: int) -> int:
    time.sleep(0.4)
    Path(state["marker"], str(unit)).write_text("done")
    return unit


def answer_of(pid: bool) -> int:
    return os.getpid() if pid else 42
