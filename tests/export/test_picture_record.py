"""What exported pictures say of themselves, read back by `mediagen inspect`; strangers' files are no error of ours."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mediagen_cli.main import main
from PIL import Image

from mediagen.errors import MediagenError
from mediagen.export import export, stream_picture
from mediagen.export.picture_record import read_picture_record
from mediagen.inspection import inspect
from mediagen.io.overview import write_overview

NAMES = ("a.png", "a.jpg", "a.tif", "a.dzi")


@pytest.mark.parametrize("name", NAMES)
def test_every_format_tells(name: str, canvas, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "a.tif":
        pytest.importorskip("tifffile")
    report = export(canvas, tmp_path / name, x=0, y=0, width=300, height=200, level=1)
    found = inspect(tmp_path / name)
    assert (found["what"], found["healthy"], found["level"]) == ("picture", True, 1)
    assert found["window"] == {"x": report.x, "y": report.y, "width": report.width, "height": report.height}
    assert found["made"]["canvas"] == canvas.attributes
    assert found["bytes"] >= report.bytes > 0
    assert main(["inspect", str(tmp_path / name)]) == 0
    said = capsys.readouterr().out
    assert f"{report.width} x {report.height} px from x = {report.x}, y = {report.y}, level 1" in said
    assert f"mediagen export pano.zarr {name} --x" in said


def test_a_long_record_is_read_from_all_of_a_jpeg_s_comments(tmp_path: Path) -> None:
    record = {"kind": "picture", "window": None, "more": "x" * 150_000}
    rows = [np.zeros((16, 32, 3), np.uint8)]
    (tmp_path / "a.jpg").write_bytes(b"".join(stream_picture(32, 16, rows, "jpg", record)))
    assert read_picture_record(tmp_path / "a.jpg") == record


def test_an_overview_tells_of_its_canvas(canvas, tmp_path: Path) -> None:
    write_overview(canvas, tmp_path / "pano.png")
    found = inspect(tmp_path / "pano.png")
    assert (found["what"], found["made"]["command"]) == ("picture", canvas.attributes["command"])


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_that_was_cut_short_is_not_healthy(name: str, canvas, tmp_path: Path) -> None:
    if name == "a.tif":
        pytest.importorskip("tifffile")
    export(canvas, tmp_path / name)
    assert inspect(tmp_path / name)["healthy"]
    if name == "a.dzi":
        (tmp_path / "a_files" / "11" / "0_0.jpg").unlink()
    else:
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: -len(data) // 8])
    assert not inspect(tmp_path / name)["healthy"]
    assert main(["inspect", str(tmp_path / name)]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_would_be_waited_for_or_never_ends_is_passed_over(tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.dzi").write_text("<Image/>")
        (tmp_path / f"{name}_files").mkdir()
    os.mkfifo(tmp_path / "a_files" / "mediagen.json")
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c_files" / "mediagen.json").symlink_to("/dev/zero")
    whole = b"".join(stream_picture(8, 8, [np.zeros((8, 8, 3), np.uint8)], "png", {"kind": "picture"}))
    text = b"mediagen\0\0\0\0\0" + b"[" * 100_000
    chunk = len(text).to_bytes(4, "big") + b"iTXt" + text + b"\0\0\0\0"
    (tmp_path / "d.png").write_bytes(whole[:33] + chunk + whole[whole.index(b"IDAT") - 4 :])
    for name in ("a.dzi", "b.png", "c.dzi", "d.png"):
        assert read_picture_record(tmp_path / name) is None, name


def test_strangers_and_broken_files(canvas, tmp_path: Path) -> None:
    pixels = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    for ending in ("png", "jpg", "tif"):
        pixels.save(tmp_path / f"other.{ending}")
        (tmp_path / f"empty.{ending}").write_bytes(b"")
    (tmp_path / "lone.dzi").write_text("<Image/>")
    export(canvas, tmp_path / "a.png", width=64, height=64)
    whole = (tmp_path / "a.png").read_bytes()
    for cut in (4, 20, 60, 120):
        (tmp_path / f"cut{cut}.png").write_bytes(whole[:cut])
    (tmp_path / "huge.png").write_bytes(whole[:33] + b"\xff\xff\xff\xf0iTXt" + whole[41:])
    for path in sorted(tmp_path.iterdir()):
        if path.name != "a.png":
            assert read_picture_record(path) is None, path.name
            with pytest.raises(MediagenError, match="no picture of mediagen"):
                inspect(path)
