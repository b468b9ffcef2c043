"""Bytes: as people write them, and as this process has taken them."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from typing import Any

from mediagen.errors import UsageError

resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None

_M_ARENA_MAX = -8  # of glibc's malloc.h
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def as_bytes(memory: str | int) -> int:
    """A memory budget such as 2GB, 1.5GiB or 800000000 in bytes. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]I?)?B?\s*", str(memory).upper())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"a memory budget is a number of bytes such as 500MB or 2GB, not {memory!r}")
    return int(float(match[1]) * _FACTORS[match[2] or ""])


def size_text(count: int) -> str:
    """A number of bytes for people: 1.5GB."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            return f"{value:.4g}{'' if unit != 'bytes' else ' '}{unit}"
        value /= 1000
    return f"{value:.4g}EB"


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes; 0 where the system does not say."""
    if resource is None:
        return 0
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def share_arenas() -> None:
    """Makes threads share two of glibc's heaps; with one each, freed blocks pile up and the peak creeps with the width."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
