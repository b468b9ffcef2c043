"""The picture beside a canvas, for people to look at: where it is, whose it is, and whether it shows the canvas of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from mediagen.canvas.target import is_complete
from mediagen.io.files import PARTIAL, storing
from mediagen.io.overview import write_overview
from mediagen.io.store import CanvasStore


def overview_path(path: Path) -> Path:
    """pano.zarr -> pano.png."""
    return path.with_name(f"{path.stem if path.suffix == '.zarr' else path.name}.png")


def finish_overview(path: Path) -> None:
    """Writes the picture beside a complete canvas, unless it is there."""
    picture, store = overview_path(path), CanvasStore.open(path)
    assert is_complete(store), "an overview is made of a complete canvas"
    with storing(picture):
        for partial in picture.parent.glob(f"{_literally(picture.name)}.*{PARTIAL}"):
            partial.unlink(missing_ok=True)  # of a process that was killed while it wrote
    if not is_current(picture, store):
        write_overview(store, picture)


def is_current(picture: Path, store: CanvasStore) -> bool:
    """Whether `picture` is the overview of this very canvas."""
    return provenance(picture) == store.attributes


def provenance(picture: Path) -> Any:
    """The record inside an overview of ours; None for any other file, or none."""
    try:
        with Image.open(picture) as image:
            image.load()  # text may follow the pixels
            return json.loads(getattr(image, "text", {})["mediagen"])
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError):
        return None


def _literally(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
