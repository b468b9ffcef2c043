"""What a canvas, clip, picture, checkpoint or training's folder is, how it was made, and whether it is whole. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mediagen import catalog, checkpoint
from mediagen.errors import StoreError, UsageError
from mediagen.export.dzi import bytes_of as bytes_of_tiles
from mediagen.export.picture_record import is_whole, read_picture_record
from mediagen.io.store import CanvasStore, is_canvas
from mediagen.io.video_file import bytes_of, frames_of, read_record
from mediagen.io.video_place import is_part

CLIPS = {".mp4", ".mkv", ".webm", ".gif"}
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dzi"}

LISTED = 20
"""So many missing or bad shards are named; all of them are counted."""


def inspect(path: Path | str, *, deep: bool = False) -> dict[str, Any]:
    """A record whose `what` is canvas, clip, picture, checkpoint or run; `healthy` is False when something in it is damaged.

    `deep` decodes every pixel of a canvas or clip, which finds flipped bits too. Raises UsageError for what is not ours.
    """
    path = Path(path)
    if is_canvas(path):
        return inspect_canvas(path, deep=deep)
    if (clip := read_record(path)) is not None:
        return inspect_clip(path, clip, deep=deep)
    if path.suffix.lower() in CLIPS and path.is_file():
        raise UsageError(f"{path}: no clip of mediagen: it does not say how it was made")
    if (picture := read_picture_record(path)) is not None:
        return inspect_picture(path, picture)
    if path.suffix.lower() in PICTURES and path.is_file():
        raise UsageError(f"{path}: no picture of mediagen: it does not say how it was made")
    if path.is_dir() and (path / "config.json").is_file():
        return inspect_run(path)
    if path.is_file() or str(path) in checkpoint.bundled():
        return {"what": "checkpoint", "healthy": True, **catalog.checkpoint_record(str(path))}
    if not path.exists():
        raise UsageError(
            f"{path}: there is nothing; give a canvas, a clip, a picture, a checkpoint, or a training's folder"
        )
    raise UsageError(
        f"{path}: neither a canvas, nor a clip, nor a picture, nor a checkpoint, nor a training of mediagen"
    )


def inspect_canvas(path: Path, *, deep: bool = False) -> dict[str, Any]:
    """Size, place, provenance, and the state of every shard of every level."""
    store = CanvasStore.open(path)
    levels = [_level(store, level.index, deep) for level in store.levels]
    whole, missing, bad = (sum(level[key] for level in levels) for key in ("whole", "missing", "bad"))
    base = store.levels[0]
    return {
        "what": "canvas",
        "healthy": bad == 0,
        "complete": missing == 0 and bad == 0,
        "x": store.origin[0],
        "y": store.origin[1],
        "width": base.width,
        "height": base.height,
        "shards": {"whole": whole, "missing": missing, "bad": bad},
        "bytes": sum(level["bytes"] for level in levels),
        "levels": levels,
        "made": store.attributes,
    }


def inspect_clip(path: Path, made: dict[str, Any], *, deep: bool = False) -> dict[str, Any]:
    """Size, length and provenance of a clip or of the part of one; with `deep`, each of its frames is decoded."""
    plan, there = made["plan"], frames_of(path, made, deep=deep)
    return {
        "what": "clip",
        "healthy": is_part(path) or there == plan["frames"],
        "complete": there == plan["frames"],
        "width": plan["width"],
        "height": plan["height"],
        "frames": {"whole": there, "of": plan["frames"]},
        "fps": plan["fps"],
        "codec": plan.get("codec") or plan["container"],
        "bytes": bytes_of(path),
        "made": made,
    }


def inspect_picture(path: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Place and provenance of an exported picture, and whether its end is there; pixels are not looked at."""
    plan, whole = made.get("plan"), is_whole(path, made)
    return {
        "what": "picture",
        "healthy": whole,
        "complete": whole,
        "window": made.get("window") or (plan.get("canvas") if isinstance(plan, dict) else None),
        "level": made.get("level"),
        "bytes": bytes_of_tiles(path) if path.suffix.lower() == ".dzi" else path.stat().st_size,
        "made": made,
    }


def _level(store: CanvasStore, index: int, deep: bool) -> dict[str, Any]:
    """Counts of one level's shards; `at` lists the first damaged ones and the first missing ones as [row, column]."""
    level, (rows, columns) = store.levels[index], store.grid(index)
    missing: list[list[int]] = []
    bad: list[list[int]] = []
    lost = broken = size = 0
    for iy in range(rows):
        for ix in range(columns):
            file = store.shard_path(index, iy, ix)
            size += file.stat().st_size if file.exists() else 0
            if store.shard_is_whole(index, iy, ix) and not (deep and _is_damaged(store, index, iy, ix)):
                continue
            there = file.exists()
            lost, broken = lost + (not there), broken + there
            listed = bad if there else missing
            if len(listed) < LISTED:
                listed.append([iy, ix])
    return {
        "level": index,
        "width": level.width,
        "height": level.height,
        "shard": [level.shard_width, level.shard_height],
        "whole": rows * columns - lost - broken,
        "missing": lost,
        "bad": broken,
        "bytes": size,
        "bad_at": bad,
        "missing_at": missing,
    }


def _is_damaged(store: CanvasStore, index: int, iy: int, ix: int) -> bool:
    try:
        store.read_shard(index, iy, ix)
    except StoreError:
        return True
    return False


def inspect_run(path: Path) -> dict[str, Any]:
    """A training: its settings, how far it is, its newest figures, and whether it can go on."""
    from mediagen.errors import CheckpointError

    settings = _json(path / "config.json")
    parts: dict[str, dict[str, Any]] = {}
    for name in ("state.safetensors", "state.previous.safetensors", "generator.safetensors", "best.safetensors"):
        if (path / name).exists():
            try:
                parts[name] = {"whole": True, "header": checkpoint.read_header(path / name)}
            except CheckpointError as error:
                parts[name] = {"whole": False, "error": str(error)}
    states = [parts[name] for name in ("state.safetensors", "state.previous.safetensors") if name in parts]
    progress: dict[str, Any] = next((s["header"].get("progress", {}) for s in states if s["whole"]), {})
    return {
        "what": "run",
        "healthy": all(part["whole"] for part in parts.values()),
        "complete": progress.get("iteration", 0) >= settings.get("iterations", 1),
        "model": settings.get("model"),
        "progress": progress,
        "latest": _latest(path / "log.jsonl"),
        "files": {name: part["whole"] for name, part in parts.items()},
        "previews": len(list((path / "previews").glob("*.png"))),
        "made": settings,
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as a training's settings: {error}") from None
    if not isinstance(found, dict) or "model" not in found:
        raise UsageError(f"{path}: not the settings of a training of mediagen")
    return found


def _latest(log: Path) -> dict[str, float]:
    """The newest value of every scalar in a run's log; rows that a crash cut short are passed over."""
    latest: dict[str, float] = {}
    for line in log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            latest |= row
    return latest
