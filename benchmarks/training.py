"""Seconds per iteration of the training of the shipped network's stages, and what the loop itself takes of them.

python benchmarks/training.py [--quick]
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import common
import numpy as np
from PIL import Image

from mediagen.train import loop, session
from mediagen.train.ema import Averages
from mediagen.train.log import Log, Meter

PRESETS = ("small-32", "small-64", "small-128", "small")
BATCH = 16


class Spent:
    """Seconds by part, for all iterations after the first `skip` of them."""

    def __init__(self, skip: int) -> None:
        self.skip, self.seen = skip, 0
        self.seconds: dict[str, float] = {}
        self.began = self.ended = 0.0

    def of(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                if self.seen >= self.skip:
                    self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

        return call

    def told(self, done: int, *_: Any) -> None:
        """After each iteration, before what is kept on disk."""
        self.seen, self.ended = done, time.perf_counter()
        if done == self.skip:
            self.began, self.seconds = self.ended, {}


def pictures(folder: Path, count: int) -> Path:
    """Smooth random pictures, 512 x 768: what is on them does not matter here."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (16, 24, 3), dtype=np.uint8))
        coarse.resize((768, 512), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@contextlib.contextmanager
def watched(spent: Spent) -> Iterator[None]:
    """The parts of the loop, each timed where the loop calls it."""
    ahead = session.ahead

    @contextlib.contextmanager
    def timed_ahead(*arguments: Any) -> Iterator[Iterator[Any]]:
        with ahead(*arguments) as batches:
            following = spent.of("waiting for pictures", batches.__next__)
            yield iter(lambda: following(), None)

    with contextlib.ExitStack() as stack:
        for owner, name, part in (
            (session, "run_phase", "phases: forward, backward, step"),
            (Averages, "update", "averages"),
            (Meter, "add", "log"),
            (Meter, "take", "log"),
            (Log, "write", "log"),
        ):
            stack.enter_context(mock.patch.object(owner, name, spent.of(part, getattr(owner, name))))
        stack.enter_context(mock.patch.object(session, "ahead", timed_ahead))
        yield


def measure(preset: str, precision: str, data: Path, run: Path, iterations: int) -> common.Row:
    """A real training of `iterations` after one to warm up; its last snapshot is not counted."""
    spent = Spent(skip=1)
    with watched(spent):
        loop.train(
            "infinitygan", data, run, preset=preset, precision=precision, batch=BATCH, iterations=iterations + 1, seed=0,
            snapshot_every=10**6, preview_every=10**6, log_every=5, progress=spent.told,
        )  # fmt: skip
    whole, found = spent.ended - spent.began, spent.seconds
    phases = found["phases: forward, backward, step"]
    share = {part: 100 * found.get(part, 0.0) / whole for part in ("waiting for pictures", "averages", "log")}
    return {
        "preset": preset, "precision": precision, "s per iteration": whole / iterations,
        "pictures/s": BATCH * iterations / whole, "outside the phases %": 100 * (whole - phases) / whole,
        **{f"{part} %": value for part, value in share.items()},
    }  # fmt: skip


def main() -> None:
    asked = common.arguments(__doc__)
    where, start = common.machine(), time.perf_counter()
    iterations = {"small-32": 16, "small-64": 8, "small-128": 4, "small": 4}
    presets = PRESETS[:1] if asked.quick else PRESETS
    rows = []
    with common.scratch() as folder:
        data = pictures(folder / "pictures", 4 if asked.quick else 24)
        for preset in presets:
            for precision in ("fp32", "bf16"):
                count = 2 if asked.quick else iterations[preset]
                rows.append(measure(preset, precision, data, folder / f"{preset}-{precision}", count))
                print("  " + "  ".join(common.text(value) for value in rows[-1].values()), flush=True)
    note = (
        f"Batch {BATCH}. The first iteration, with R1 and everything's first use, is left out. R1 comes every 16th iteration: "
        "small-32 has one in its 16, the others none. Previews and snapshots are not in it."
    )
    found = {
        "title": "Training",
        "about": "The stages in which the shipped network is grown, by the real loop on random pictures.",
        "figures": {f"{row['preset']} {row['precision']}": row["s per iteration"] for row in rows},
        "tables": [common.table("Seconds per iteration", rows, note)],
    }
    common.finish("training", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
