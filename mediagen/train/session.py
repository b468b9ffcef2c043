"""One training in memory: the iterations, and what they leave behind.

An iteration is a pure function of the state before it: its batch is drawn from (seed, iteration), its random numbers
from (seed, iteration, phase, share). So a training that was killed and goes on equals one that was left alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mediagen.errors import UsageError
from mediagen.models._spec import ModelSpec, Objective
from mediagen.nn.initial import keyed
from mediagen.nn.memory import channels_last
from mediagen.train import snapshot
from mediagen.train.control import ahead
from mediagen.train.distributed import World
from mediagen.train.ema import Averages
from mediagen.train.log import Log, Meter
from mediagen.train.source import Examples, Source
from mediagen.train.state import Progress, load_state, save_state, start_from
from mediagen.train.step import key, run_phase, shares


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a training did: `iterations` in all, of them `new` ones now; `seen` pictures or clips, as `unit` says."""

    run: str
    iterations: int
    new: int
    unit: str
    seen: int
    seconds: float
    seen_per_second: float
    files_used: int
    files_skipped: int
    best_measure: float | None
    best_iteration: int
    interrupted: bool


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often, in iterations, something is done beside training."""

    snapshot: int
    preview: int
    log: int


class Session:
    """One training in memory, between `begin` (fresh or restored) and the end of `go`."""

    def __init__(
        self, model: str, spec: ModelSpec, config: Any, settings: dict[str, Any], source: Source, unit: str,
        run: Path, world: World, cadence: Cadence,
    ) -> None:  # fmt: skip
        self.model, self.spec, self.config, self.settings = model, spec, config, settings
        self.source, self.unit, self.run, self.world, self.cadence = source, unit, run, world, cadence
        self.seed, self.size, self.parts = settings["seed"], settings["batch"], settings["accumulate"]
        self.objective = self._build()
        self.averages = Averages(self.objective.networks, self.objective.averaged, self.objective.ema_half_life)
        self.progress = Progress()

    def _build(self) -> Objective:
        # Initial weights come from the global generator: keyed by the seed here, and put back afterwards.
        with keyed(key(self.seed, "initial weights")):
            objective = self.spec.objective(self.config, self.world.device)
        for network in objective.networks.values():
            channels_last(network)
        return objective

    def begin(self, source: Path | None, say: Callable[[str], None]) -> None:
        """Restores the run's state, or takes over what fits of another training, or starts fresh."""
        found = load_state(self.run, self.objective, self.averages)
        if found is not None:
            self.progress = found
            say(f"{self.run}: goes on after iteration {found.iteration}")
        elif source is None and self.settings["start_from"] is not None:
            raise UsageError(f"{self.run}: has no state yet and began from another training: say --start-from again")
        elif source is not None:
            matched, total = start_from(source, self.objective, self.averages)
            say(f"{source}: {matched} of {total} tensors fit and were taken over")

    def precision(self) -> contextlib.AbstractContextManager[object]:
        enabled = self.settings["precision"] == "bf16"
        return torch.autocast(self.world.device.type, dtype=torch.bfloat16, enabled=enabled)

    def go(
        self,
        progress: Callable[[int, int, Mapping[str, float]], None] | None,
        stop: Callable[[], bool],
        say: Callable[[str], None],
    ) -> Report:
        """Iterates until the asked-for number, or until `stop`; leaves a state from which to go on."""
        done, total, started = self.progress, self.settings["iterations"], time.perf_counter()
        first = done.iteration
        log = Log(self.run, done.iteration, self.unit) if self.world.first else None
        meter, latest, interrupted = Meter(self.world, self.unit), {}, False
        with contextlib.closing(log) if log else contextlib.nullcontext(), ahead(self._draw, first, total) as batches:
            while done.iteration < total and not interrupted:
                self._iterate(next(batches), meter)
                interrupted = self.world.any(stop())
                last = interrupted or done.iteration == total
                if last or self._due(self.cadence.log) or self._due(self.cadence.snapshot):
                    latest = meter.take()
                    if log is not None:
                        log.write(done.iteration, done.seen, latest)
                if progress is not None and self.world.first:
                    progress(done.iteration, total, latest)
                if log is not None:
                    self._keep(log, last, meter, say)
            self.world.wait()
        seconds, unfinished = time.perf_counter() - started, interrupted and done.iteration < total
        return self._report(done.iteration - first, seconds, unfinished)

    def _draw(self, iteration: int) -> Examples:
        rng = np.random.Generator(np.random.Philox(key=key(self.seed, "batch", iteration)))
        return self.source.draw(self.size, rng)

    def _iterate(self, examples: Examples, meter: Meter) -> None:
        done = self.progress
        batch = shares(examples.tensors(self.world.device), self.parts, self.world)
        for phase in self.objective.phases(done.iteration):
            words = (self.seed, "phase", done.iteration)
            scalars = run_phase(
                phase, self.objective, batch, parts=self.parts, world=self.world, precision=self.precision, words=words
            )
            meter.add(scalars)
        done.iteration += 1
        done.seen += self.size
        self.averages.update(self.size, done.seen)
        meter.add({}, self.size)

    def _due(self, every: int) -> bool:
        return self.progress.iteration % every == 0

    def _keep(self, log: Log, last: bool, meter: Meter, say: Callable[[str], None]) -> None:
        """Previews and snapshots that are due now (rank 0). An interruption adds a state, but no measure of its own."""
        began, number = time.perf_counter(), self.progress.iteration
        network = self.output()
        complete = number == self.settings["iterations"]
        if self._due(self.cadence.preview) or complete:
            log.picture(number, snapshot.write_preview(self.run, self.objective, network, number, self.precision))
        if self._due(self.cadence.snapshot) or complete:
            measure = snapshot.measure(self.objective, network, self.source, self.world.device, self.precision)
            if measure is not None:
                log.write(number, self.progress.seen, {"swd": measure})
                if self.progress.best_measure is None or measure < self.progress.best_measure:
                    self.progress.best_measure, self.progress.best_iteration = measure, number
                    self._save_generator("best.safetensors", network)
        if self._due(self.cadence.snapshot) or last:
            self._save_generator("generator.safetensors", network)
            log.curves(self.run / "curves.png")
            save_state(self.run, self.objective, self.averages, self.progress, self.settings)
            say(f"iteration {number}: saved")
        meter.started += time.perf_counter() - began

    def output(self) -> nn.Module:
        """The network that is shipped: the average where there is one."""
        name = self.objective.output
        return self.averages.networks.get(name, self.objective.networks[name])

    def _save_generator(self, name: str, network: nn.Module) -> None:
        snapshot.save_generator(
            self.run / name, network, model=self.model, spec=self.spec, config=self.config,
            ema=self.objective.output in self.averages.networks, settings=self.settings, progress=self.progress,
            unit=self.unit,
        )  # fmt: skip

    def _report(self, new: int, seconds: float, interrupted: bool) -> Report:
        done = self.progress
        return Report(
            run=str(self.run), iterations=done.iteration, new=new, unit=self.unit, seen=done.seen,
            seconds=seconds, seen_per_second=new * self.size / seconds if new else 0.0, files_used=len(self.source),
            files_skipped=len(self.source.skipped), best_measure=done.best_measure,
            best_iteration=done.best_iteration, interrupted=interrupted,
        )  # fmt: skip
