"""How much memory this process has held."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        lines = []
    # getrusage's figure begins with the peak of the process that started this one, so it is second best.
    if found := [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]:
        return found[0]
    if resource is None:
        return 0
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
