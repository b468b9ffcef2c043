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
from mediagen.io.files import write_file
from mediagen.io.video_codecs import layout_of, rate_of
from mediagen.io.video_file import open_clip, remove_clip
from mediagen.io.video_place import part_of
from mediagen.metrics.swd import clip_sliced_wasserstein, sliced_wasserstein
from mediagen.models._spec import ClipPreview, ModelSpec, Objective, Samples
from mediagen.train.source import Source
from mediagen.train.state import Progress
from mediagen.train.step import generator, key

Precision = Callable[[], AbstractContextManager[object]]
MEASURED, AT_ONCE = 192, 16
"""Pictures or clips of each side of a measure, drawn the same way every time, so that its values can be compared."""

RECORDED = ("preset", "seed", "batch", "accumulate", "precision", "start_from", "made_with")


@torch.no_grad()
def write_preview(run: Path, objective: Objective, network: nn.Module, number: int, precision: Precision) -> np.ndarray:
    """RUN/previews/NUMBER.png: always the same seed, so that the strips show one scene growing. Returns the pixels.

    A model of clips leaves NUMBER.mp4 beside it.
    """
    folder = run / "previews"
    folder.mkdir(exist_ok=True)
    with _evaluating(network), precision():
        pixels = objective.preview(network, 0)
        if isinstance(objective, ClipPreview):
            frames = objective.preview_clip(network, 0)
            _write_clip(folder / f"{number:06d}.mp4", frames, float(getattr(network, "fps", 25.0)))
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    write_file(folder / f"{number:06d}.png", data.getbuffer())
    return pixels


def _write_clip(path: Path, frames: np.ndarray, fps: float) -> None:
    """A small h264 video of frames (T, H, W, 3) uint8, whole or not at all."""
    count, height, width, _ = frames.shape
    rate = rate_of(path, fps)
    layout = layout_of(path, width=width, height=height, frames=count, fps=rate, codec=None, crf=None)
    remove_clip(part_of(path))
    clip = open_clip(path, layout, {"what": "a training's preview"})
    clip.add(frames)
    clip.finish()


@torch.no_grad()
def measure(
    objective: Objective, network: nn.Module, source: Source, device: torch.device, precision: Precision
) -> float | None:
    """Sliced Wasserstein distance of real examples and the network's own; None when a model offers no samples."""
    if not isinstance(objective, Samples):
        return None
    real = source.draw(MEASURED, np.random.Generator(np.random.Philox(key=key("measure", "real")))).tensors()
    rng = generator(device, "measure", "fake")
    with _evaluating(network), precision():
        fake = [objective.samples(network, AT_ONCE, rng).float().cpu() for _ in range(MEASURED // AT_ONCE)]
    directions = generator(torch.device("cpu"), "measure", "directions")
    if "clips" in real:
        return clip_sliced_wasserstein(real["clips"], torch.cat(fake), directions)
    return sliced_wasserstein(real["pictures"], torch.cat(fake), directions)


def save_generator(
    path: Path, network: nn.Module, *, model: str, spec: ModelSpec, config: Any, ema: bool,
    settings: Mapping[str, Any], progress: Progress, unit: str,
) -> None:  # fmt: skip
    """The network as a checkpoint whose header tells how to train it again. Nothing in it depends on the clock."""
    training = {name: settings[name] for name in RECORDED}
    training |= {"iterations": progress.iteration, f"{unit}_seen": progress.seen}
    training["command"] = _command(model, settings, progress.iteration, unit)
    if progress.best_iteration == progress.iteration and progress.best_measure is not None:
        training["swd"] = progress.best_measure
    save_checkpoint(
        path, network.state_dict(), model=model, config=config, ema=ema, data=settings["data"], training=training,
        latents=spec.latents,
    )  # fmt: skip


def _command(model: str, settings: Mapping[str, Any], iterations: int, unit: str) -> str:
    """The command that trains it again, with the files of the recorded fingerprint."""
    flags = {name: settings[name] for name in ("preset", "batch", "accumulate", "seed", "precision", "start_from")}
    said = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in flags.items() if v is not None)
    data = "VIDEOS" if unit == "clips" else "PICTURES"
    return f"mediagen train {model} {data} --out RUN --iterations {iterations} {said}"


class _evaluating:
    """Puts a network into eval mode and back into whatever it was."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.was = network, network.training

    def __enter__(self) -> None:
        self.network.eval()

    def __exit__(self, *_: object) -> None:
        self.network.train(self.was)
