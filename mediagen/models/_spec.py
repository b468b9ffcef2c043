"""What a system offers to the rest of mediagen: a `SPEC` at the end of its file, and objects of the shapes below.

Everything here is structural (typing.Protocol): a model subclasses nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.core.geometry import Field, Lattice, Window
from mediagen.core.styles import Centre, Precision, StyleMap

__all__ = [
    "Batch",
    "CanvasModel",
    "Centre",
    "ClipModel",
    "ClipNeeds",
    "ClipPreview",
    "ClipRequest",
    "ModelSpec",
    "Objective",
    "Painter",
    "Phase",
    "PictureNeeds",
    "Precision",
    "Samples",
    "StreamModel",
    "StyleMap",
    "VideoModel",
    "WholePictureNeeds",
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


@dataclass(frozen=True, kw_only=True)
class ClipNeeds:
    """How a model wants its training videos: clips of `frames` frames of `height` x `width` pixels.

    Every `stride`-th frame of what the file shows at `fps` frames a second (None: the frames as they are stored). Each
    frame is scaled to cover the size and cut at the centre; with `resize` (width, height) it is scaled to that first,
    whatever its shape, as some papers do. A clip starts at a random frame; a video too short for one repeats its last frame.
    A batch then holds `clips` (B, 3, frames, height, width) in [-1, 1], `labels` (B,) int64 (the video's sub-folder, by
    name; 0 without sub-folders), and, when `images` is not 0, `images` (B * images, 3, height, width): single frames
    of videos drawn independently of the clips. `categories` is the number of classes the model was built for, 0 for none.
    """

    frames: int
    height: int
    width: int
    stride: int = 1
    fps: float | None = None
    resize: tuple[int, int] | None = None
    flip: bool = False
    images: int = 0
    categories: int = 0


@dataclass(frozen=True, kw_only=True)
class WholePictureNeeds:
    """How a model that learns from whole pictures wants them: one photograph, or `several` of one shape.

    `by` "longest" scales the longer side to `side` px, never enlarging; "height" scales to `side` rows; "cover" scales
    and cuts to `size` (width, height), the only way for several. A batch then holds `pictures` (B, 3, H, W) in [-1, 1],
    `which` (B,), each one's number, and `seed` (B,), a random word for each that all phases of an iteration share. With
    `pair` a second picture is wanted, brought to the first one's size, and the batch holds it beside, as `guides`.
    """

    side: int = 0
    by: Literal["longest", "height", "cover"] = "longest"
    size: tuple[int, int] | None = None
    several: bool = False
    pair: bool = False


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
        """`count` pictures (count, 3, crop, crop) or clips (count, 3, T, H, W) in [-1, 1] by the averaged output
        network, alike to the training's crops or clips."""
        ...


@runtime_checkable
class ClipPreview(Protocol):
    """What a video model's objective offers beside the still preview: a grid of clips, written as a small video."""

    def preview_clip(self, network: nn.Module, seed: int) -> np.ndarray:
        """(T, height, width, 3) uint8."""
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
    """Where the trained scene lies: `y` and `height` give a canvas's default rows; `width` is what was seen.

    A model whose plane has only some rows, like a photograph's, says so by one attribute more: `rows`, an Interval. One
    whose local latents z_l can be drawn anew in places has a `cell` (mediagen.core.resample.Cell).
    """

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


class VideoModel(Protocol):
    """What every generator of clips says of itself. It is a StreamModel or a ClipModel beside."""

    frame_size: tuple[int, int]
    """Height and width of a frame in pixels."""
    fps: float
    """Frames a second at which its motion looks as in the videos it was made for."""
    clip_frames: int
    """Frames of a training clip; what lies beyond is extrapolation."""
    categories: int
    """Classes it can be asked for; 0 for none."""
    abilities: frozenset[str]
    """What a ClipRequest may ask of it: "content", "motion", "image", "rate", "reverse"."""


@runtime_checkable
class StreamModel(Protocol):
    """Made frame by frame, as long as one likes: the state after a frame, of constant size, is all the next one needs.

    The random numbers of frame k are a function of (seed, name, k) (core.seeds.random_field, window (k, 0, count, 1)).
    """

    def start(self, request: ClipRequest) -> Any:
        """The state before frame 0."""
        ...

    def skip(self, state: Any, count: int) -> Any:
        """The state `count` frames on, without rendering a picture; equal to what `step` leaves, bit for bit."""
        ...

    def step(self, state: Any, count: int) -> tuple[Any, Tensor]:
        """The next `count` frames, (count, 3, H, W) in [-1, 1], and the state after them."""
        ...


@runtime_checkable
class ClipModel(Protocol):
    """Made in one piece of `clip_frames` frames; a longer video is one clip after the other."""

    def clip(self, request: ClipRequest, number: int) -> Tensor:
        """Clip `number` of a request, (T, 3, H, W) in [-1, 1], T = clip_frames / |rate| rounded to whole frames."""
        ...


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
    """Configuration -> the network that is shipped and rendered (a CanvasModel, or a StreamModel or ClipModel)."""
    objective: Callable[[Any, torch.device], Objective]
    needs: Callable[[Any], PictureNeeds | ClipNeeds | WholePictureNeeds]
    latents: Mapping[str, str]
    """Latent name -> its prior, for the checkpoint's header."""
    defaults: Callable[[Any], Mapping[str, int]] | None = None
    """Configuration -> the `iterations` and `batch` it is trained with unless the user says others."""
    recipes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Preset -> the same, for presets that were published with numbers of their own."""
