"""Bytes, as people write them."""

from __future__ import annotations

import re

from mediagen.errors import UsageError

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
