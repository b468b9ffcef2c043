"""Deep Zoom tiles put together are the canvas, at every level down to one pixel."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediagen.errors import StoreError
from mediagen.export import export
from mediagen.io.store import CanvasStore


def assembled(path: Path, level: int) -> np.ndarray:
    """What a viewer shows of a level, read by the rules of the format alone."""
    root = ET.parse(path).getroot()
    size = root[0].attrib
    tile, overlap, ending = int(root.attrib["TileSize"]), int(root.attrib["Overlap"]), root.attrib["Format"]
    last = max(int(size["Width"]), int(size["Height"])) - 1
    scale = 2 ** (last.bit_length() - level)
    width, height = -(-int(size["Width"]) // scale), -(-int(size["Height"]) // scale)
    out = np.zeros((height, width, 3), np.uint8)
    for row in range(-(-height // tile)):
        for column in range(-(-width // tile)):
            with Image.open(path.with_name(f"{path.stem}_files") / str(level) / f"{column}_{row}.{ending}") as shown:
                part = np.asarray(shown)
            x, y = max(0, column * tile - overlap), max(0, row * tile - overlap)
            right, bottom = min(width, (column + 1) * tile + overlap), min(height, (row + 1) * tile + overlap)
            assert part.shape == (bottom - y, right - x, 3)
            out[y : y + part.shape[0], x : x + part.shape[1]] = part
    return out


@pytest.mark.parametrize("overlap", [0, 1])
def test_tiles_put_together(overlap: int, canvas: CanvasStore, picture: np.ndarray, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.dzi", tiles="png", overlap=overlap)
    last = report.levels - 1
    assert np.array_equal(assembled(tmp_path / "a.dzi", last), picture)
    for index in range(1, len(canvas.levels)):
        level = canvas.levels[index]
        wanted = canvas.read(index, 0, 0, level.width, level.height)
        assert np.array_equal(assembled(tmp_path / "a.dzi", last - index), wanted)
    assert assembled(tmp_path / "a.dzi", 0).shape == (1, 1, 3)
    assert json.loads((tmp_path / "a_files" / "mediagen.json").read_text())["canvas"] == canvas.attributes


def test_jpeg_tiles_are_close(canvas: CanvasStore, picture: np.ndarray, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.dzi", quality=95)
    shown = assembled(tmp_path / "a.dzi", report.levels - 1)
    assert np.abs(shown.astype(int) - picture).mean() < 2


def test_off_the_lattice_small_levels_come_from_small_ones(canvas: CanvasStore, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.dzi", x=-39, y=-23, width=2000, height=501, tiles="png", overlap=0)
    assert report.seconds < 20
    mean = canvas.read(0, 1, 1, 2000, 501).mean(axis=(0, 1))
    assert np.abs(assembled(tmp_path / "a.dzi", 0)[0, 0] - mean).max() < 12


def test_what_is_not_ours_is_left_alone(canvas: CanvasStore, tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match="left alone"):
        export(canvas, tmp_path / "a.dzi", overwrite=True)
    assert (tmp_path / "a_files" / "thesis.txt").exists()


def test_overwrite_leaves_no_old_tiles(canvas: CanvasStore, tmp_path: Path) -> None:
    export(canvas, tmp_path / "a.dzi", tiles="png")
    with pytest.raises(StoreError, match="--overwrite"):
        export(canvas, tmp_path / "a.dzi")
    export(canvas, tmp_path / "a.dzi", width=300, overwrite=True)
    assert not list((tmp_path / "a_files").rglob("*.png"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.dzi", "a_files"}
