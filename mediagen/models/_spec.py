"""What a system offers to the rest of mediagen: a `SPEC` at the end of its file, and objects of the shapes below.

Everything here is structural (typing.Protocol): a model subclasses nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.geometry import Field, Lattice, Window
from mediagen.core.styles import Centre, Precision, StyleMap

__all__ = [
    "Batch",
    "CanvasModel",
    "Centre",
    "ModelSpec",
    "Objective",
    "Painter",
    "Phase",
    "PictureNeeds",
    "Precision",
    "Samples",
    "StyleMap",
]

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class PictureNeeds:
    """How a model wants its training pictures: scaled to `height` rows, then a random crop of `crop` x `crop`.

    `square` first cuts the largest centred square, as the papers do; otherwise any column of a wide picture is used.
    A batch then holds `pictures` (B, 3, crop, crop) in [-1, 1] and `top` (B,), the crop's first row in pixels, 0 being
    the picture's first row.
    """

    height: int
    crop: int
    square: bool = False
    flip: bool = True


@dataclass(frozen=True)
class Phase:
    """One optimiser step of an iteration: `loss(batch, rng)` returns the loss and scalars for the log.

    The loop runs backward into the parameters of `optimizer` alone, averages gradients over devices, and steps.
    `after`, when given, runs once the parameters have moved (weight clipping and the like).
    """

    name: str
    optimizer: str
    loss: Callable[[Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
    after: Callable[[], None] | None = None


class Objective(Protocol):
    """How a model is trained. GANs, VAEs, single-image and meta-learning share one loop through this.

    `state` holds further tensors that training carries from step to step (a running mean, say); they are saved and
    restored in place with the networks and optimisers. `averaged` names the networks of which the loop keeps an
    exponential moving average, whose half-life is `ema_half_life` pictures; `output` names the one that is shipped.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    state: dict[str, Tensor]
    averaged: Sequence[str]
    output: str
    ema_half_life: float

    def phases(self, iteration: int) -> list[Phase]: ...

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """A picture (height, width, 3) uint8 that shows what the averaged output network has learnt."""
        ...


@runtime_checkable
class Samples(Protocol):
    """What an objective may offer beside: then the loop measures snapshots against real crops and keeps the best."""

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        """`count` pictures (count, 3, crop, crop) in [-1, 1] by the averaged output network, alike to the crops."""
        ...


class Painter(Protocol):
    """A canvas model made ready for one device, precision and style map: weights folded, layouts chosen."""

    def paint(self, windows: Sequence[Window], fields: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Paints same-shaped windows as uint8 (B, height, width, 3).

        `fields[b]` holds, for windows[b], one float32 array (channels, h, w) per entry of `model.fields(window)`.
        """
        ...


class CanvasModel(Protocol):
    """A generator that can paint any window of an unbounded plane."""

    lattice: Lattice
    scene: Window
    """Where the trained scene lies: `y` and `height` give a canvas's default rows; `width` is what was seen."""

    def fields(self, window: Window) -> list[Field]:
        """Every random tensor the window needs, and which positions of it (receptive-field arithmetic)."""
        ...

    def cost(self, window: Window) -> int:
        """Multiply-adds that painting this window in one piece takes, halo included."""
        ...

    def ideal_cost(self, window: Window) -> float:
        """Multiply-adds the window's own pixels would take if no halo had to be computed."""
        ...

    def memory(self, window: Window, precision: Precision) -> int:
        """An upper estimate in bytes of what painting this window holds at once."""
        ...

    def painter(
        self, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ) -> Painter: ...


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Everything mediagen knows of one system. `presets` maps a name to a whole configuration."""

    kind: Literal["canvas", "video", "image"]
    title: str
    paper: str
    summary: str
    config: type[Any]
    presets: Mapping[str, Any]
    build: Callable[[Any], nn.Module]
    """Configuration -> the network that is shipped and rendered (for a canvas model, a CanvasModel)."""
    objective: Callable[[Any, torch.device], Objective]
    needs: Callable[[Any], PictureNeeds]
    latents: Mapping[str, str]
    """Latent name -> its prior, for the checkpoint's header."""
