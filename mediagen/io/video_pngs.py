"""Clips as folders of PNGs, 000000.png and so on, with the clip's record beside them in clip.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mediagen.errors import StoreError
from mediagen.io.files import PARTIAL, make_folder, storing, sync_folder, sync_tree, write_file
from mediagen.io.video_codecs import SEGMENT, ClipLayout

RECORD = "clip.json"
LAST_CHUNK = b"IEND\xaeB`\x82"


def read_comment(folder: Path) -> str | None:
    """What clip.json says; None when there is none."""
    try:
        return (folder / RECORD).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def remove_clip(folder: Path) -> None:
    """Deletes a clip's frames and record, the record last. Raises StoreError when there is anything else."""
    with storing(folder):
        ours = [path for path in folder.iterdir() if _is_ours(path)]
        if foreign := sorted(set(folder.iterdir()) - set(ours)):
            raise StoreError(f"{folder}: holds {foreign[0].name}, which is no part of the clip, so it is left alone")
        for path in sorted(ours, key=lambda path: path.name == RECORD):
            path.unlink()
        folder.rmdir()


def whole_frames(folder: Path) -> int:
    """How many frames from the first on are in a folder, whole ones."""
    count = 0
    while _is_whole(folder / _name(count)):
        count += 1
    return count


class PngClip:
    """A folder that grows at `part`. `done` frames are there already; `add` the ones after them, then `finish`."""

    def __init__(self, path: Path, part: Path, layout: ClipLayout, record: Mapping[str, Any]) -> None:
        self.path, self.part, self.layout = path, part, layout
        with storing(path):
            make_folder(part)
            for partial in part.glob(f"*{PARTIAL}"):
                partial.unlink()
            self.done = whole_frames(part)
            if self.done < layout.frames:
                self.done -= self.done % SEGMENT
            if not self.done:
                write_file(part / RECORD, json.dumps(record, sort_keys=True).encode())

    def add(self, frames: np.ndarray) -> None:
        """The next frames, (n, H, W, 3) uint8. Raises StoreError."""
        with storing(self.path):
            for frame in frames:
                target = self.part / _name(self.done)
                partial = target.with_suffix(PARTIAL)
                Image.fromarray(frame).save(partial, "PNG", compress_level=3)
                partial.replace(target)
                self.done += 1

    def close(self) -> None:
        """Leaves the part as it is."""

    def finish(self) -> None:
        """Gives the folder its name. Raises StoreError."""
        assert self.done == self.layout.frames
        with storing(self.path):
            sync_tree(self.part)
            self.part.replace(self.path)
            sync_folder(self.path.parent)


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _is_ours(path: Path) -> bool:
    return path.name == RECORD or path.name.endswith(PARTIAL) or (path.suffix == ".png" and path.stem.isdigit())


def _is_whole(path: Path) -> bool:
    """Whether a PNG has its last chunk; after a power cut it may not."""
    try:
        with path.open("rb") as file:
            file.seek(-len(LAST_CHUNK), 2)
            return file.read() == LAST_CHUNK
    except OSError:
        return False
