"""The picture beside a canvas, for people to look at: where it is, whose it is, and whether it shows the canvas of today."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

from mediagen.canvas.target import is_complete
from mediagen.io.files import PARTIAL, storing
from mediagen.io.overview import draw_overview
from mediagen.io.overview import overview_path as overview_path
from mediagen.io.png import END, read_text
from mediagen.io.store import CanvasStore


class Overview:
    """The picture beside the canvas at `path`, drawn while that is painted. Use as a context: what is not finished goes.

    Bands of it are drawn from the top down as their pixels come to be, so that nothing is left to do in the end.
    """

    def __init__(self, path: Path, store: CanvasStore) -> None:
        self.picture, self.store = overview_path(path), store
        self._steps: Generator[None, None, None] | None = None

    def __enter__(self) -> Self:
        with storing(self.picture):
            for partial in self.picture.parent.glob(f"{_literally(self.picture.name)}.*{PARTIAL}"):
                partial.unlink(missing_ok=True)  # of a process that was killed while it wrote
        if not is_current(self.picture, self.store):
            self._steps = draw_overview(self.store, self.picture)
        return self

    def __exit__(self, *_: object) -> None:
        if self._steps is not None:
            self._steps.close()

    def advance(self) -> None:
        """Draws what can be drawn by now."""
        if self._steps is not None:
            next(self._steps, None)

    def finish(self) -> None:
        """Draws the rest of a complete canvas, and puts the picture in its place."""
        assert is_complete(self.store), "an overview is made of a complete canvas"
        for _ in self._steps or ():
            raise AssertionError("a complete canvas lacks pixels")


def finish_overview(path: Path) -> None:
    """Writes the picture beside a complete canvas, unless it is there."""
    with Overview(path, CanvasStore.open(path)) as overview:
        overview.finish()


def is_current(picture: Path, store: CanvasStore) -> bool:
    """Whether `picture` is the overview of this very canvas."""
    return provenance(picture) == store.attributes


def provenance(picture: Path) -> Any:
    """The record inside an overview of ours; None for any other file, or none, or a part of one."""
    try:
        with picture.open("rb") as file:
            text = read_text(file, "mediagen")
            file.seek(-len(END), os.SEEK_END)
            return json.loads(text) if text is not None and file.read() == END else None
    except (OSError, ValueError, struct.error, RecursionError):
        return None


def _literally(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
