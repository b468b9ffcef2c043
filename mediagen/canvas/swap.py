"""Puts an extended canvas into the place of the one it grew from, so that a crash at any point can be made good.

NAME is renamed to NAME.replaced, NAME.extending to NAME, the overview is made anew, and NAME.replaced is deleted, its record
last. Whoever opens NAME next calls `finish` first.
"""

from __future__ import annotations

import os
from pathlib import Path

from mediagen.canvas.overview import finish_overview
from mediagen.canvas.target import plan_of
from mediagen.core.geometry import Window
from mediagen.io.files import storing, sync_folder
from mediagen.io.store import CanvasStore, is_canvas


def growing(path: Path) -> Path:
    """Where the larger canvas grows."""
    return path.with_name(path.name + ".extending")


def replaced(path: Path) -> Path:
    """Where the smaller canvas lies until the exchange is complete."""
    return path.with_name(path.name + ".replaced")


def swap(path: Path) -> None:
    """Exchanges the two canvases; the larger one is complete. Raises StoreError; `finish` goes on from there."""
    with storing(path):
        path.rename(replaced(path))
        sync_folder(path.parent)
    finish(path)


def finish(path: Path) -> Window | None:
    """Completes an exchange that was cut short, if there is one; returns the window of the canvas that was replaced."""
    before = replaced(path)
    if not before.is_dir():
        return None
    with storing(path):
        if not path.exists() and growing(path).exists():
            growing(path).rename(path)
            sync_folder(path.parent)
        window = plan_of(CanvasStore.open(before)).canvas if is_canvas(before) else None
        finish_overview(path)
        _discard(before)
    return window


def _discard(folder: Path) -> None:
    """Deletes a replaced canvas, its record last, so that a deletion cut short still says what it was."""
    record = folder / "zarr.json"
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            if Path(place, name) != record:
                Path(place, name).unlink()
        for name in folders:
            Path(place, name).rmdir()
    record.unlink(missing_ok=True)
    folder.rmdir()
