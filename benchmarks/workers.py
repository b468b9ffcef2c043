"""Two dask workers of one thread each against one process with two threads: the same canvas, byte for byte.

One process is measured twice: as it paints, two blocks side by side with a thread each (lanes), and as it would without
lanes, one block after the other with both threads in each layer. Without lanes the last bits may differ.

python benchmarks/workers.py [--quick]
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import common
import torch

from mediagen.canvas import render, shards
from mediagen.canvas.paint import paint

WITHOUT_LANES = "one process, two threads in each block"
WAYS = {WITHOUT_LANES: 0, "one process, two lanes of one thread (as it paints)": 0, "two workers of one thread": 2}


@contextmanager
def lanes(way: str) -> Iterator[None]:
    """One lane of two threads for the way without lanes; the engine's own for the others."""
    if way != WITHOUT_LANES:
        yield
        return
    with patch.object(render, "LANE_THREADS", 2), patch.object(shards, "lanes", lambda *_: 1):
        yield


def painted(model: str, path: Path, width: int, precision: str, workers: int) -> tuple[float, float]:
    """Seconds in all, and pixels per second between the first fifth of the canvas and its end."""
    told: list[tuple[float, int]] = []
    began = time.perf_counter()
    paint(
        model, path, width=width, precision=precision, workers=workers, overwrite=True,
        progress=lambda done, total: told.append((time.perf_counter(), done)),
    )  # fmt: skip
    seconds, total = time.perf_counter() - began, told[-1][1]
    first = next(moment for moment in told if moment[1] >= total / 5)
    steady = (total - first[1]) / max(1e-9, told[-1][0] - first[0]) if told[-1] != first else total / seconds
    return seconds, steady


def main() -> None:
    asked = common.arguments(__doc__)
    where, start = common.machine(), time.perf_counter()
    width, rounds, precision = (6000, 1, "fp32") if asked.quick else (49_152, 2, "auto")
    torch.set_num_threads(2)
    times: dict[str, list[tuple[float, float]]] = {}
    with common.chosen_model(asked) as (model, words), common.scratch() as folder:
        folders = {way: folder / str(i) for i, way in enumerate(WAYS)}
        for _, (way, workers) in itertools.product(range(rounds), WAYS.items()):
            with lanes(way):
                times.setdefault(way, []).append(painted(model, folders[way] / "it.zarr", width, precision, workers))
        _, one, two = (common.files_of(place) for place in folders.values())
        same = one == two
    rows = [
        {"way": way, "seconds in all": statistics.median(s for s, _ in found),
         "steady Mpx/s": statistics.median(p for _, p in found) / 1e6}
        for way, found in times.items()
    ]  # fmt: skip
    together, one, two = (row["steady Mpx/s"] for row in rows)
    note = (
        f"{width:,} px wide, in turns, medians of {rounds}. Steady: from the first fifth of the canvas to its end, so without "
        f"starting workers. The workers' rate is {two / together:.2f} of the one process's without lanes, and {two / one:.2f} "
        f"of that with them. Same bytes as with lanes: {common.text(same)}"
    )
    found = {
        "title": "Workers",
        "about": "Single threads scale better than a process with many: what dask workers bring on one machine.",
        "model": words,
        "figures": {"ratio": two / together, "ratio_to_lanes": two / one, "same_bytes": same},
        "tables": [common.table("Two workers of one thread against one process with two", rows, note)],
    }
    common.finish("workers", asked, found, where, time.perf_counter() - start)
    if not same:
        raise SystemExit("the two canvases differ")


if __name__ == "__main__":
    main()
