"""A clip's file, whatever its kind: what it says of itself, taking up a part, removing one. No torch, no models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mediagen.errors import UsageError
from mediagen.io import video_container, video_gif, video_pngs
from mediagen.io.files import storing
from mediagen.io.video_codecs import CODECS, ClipLayout, container_of
from mediagen.io.video_encode import open_encoder
from mediagen.io.video_place import PART, kept_of, part_of

KIND = "clip"
LARGEST = 2**63
"""No number of a record is larger; JSON can hold infinite ones."""


class ClipFile(Protocol):
    """A clip that grows beside its name. `done` frames are in it; they need not be made again."""

    done: int

    def add(self, frames: np.ndarray) -> None:
        """The next frames, (n, H, W, 3) uint8, in order; or planes, where the layout takes them. Raises StoreError."""
        ...

    def close(self) -> None:
        """Leaves a part that plays and can be gone on with. Raises StoreError."""
        ...

    def finish(self) -> None:
        """Puts the clip, all of whose frames are in it, at its name. Raises StoreError."""
        ...


def read_record(path: Path) -> dict[str, Any] | None:
    """What a clip of ours, or the part of one, says of its making; None for any other file, or none."""
    if not (path.is_file() or path.is_dir()):  # opening a pipe would wait for somebody to write into it
        return None
    try:
        kind = "png" if path.suffix == PART else container_of(path)
        match kind:
            case "gif":
                text = video_gif.read_comment(path)
            case "png":
                text = video_pngs.read_comment(path)
            case _:
                text = video_container.read_comment(path)
        found = json.loads(text or "null")
    except (UsageError, ValueError, RecursionError):
        return None
    return found if _is_record(found) and found["plan"]["container"] == kind else None


def frames_of(path: Path, record: Mapping[str, Any], *, deep: bool = False) -> int:
    """How many frames of a clip of ours are whole, from the first one on; `deep` decodes them. Raises StoreError."""
    container, fps = record["plan"]["container"], Fraction(record["plan"]["fps"]).limit_denominator(1001)
    with storing(path):
        match container:
            case "gif":
                return sum(1 for _ in video_gif.frame_ends(path))
            case "png":
                return video_pngs.whole_frames(path)
        return video_container.decoded_frames(path) if deep else video_container.whole_frames(path, fps)


def _is_record(found: Any) -> bool:
    """Whether a comment is a clip's record; any file can have any comment."""
    if not isinstance(found, dict) or found.get("kind") != KIND or not isinstance(found.get("plan"), dict):
        return False
    plan, counts = found["plan"], ("width", "height", "frames", "fps")
    return "container" in plan and all(
        isinstance(plan.get(key), int | float) and 0 < plan[key] < LARGEST for key in counts
    )


def open_clip(path: Path, layout: ClipLayout, record: Mapping[str, Any]) -> ClipFile:
    """The clip at `path`, ready to be added to; what its part holds is kept. Raises StoreError."""
    match layout.container:
        case "gif":
            return video_gif.GifClip(path, part_of(path), layout, record)
        case "png":
            return video_pngs.PngClip(path, part_of(path), layout, record)
    return video_container.ContainerClip(path, part_of(path), kept_of(path), layout, record)


def check_encoder(layout: ClipLayout) -> None:
    """Raises UsageError when this machine cannot code the layout, before anything has been made."""
    if layout.codec in CODECS:
        open_encoder(layout)


def remove_clip(path: Path) -> None:
    """Deletes a clip or a part of ours, if it is there. Raises StoreError."""
    if path.is_dir():
        video_pngs.remove_clip(path)
        return
    with storing(path):
        path.unlink(missing_ok=True)


def bytes_of(path: Path) -> int:
    """The size of a clip, or of a part, on the disk; 0 when there is none."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.exists())
