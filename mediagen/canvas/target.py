"""What a canvas on disk records and holds, how two records differ, and whether a new one fits on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mediagen.canvas.memory import size_text
from mediagen.canvas.plan import Plan
from mediagen.core.provenance import differences
from mediagen.errors import StoreError
from mediagen.io.files import free_bytes, storing
from mediagen.io.layout import make_levels
from mediagen.io.store import CanvasStore

DECISIVE = ("plan", "model", "made_with")
"""The parts of a record that decide the pixels: they must agree when a canvas is continued."""

OVERVIEW_BYTES = 3 * 4096 * 2200


def local_path(path: str | Path) -> Path:
    """The place of a canvas as an absolute path. Raises StoreError for a URL."""
    if "://" in str(path):
        raise StoreError(f"{path}: canvases are kept in local folders; give a path")
    return Path(path).absolute()


def unlikeness(recorded: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    """One line for each decisive value in which two records differ."""
    # Through JSON, because a record that was read has lists where a fresh one has tuples.
    before, now = (json.loads(json.dumps({key: r.get(key) for key in DECISIVE})) for r in (recorded, record))
    return differences(before, now)


def plan_of(store: CanvasStore) -> Plan:
    """The plan that a canvas records. Raises StoreError."""
    try:
        return Plan.from_json(store.attributes["plan"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{store.path}: its record is damaged ({error}); paint it anew with --overwrite") from None


def is_complete(store: CanvasStore) -> bool:
    """Whether every shard of every level is whole."""
    return all(next(store.missing(level), None) is None for level in range(len(store.levels)))


def bytes_upper_bound(plan: Plan) -> int:
    """The most bytes that a canvas and its overview can take, if nothing in it can be compressed."""
    total = 2**16 + min(OVERVIEW_BYTES, 3 * plan.canvas.area)
    for level in make_levels(plan.canvas.width, plan.canvas.height, plan.shard, plan.chunk, plan.levels):
        across, down = -(-level.width // plan.chunk), -(-level.height // plan.chunk)
        raw = 3 * plan.chunk**2
        shards = level.grid[0] * level.grid[1]
        # Incompressible data grows a little; chunks beyond the edge are empty and take some bytes each.
        total += across * down * (raw + raw // 128 + 64) + shards * (level.chunks_per_shard * (16 + 64) + 4)
    return total


def require_room(path: Path, needed: int, what: str) -> int:
    """The free bytes of the disk that holds `path`. Raises StoreError when `needed` is more."""
    with storing(path):
        free = free_bytes(path)
    if needed > free:
        raise StoreError(
            f"{path}: {what} can take up to {size_text(needed)}, and that disk has {size_text(free)} free; "
            "make it smaller, free some space or choose another disk"
        )
    return free
