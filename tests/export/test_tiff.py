"""A BigTIFF holds the canvas at every level, and other programs read it."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from export_parts import halved, scene, stored
from PIL import Image

from mediagen.export import export

tifffile = pytest.importorskip("tifffile")


def levels_of(path: Path) -> list[np.ndarray]:
    with tifffile.TiffFile(path) as file:
        return [level.asarray() for level in file.series[0].levels]


def test_every_level_is_the_canvas(canvas, picture, tmp_path: Path) -> None:
    report = export(canvas, tmp_path / "a.tif")
    found = levels_of(tmp_path / "a.tif")
    assert report.levels == len(found) == len(canvas.levels) > 2
    assert np.array_equal(found[0], picture)
    for index, (there, level) in enumerate(zip(found, canvas.levels, strict=True)):
        assert np.array_equal(there, canvas.read(index, 0, 0, level.width, level.height))


def test_what_the_file_is_and_says(canvas, tmp_path: Path) -> None:
    export(canvas, tmp_path / "a.tiff", x=60, width=1500)
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        page = file.pages[0]
        assert file.is_bigtiff
        assert page.is_tiled
        assert (page.compression, page.predictor) == (tifffile.COMPRESSION.ADOBE_DEFLATE, tifffile.PREDICTOR.HORIZONTAL)
        assert all(smaller.is_reduced for smaller in page.pages)
        record = json.loads(page.description)
    assert record["canvas"] == canvas.attributes
    assert record["window"] == {"x": 60, "y": -24, "width": 1500, "height": 517}
    assert record["command"].startswith("mediagen export pano.zarr a.tiff --x 60")
    assert str(tmp_path) not in page.description


@pytest.mark.parametrize("corner", [(0, 0), (64, 32), (7, 3)], ids=["the canvas's", "on the lattice", "off it"])
def test_a_window_has_its_own_pyramid(corner: tuple[int, int], canvas, picture, tmp_path: Path) -> None:
    x, y = corner
    cut = picture[y : y + 300, x : x + 2100]
    export(canvas, tmp_path / "a.tif", x=x - 40, y=y - 24, width=2100, height=300)
    for index, there in enumerate(levels_of(tmp_path / "a.tif")):
        assert there.shape[:2] == (-(-300 // 2**index), -(-2100 // 2**index))
        wanted = halved(cut, index)
        # A level's last pixel may show what lies beyond the window's end, where the canvas goes on.
        assert np.array_equal(there[:-1, :-1], wanted[:-1, :-1])


def test_chunks_that_are_no_tiles(tmp_path: Path) -> None:
    picture = scene(301, 99)
    store = stored(tmp_path / "odd.zarr", picture, chunk=36, shard=(72, 36))
    export(store, tmp_path / "a.tif")
    assert np.array_equal(levels_of(tmp_path / "a.tif")[0], picture)


def test_pillow_reads_it(canvas, picture, tmp_path: Path) -> None:
    export(canvas, tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as shown:
        assert np.array_equal(np.asarray(shown), picture)


def by_libvips(path: Path, level: int, scratch: Path) -> np.ndarray:
    """A level of a TIFF as libvips reads it: by pyvips, or by its own command."""
    options = {} if level == 0 else {"subifd": level - 1}
    try:
        import pyvips
    except (ImportError, OSError):
        source = f"{path}[subifd={level - 1}]"
        subprocess.run(["vips", "copy", source, str(scratch)], check=True, timeout=60)
        with Image.open(scratch) as shown:
            return np.asarray(shown)
    return pyvips.Image.new_from_file(str(path), **options).numpy()


@pytest.mark.skipif(
    shutil.which("vips") is None and find_spec("pyvips") is None, reason="neither pyvips nor libvips-tools is installed"
)
def test_libvips_reads_every_level(canvas, tmp_path: Path) -> None:
    export(canvas, tmp_path / "a.tif")
    for index, level in enumerate(canvas.levels):
        there = by_libvips(tmp_path / "a.tif", index, tmp_path / "level.png")
        assert np.array_equal(there, canvas.read(index, 0, 0, level.width, level.height))
