"""What the C library does with freed memory while a process computes one block after the other. glibc only; else nothing.

By default every thread gets a heap of its own, and large pieces go back to the system when they are freed: a wide canvas
then spends a quarter of its time on fresh pages, and its peak creeps upward while pieces of many sizes share many heaps.
One heap that keeps what it has is as large as the busiest moment, which comes early, and costs nothing afterwards.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = -1
_LARGEST = (2**30, 2**25)  # The second one is all that glibc before 2.35 takes.
_USUAL = {_TRIM_THRESHOLD: 2**26, _MMAP_THRESHOLD: 2**25}  # Where glibc's own thresholds end up with large pieces.

_lock, _users = threading.Lock(), 0


@contextmanager
def steady_heap() -> Iterator[None]:
    """One heap for all threads begun meanwhile, which keeps freed memory until the context ends; may be nested."""
    global _users
    with _lock:
        _users += 1
        keep_heap()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _give_back()


def keep_heap() -> None:
    """The same for the rest of this process's life, as in a worker."""
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
        any(libc.mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST)


def _give_back() -> None:
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        for name, size in _USUAL.items():
            libc.mallopt(name, size)
        libc.malloc_trim(0)
