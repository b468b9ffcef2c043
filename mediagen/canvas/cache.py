"""Blocks painted earlier, whoever asked for them: by `mediagen view` while somebody looked, for a canvas to come.

A block's name is a hash of all that its pixels depend on: the model, the number format, versions and device, the block
grid, its place, the seeds, and the styles and resampled positions that reach it. So what a change does not touch is found
again, a canvas and a view share blocks, and what another version has painted is never taken for one's own.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from mediagen.canvas import styles as style_maps
from mediagen.canvas.plan import BlockGrid, Plan
from mediagen.canvas.setup import LIBRARIES
from mediagen.core.geometry import Interval, Window
from mediagen.core.resample import Cell, Resample, touching
from mediagen.core.styles import Precision, StyleMap
from mediagen.io.blocks import BlockFiles, is_cache, records
from mediagen.machine import identity, made_with
from mediagen.models._spec import CanvasModel

Index = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all blocks of a view or a canvas have in common."""

    model: CanvasModel
    blocks: BlockGrid
    record: dict[str, Any]
    name: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a plane shows: its seeds, its styles, and where its local structure is drawn anew."""

    seed: int
    styles: StyleMap
    structure_seed: int | None = None
    resample: tuple[Resample, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> Scene:
        """What a canvas of that plan shows."""
        styles = style_maps.from_json(plan.styles)
        return cls(seed=plan.seed, styles=styles, structure_seed=plan.structure_seed, resample=plan.resample)


def default_folder() -> Path:
    """Where a user's programs keep what can be made again: a folder of ours in it."""
    home = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mediagen" / "blocks"


def setting_of(
    model: CanvasModel, blocks: BlockGrid, precision: Precision, device: torch.device, compiled: bool = False
) -> Setting:
    """The setting of a model in one number format on this machine."""
    named = identity(model)
    record = {
        "model": named,
        "precision": precision,
        "compiled": compiled,
        "blocks": asdict(blocks),
        "made_with": made_with(device, *LIBRARIES),
    }
    # A checkpoint's file may be called anything.
    decisive = {**record, "model": {key: value for key, value in named.items() if key != "name"}}
    return Setting(model=model, blocks=blocks, record=record, name=_hash(decisive, 8))


def block_name(setting: Setting, scene: Scene, index: Index) -> str:
    """The name of one block of a scene."""
    window = setting.blocks.block(*index)
    cell: Any = getattr(setting.model, "cell", None)
    field = next((f.window for f in setting.model.fields(window) if f.name == "z_l"), None)
    if field is None or cell is None:
        styles, anew = style_maps.to_json(scene.styles), []
    else:
        styles, anew = (
            style_maps.ruling(scene.styles, _reach(window, field, cell)),
            touching(scene.resample, cell, field),
        )
    local = scene.seed if scene.structure_seed is None else scene.structure_seed
    depends = {"seed": scene.seed, "local": local, "anew": anew, "styles": styles, "setting": setting.name}
    return f"{index[0]}_{index[1]}_{_hash(depends, 16)}.block"


def place_of(name: str) -> Index:
    """The block's place on the grid, which its name begins with."""
    bx, by, _ = name.split("_")
    return int(bx), int(by)


class BlockCache:
    """The blocks of one setting in a folder that other settings share."""

    def __init__(self, files: BlockFiles, setting: Setting) -> None:
        self.files, self.setting = files, setting

    def read(self, scene: Scene, index: Index) -> np.ndarray | None:
        """A block that is there and sound, or None."""
        block = self.files.read(self.setting.name, block_name(self.setting, scene, index))
        grid = self.setting.blocks
        return block if block is not None and block.shape == (grid.height, grid.width, 3) else None

    def write(self, scene: Scene, index: Index, block: np.ndarray) -> None:
        """Raises StoreError."""
        self.files.describe(self.setting.name, self.setting.record)
        self.files.write(self.setting.name, block_name(self.setting, scene, index), block)


def known_blocks(
    folder: Path | None, plan: Plan, model: CanvasModel, device: torch.device
) -> Callable[[Index], np.ndarray | None]:
    """Looks a block of a canvas up in a folder of painted blocks; in a folder that is none, nothing is found."""
    if folder is None or not is_cache(folder):
        return lambda index: None
    cache = BlockCache(BlockFiles(folder), setting_of(model, plan.blocks, plan.precision, device, plan.compiled))
    scene = Scene.of(plan)
    return lambda index: cache.read(scene, index)


def precision_in(folder: Path, model: CanvasModel, device: torch.device) -> Precision | None:
    """The number format in which blocks of this model were painted here last; None if there are none."""
    sha, versions = identity(model)["sha256"], made_with(device, *LIBRARIES)
    for record in records(folder):
        named = record.get("model")
        same = record.get("made_with") == versions and isinstance(named, dict) and named.get("sha256") == sha
        if same and record.get("precision") in get_args(Precision):
            precision: Precision = record["precision"]
            return precision
    return None


def _reach(window: Window, field: Window, cell: Cell) -> Window:
    """The pixels whose styles can reach a block: those of its local latents, and a position more on each side."""
    spans = [
        Interval(math.floor((span.start - 1) * size), math.ceil((span.stop + 1) * size)).hull(own)
        for span, size, own in zip((field.columns, field.rows), cell, (window.columns, window.rows), strict=True)
    ]
    return Window.of(*spans)


def _hash(value: Any, size: int) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=size).hexdigest()
