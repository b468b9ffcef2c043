"""The one way into training: settings, pictures and processes are put together here, then a session runs.

The loop owns device, precision, averages, accumulation, state, log, previews and processes; a model owns its phases.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mediagen import models
from mediagen.core.config import from_dict
from mediagen.errors import UsageError
from mediagen.execute.heap import steady_heap
from mediagen.io.files import remove_partials, storing
from mediagen.models._spec import ModelSpec
from mediagen.train import run as runs
from mediagen.train import source as sources
from mediagen.train.control import stop_signals
from mediagen.train.distributed import join_world, leave_world
from mediagen.train.session import Cadence, Report, Session

PRECISIONS = ("auto", "fp32", "bf16")


def train(
    model: str,
    data: Path | str,
    out: Path | str,
    *,
    preset: str | None = None,
    config: Mapping[str, Any] | None = None,
    iterations: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    precision: str | None = None,
    accumulate: int | None = None,
    device: str = "auto",
    start_from: Path | str | None = None,
    snapshot_every: int = 500,
    preview_every: int = 500,
    log_every: int = 50,
    overwrite: bool = False,
    spec: ModelSpec | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Trains `model` on the pictures or videos of `data` (a folder, or a .txt list) until `iterations` are done.

    Said again with the same `out`, it goes on where it was; settings left None are then those of the run. `config`
    overrides single settings of the preset; `accumulate` is the number of shares a batch is cut into, over all
    processes; `start_from` takes over what fits of another training. `spec` stands in for a model that is not part of
    mediagen. Trains from a thread too, where only `should_stop` can interrupt it.
    Raises MediagenError for what a user can cause.
    """
    spec = spec or models.spec(model)
    if precision not in (None, *PRECISIONS):
        raise UsageError(f"--precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    cadence = Cadence(snapshot=snapshot_every, preview=preview_every, log=log_every)
    for name, value in vars(cadence).items():
        if value < 1:
            raise UsageError(f"--{name}-every must be at least 1 iteration, got {value}")
    origin = str(start_from) if start_from is not None else None
    asked = runs.Asked(preset, config, iterations, batch, seed, precision, accumulate, origin)
    world = join_world(device)
    say = say if say is not None and world.first else lambda _: None
    with contextlib.ExitStack() as stack:
        stack.callback(leave_world, world)
        run = Path(out)
        if world.first:
            stack.enter_context(runs.lock(run))
            if overwrite:
                runs.clear(run)
        world.wait()
        was = None if overwrite else runs.recorded(run)
        settings = runs.resolve(model, spec, asked, was, world.size)
        resolved = from_dict(spec.config, settings["config"])
        needs = spec.needs(resolved)
        source = sources.read(Path(data), needs, run, say)
        settings["data"] = sources.record(source)
        settings["made_with"] = runs.made_with(world.device)
        if was is not None:
            runs.agree(run, spec, was, settings)
        world.wait()
        if world.first:
            remove_partials(run)
            runs.write_settings(run, settings)
        stop = stack.enter_context(stop_signals(should_stop))
        session = Session(model, spec, resolved, settings, source, sources.unit(needs), run, world, cadence)
        session.begin(Path(start_from) if start_from is not None else None, say)
        # A step frees and takes the same large pieces over and over: fresh pages for each cost up to a quarter of it.
        with storing(run), steady_heap():
            return session.go(progress, stop, say)
