"""What a training tells: log.jsonl always, TensorBoard where it is installed, and curves.png to look at."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mediagen.errors import TrainingError
from mediagen.io.files import write_file
from mediagen.train.curves import draw_curves
from mediagen.train.distributed import World

LOG = "log.jsonl"


class Meter:
    """Means of scalars over an interval. They stay tensors until `take`, so that a device is not waited for."""

    def __init__(self, world: World, unit: str) -> None:
        self.world, self.unit = world, unit
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.started, self.seen = time.perf_counter(), 0

    def add(self, scalars: Mapping[str, Tensor], seen: int = 0) -> None:
        self.seen += seen
        for name, value in scalars.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means over the interval and all processes, with `pictures_per_second` (or clips); starts the next interval."""
        self.world.sum_(list(self.sums.values()))
        means = {k: float(v) / (self.counts[k] * self.world.size) for k, v in self.sums.items()}
        seconds = time.perf_counter() - self.started
        speed = {f"{self.unit}_per_second": self.seen / seconds} if self.seen and seconds > 0 else {}
        self.sums, self.counts, self.seen, self.started = {}, {}, 0, time.perf_counter()
        return {**means, **speed}


class Log:
    """Appends rows to RUN/log.jsonl (and TensorBoard). Rows beyond `iteration` are of a future that did not happen."""

    def __init__(self, run: Path, iteration: int, unit: str) -> None:
        self.path, self.unit = run / LOG, unit
        self.rows = [row for row in read_log(self.path) if row["iteration"] <= iteration]
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_file(self.path, text.encode())
        self._file = self.path.open("a", encoding="utf-8")
        self._board = _tensorboard(run / "tensorboard", iteration)

    def write(self, iteration: int, seen: int, scalars: Mapping[str, float]) -> None:
        """One row. Raises TrainingError when a scalar is not finite, before a state with such numbers is saved."""
        bad = [name for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(
                f"{bad[0]} is no longer finite at iteration {iteration}; the state saved before is kept: "
                "lower the learning rates, or train in fp32"
            )
        row = {"iteration": iteration, self.unit: seen, **{k: float(f"{v:.6g}") for k, v in scalars.items()}}
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in scalars.items():
                self._board.add_scalar(name, value, iteration)

    def picture(self, iteration: int, pixels: Any) -> None:
        if self._board is not None:
            self._board.add_image("preview", pixels, iteration, dataformats="HWC")

    def curves(self, path: Path) -> None:
        draw_curves(self.rows, path)

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a log; a row that a crash cut short is passed over."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("iteration"), int):
            rows.append(row)
    return rows


def _tensorboard(folder: Path, iteration: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=iteration + 1)
