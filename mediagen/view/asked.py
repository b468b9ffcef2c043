"""What `mediagen view` was asked for. No torch here: the page is served while that is still being imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mediagen.core.resample import Resample

STYLE_MAP = "style-map.json"
"""What a scene's style centres are saved as."""


@dataclass(frozen=True, kw_only=True)
class PlaneOptions:
    """What `mediagen view --model` was asked for, in the command line's terms."""

    model: str = "infinitygan"
    seed: int = 0
    structure_seed: int | None = None
    texture_seed: int | None = None
    style_every: int | None = None
    style_blend: int | None = None
    style_map: Path | None = None
    resample: tuple[Resample, ...] = ()
    precision: str = "auto"
    memory: str = "2GB"
    block: tuple[int, int] | None = None
    device: str = "auto"
    cache: Path | None = None
    cache_size: str = "2GB"
