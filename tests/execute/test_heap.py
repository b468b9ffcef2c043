"""Freed memory stays with the process while the heap is steady, and goes back afterwards."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
from mediagen.execute.heap import steady_heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def use():
    for _ in range(3):
        pieces = [bytearray(b"x" * 40_000_000) for _ in range(3)]

before = resident()
with steady_heap():
    with steady_heap():
        use()
    kept = resident() - before
print(kept, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of glibc")
def test_memory_is_kept_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 100_000_000
    assert left < 20_000_000


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from mediagen.execute.heap import steady_heap

    def none(name: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", none)
    with steady_heap():
        pass
