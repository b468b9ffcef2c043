"""A canvas as a Deep Zoom picture, which web viewers such as OpenSeadragon show: NAME.dzi and the folder NAME_files.

The folder comes first and under its own name only when it is whole; NAME.dzi, without which no viewer finds it, comes last.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mediagen.core.geometry import Window
from mediagen.errors import StoreError
from mediagen.export.ahead import cores, in_order
from mediagen.export.jpeg import SHARP
from mediagen.export.pixels import Picture
from mediagen.io.files import sync_folder, write_file

Tiles = Literal["jpg", "png"]
TILE = 256
RECORD = "mediagen.json"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def files_of(path: Path) -> Path:
    """The folder of tiles that belongs to a .dzi."""
    return path.with_name(f"{path.stem}_files")


def bytes_of(path: Path) -> int:
    """What a Deep Zoom picture takes on the disk; its tiles are counted one by one."""
    with os.scandir(files_of(path)) as entries:
        folders = [entry.path for entry in entries if entry.is_dir()]
    return path.stat().st_size + sum(entry.stat().st_size for folder in folders for entry in os.scandir(folder))


def refuse_foreign(path: Path) -> None:
    """Raises StoreError when the folder's name is taken by what is no Deep Zoom picture of ours."""
    folder = files_of(path)
    if os.path.lexists(folder) and not (folder / RECORD).is_file():
        raise StoreError(f"{folder}: what is there is no picture of ours, so it is left alone; choose another name")


def levels_of(picture: Picture) -> int:
    """Halvings until one pixel is left, and one: Deep Zoom numbers its levels from that pixel up."""
    return (max(picture.size()) - 1).bit_length() + 1


def write_dzi(
    path: Path, picture: Picture, provenance: Mapping[str, Any], told: Callable[[int], None],
    *, tiles: Tiles, overlap: int, quality: int, threads: int | None = None,
) -> None:  # fmt: skip
    """All levels; `told` hears how many pixels of the picture have been written since. Raises OSError, StoreError."""
    draft = path.with_name(f".{path.stem}_files.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        (draft / RECORD).write_text(json.dumps(provenance, sort_keys=True), "utf-8")
        last = levels_of(picture) - 1
        for k in range(last + 1):
            folder = draft / str(last - k)
            folder.mkdir()

            def put(tile: tuple[int, int, Window], k: int = k, folder: Path = folder) -> int:
                column, row, window = tile
                data = _encoded(picture.read(k, window), tiles, quality)
                (folder / f"{column}_{row}.{tiles}").write_bytes(data)
                return window.area

            for pixels in in_order(put, _windows(picture.size(k), overlap), threads or cores()):
                told(pixels)
        if hasattr(os, "sync"):
            os.sync()  # once: there may be a million files
        path.unlink(missing_ok=True)
        folder = files_of(path)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    write_file(path, _described(picture.size(), tiles, overlap).encode())


def _windows(size: tuple[int, int], overlap: int) -> Iterator[tuple[int, int, Window]]:
    """(column, row, pixels) of each tile; along the shorter side first, so that neighbours follow each other soon."""
    width, height = size
    across, down = range(-(-width // TILE)), range(-(-height // TILE))
    wide = len(across) > len(down)
    for outer in across if wide else down:
        for inner in down if wide else across:
            column, row = (outer, inner) if wide else (inner, outer)
            left, top = max(0, column * TILE - overlap), max(0, row * TILE - overlap)
            right, bottom = min(width, (column + 1) * TILE + overlap), min(height, (row + 1) * TILE + overlap)
            yield column, row, Window(left, top, right - left, bottom - top)


def _encoded(planar: np.ndarray, tiles: Tiles, quality: int) -> bytes:
    file, picture = io.BytesIO(), Image.fromarray(np.ascontiguousarray(planar.transpose(1, 2, 0)))
    if tiles == "png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, "JPEG", quality=quality, subsampling=0 if quality >= SHARP else 2)
    return file.getvalue()


def _described(size: tuple[int, int], tiles: Tiles, overlap: int) -> str:
    image = f'<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{tiles}" Overlap="{overlap}"'
    return f'{_HEAD}{image} TileSize="{TILE}">\n  <Size Width="{size[0]}" Height="{size[1]}"/>\n</Image>\n'
