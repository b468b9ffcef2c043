"""Which model makes the clip, and what may be asked of it: a user's wishes as ClipRequests, or one clear refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from mediagen import checkpoint, models
from mediagen.core.clips import ClipRequest
from mediagen.data.decode import decode
from mediagen.data.files import read_regular
from mediagen.errors import DataError, UsageError
from mediagen.machine import whole
from mediagen.models._spec import ClipModel, StreamModel
from mediagen.nn.memory import channels_last

DEFAULT_MODEL = "lava"
"""The bundled checkpoint that is taken when none is named; the first one that makes clips, if it is absent."""

MOST_TILES = 4096
"""Clips of a grid: each has a state in memory."""

CATEGORY_EVERY = 64
"""Frames that each of several categories lasts by default; it may not depend on the clip's length."""

Model: TypeAlias = StreamModel | ClipModel
Picture: TypeAlias = str | Path | np.ndarray


def default_model() -> str:
    """The name of a bundled checkpoint that makes clips. Raises UsageError when there is none."""
    there = checkpoint.bundled()
    for name in sorted(there, key=lambda name: name != DEFAULT_MODEL):
        kind = checkpoint.read_header(checkpoint.resolve(name)[1]).get("model")
        if kind in models.names() and models.spec(str(kind)).kind == "video":
            return name
    raise UsageError("no checkpoint that makes clips is bundled; train one (`mediagen train`) and name it with --model")


def as_model(model: Any, device: torch.device) -> Any:
    """A loaded video model on `device`; a checkpoint's name, file or folder loaded. Raises UsageError, CheckpointError."""
    if model is None:
        model = default_model()
    if isinstance(model, str | Path):
        model = checkpoint.load(model)
    if not isinstance(model, StreamModel | ClipModel) and hasattr(model, "instead"):
        raise UsageError(f"{type(model).__name__} films nothing by itself: {model.instead}")
    if not isinstance(model, StreamModel | ClipModel):
        raise UsageError(f"{type(model).__name__} makes no clips; choose a model of the kind 'video'")
    if isinstance(model, nn.Module):
        model.to(device).eval()
        channels_last(model)
    return model


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked of a model, as the command line says it; checked by `requests`."""

    seed: int = 0
    content_seed: int | None = None
    motion_seed: int | None = None
    category: int | Sequence[int] | None = None
    category_every: int = CATEGORY_EVERY
    image: Picture | None = None
    time_scale: float = 1.0
    reverse: bool = False
    grid: tuple[int, int] = (1, 1)


def requests(model: Any, wish: Wish) -> list[ClipRequest]:
    """One request a tile of the grid, row by row. Tile i has the seed `seed` + i, where no part's seed is given for all.

    Raises UsageError for what this model cannot do.
    """
    rows, columns = (whole("grid", side, least=1) for side in wish.grid)
    if rows * columns > MOST_TILES:
        raise UsageError(f"a grid has at most {MOST_TILES:,} clips (--grid), not {rows:,} x {columns:,}")
    refuse(model, wish)
    request = ClipRequest(
        seed=whole("seed", wish.seed),
        content_seed=None if wish.content_seed is None else whole("content_seed", wish.content_seed),
        motion_seed=None if wish.motion_seed is None else whole("motion_seed", wish.motion_seed),
        categories=categories_of(model, wish),
        every=whole("category_every", wish.category_every, least=1),
        image=None if wish.image is None else picture_of(wish.image, model.frame_size),
        rate=-wish.time_scale if wish.reverse else wish.time_scale,
    )
    return [replace(request, seed=request.seed + i) for i in range(rows * columns)]


def refuse(model: Any, wish: Wish) -> None:
    """Raises UsageError for the first thing that is asked for and that this model cannot do."""
    if not (np.isfinite(wish.time_scale) and 1 / 64 <= wish.time_scale <= 64):
        raise UsageError(
            f"--time-scale is between 1/64 (slow) and 64 (fast), not {wish.time_scale:g}; see --reverse too"
        )
    asked = {
        "content": (wish.content_seed is not None, "--content-seed: it has one latent for content and motion"),
        "motion": (wish.motion_seed is not None, "--motion-seed: it has one latent for content and motion"),
        "image": (wish.image is not None, "--image: it does not start from pictures"),
        "rate": (wish.time_scale != 1.0, "--time-scale: its time goes by in whole frames"),
        "reverse": (wish.reverse, "--reverse: its time cannot run back"),
    }
    for ability, (wanted, why) in asked.items():
        if wanted and ability not in model.abilities:
            raise UsageError(f"{called(model)} knows no {why}")


def categories_of(model: Any, wish: Wish) -> tuple[int, ...]:
    """The classes one after the other. Raises UsageError for those that the model does not have."""
    if wish.category is None:
        return ()
    if not model.categories:
        raise UsageError(f"{called(model)} knows no --category: it was trained without classes")
    many = wish.category if isinstance(wish.category, Sequence) else [wish.category]
    chosen = tuple(whole("category", one) for one in many)
    if not chosen or not all(0 <= one < model.categories for one in chosen):
        raise UsageError(f"--category is 0 to {model.categories - 1} for {called(model)}, not {wish.category}")
    return chosen


def picture_of(image: Picture, size: tuple[int, int]) -> np.ndarray:
    """A picture as the model's frame (height, width, 3) uint8: scaled to cover it, cut at the centre. Raises DataError."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(f"a picture is uint8 (height, width, 3), not {image.dtype} {image.shape}")
        found = Image.fromarray(image)
    else:
        try:
            found = decode(read_regular(Path(image)))
        except DataError as error:
            raise DataError(f"{image}: {error}") from None
    return np.asarray(ImageOps.fit(found, (size[1], size[0]), Image.Resampling.LANCZOS))


def called(model: Any) -> str:
    """A model's name for messages."""
    info = getattr(model, "mediagen", None)
    return info.name if info is not None else type(model).__name__
