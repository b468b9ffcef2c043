"""What is to be done at the place where a canvas is asked for: make it, go on with it, or leave it alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from mediagen.canvas.overview import is_current, overview_path, provenance
from mediagen.canvas.target import is_complete, unlikeness
from mediagen.errors import StoreError, UsageError
from mediagen.io.store import CanvasStore, is_canvas

Action = Literal["create", "continue", "nothing"]


def refuse_foreign(path: Path) -> None:
    """Raises StoreError when what is at `path` is no canvas of ours, or the picture beside it no overview of ours."""
    if os.path.lexists(path) and not is_canvas(path) and not (path.is_dir() and not any(path.iterdir())):
        raise StoreError(f"{path}: what is there is no canvas of ours, so it is left alone; choose another name")
    picture = overview_path(path)
    if os.path.lexists(picture) and provenance(picture) is None:
        raise StoreError(f"{picture}: this picture is no overview of ours, so it is left alone; choose another name")


def decide(path: Path, record: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Action:
    """What is to be done at `path` for a canvas of this record. Raises UsageError where a flag is needed or wrong.

    The same command said again is never refused: it finishes what was interrupted, at whatever moment that was.
    """
    if not is_canvas(path) or overwrite:
        return "create"
    store = CanvasStore.open(path)
    unlike = list(islice(unlikeness(store.attributes, record), 3))
    if unlike and resume:
        raise UsageError(f"{path}: was painted differently ({'; '.join(unlike)}); say the same, or use --overwrite")
    if unlike:
        raise UsageError(
            f"{path}: another canvas is there ({'; '.join(unlike)}); replace it with --overwrite, "
            "or go on with it by --resume and its own arguments"
        )
    if not is_complete(store) or not is_current(overview_path(path), store):
        return "continue"
    return "nothing"
