"""The one way into training: settings, pictures and processes are put together here, then a session runs.

The loop owns device, precision, averages, accumulation, state, log, previews and processes; a model owns its phases.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mediagen import models
from mediagen.core.config import from_dict
from mediagen.data.pictures import PictureFolder
from mediagen.errors import UsageError
from mediagen.io.files import remove_partials, storing
from mediagen.models._spec import ModelSpec, PictureNeeds
from mediagen.train import run as runs
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
    """Trains `model` on the pictures of `data` (a folder, or a .txt list) until `out` has seen `iterations` of them.

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
    source = str(start_from) if start_from is not None else None
    asked = runs.Asked(preset, config, iterations, batch, seed, precision, accumulate, source)
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
        folder = _read_pictures(Path(data), spec.needs(resolved), run, say)
        settings["data"] = {"pictures": len(folder), "sha256": folder.fingerprint}
        settings["made_with"] = runs.made_with(world.device)
        if was is not None:
            runs.agree(run, spec, was, settings)
        world.wait()
        if world.first:
            remove_partials(run)
            runs.write_settings(run, settings)
        stop = stack.enter_context(stop_signals(should_stop))
        session = Session(model, spec, resolved, settings, folder, run, world, cadence)
        session.begin(Path(start_from) if start_from is not None else None, say)
        with storing(run):
            return session.go(progress, stop, say)


def _read_pictures(data: Path, needs: PictureNeeds, run: Path, say: Callable[[str], None]) -> PictureFolder:
    """The folder as the model wants it; what was skipped is listed, and long reading is told of."""
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 10.0:
            told = time.monotonic()
            say(f"{data}: read {done} of {total} files")

    folder = PictureFolder(
        data, height=needs.height, crop=needs.crop, square=needs.square, flip=needs.flip, cache=run, progress=progress
    )
    say(f"{data}: {len(folder)} pictures, {len(folder.skipped)} files skipped")
    for skipped in folder.skipped:
        say(f"  skipped {skipped}")
    return folder
