"""What a training leaves to look at and to use: previews, the averaged generator, and how close it has come."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from mediagen.checkpoint import save_checkpoint
from mediagen.data.pictures import PictureFolder
from mediagen.io.files import write_file
from mediagen.metrics.swd import sliced_wasserstein
from mediagen.models._spec import ModelSpec, Objective, Samples
from mediagen.train.state import Progress
from mediagen.train.step import generator, key

Precision = Callable[[], AbstractContextManager[object]]
MEASURED, AT_ONCE = 192, 16
"""Pictures of each side of a measure, drawn the same way every time, so that its values can be compared."""

RECORDED = ("preset", "seed", "batch", "accumulate", "precision", "start_from", "made_with")


@torch.no_grad()
def write_preview(run: Path, objective: Objective, network: nn.Module, number: int, precision: Precision) -> np.ndarray:
    """RUN/previews/NUMBER.png: always the same seed, so that the strips show one scene growing. Returns the pixels."""
    with _evaluating(network), precision():
        pixels = objective.preview(network, 0)
    folder = run / "previews"
    folder.mkdir(exist_ok=True)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    write_file(folder / f"{number:06d}.png", data.getbuffer())
    return pixels


@torch.no_grad()
def measure(
    objective: Objective, network: nn.Module, folder: PictureFolder, device: torch.device, precision: Precision
) -> float | None:
    """Sliced Wasserstein distance of real crops and the network's pictures; None when a model offers no samples."""
    if not isinstance(objective, Samples):
        return None
    real = folder.batch(MEASURED, np.random.Generator(np.random.Philox(key=key("measure", "real"))), device)["pictures"]
    rng = generator(device, "measure", "fake")
    with _evaluating(network), precision():
        fake = [objective.samples(network, AT_ONCE, rng).float().cpu() for _ in range(MEASURED // AT_ONCE)]
    return sliced_wasserstein(real, torch.cat(fake), generator(torch.device("cpu"), "measure", "directions"))


def save_generator(
    path: Path, network: nn.Module, *, model: str, spec: ModelSpec, config: Any, ema: bool,
    settings: Mapping[str, Any], progress: Progress,
) -> None:  # fmt: skip
    """The network as a checkpoint whose header tells how to train it again. Nothing in it depends on the clock."""
    training = {name: settings[name] for name in RECORDED}
    training |= {"iterations": progress.iteration, "pictures_seen": progress.pictures}
    training["command"] = _command(model, settings, progress.iteration)
    if progress.best_iteration == progress.iteration and progress.best_measure is not None:
        training["swd"] = progress.best_measure
    save_checkpoint(
        path, network.state_dict(), model=model, config=config, ema=ema, data=settings["data"], training=training,
        latents=spec.latents,
    )  # fmt: skip


def _command(model: str, settings: Mapping[str, Any], iterations: int) -> str:
    """The command that trains it again, with the pictures of the recorded fingerprint."""
    flags = {name: settings[name] for name in ("preset", "batch", "accumulate", "seed", "precision", "start_from")}
    said = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in flags.items() if v is not None)
    return f"mediagen train {model} PICTURES --out RUN --iterations {iterations} {said}"


class _evaluating:
    """Puts a network into eval mode and back into whatever it was."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.was = network, network.training

    def __enter__(self) -> None:
        self.network.eval()

    def __exit__(self, *_: object) -> None:
        self.network.train(self.was)
