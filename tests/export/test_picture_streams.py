"""PNGs and JPEGs that are written band by band equal those written at once."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from export_parts import scene
from PIL import Image

from mediagen.errors import UsageError
from mediagen.export import stream_picture, write_picture

RECORD = {"kind": "picture", "seed": 7}


def bands(picture: np.ndarray, rows: int) -> list[np.ndarray]:
    return [picture[i : i + rows] for i in range(0, len(picture), rows)]


def written(picture: np.ndarray, format_, rows: int = 50, **more) -> Image.Image:
    file = io.BytesIO()
    height, width, _ = picture.shape
    write_picture(file, width, height, bands(picture, rows), format_, more.pop("record", RECORD), **more)
    shown = Image.open(io.BytesIO(file.getvalue()))
    shown.load()
    return shown


@pytest.mark.parametrize("rows", [1, 37, 1000])
def test_png(rows: int) -> None:
    picture = scene(301, 140)
    shown = written(picture, "png", rows)
    assert np.array_equal(np.asarray(shown), picture)
    assert json.loads(shown.text["mediagen"]) == RECORD


@pytest.mark.parametrize("quality", [60, 89, 90, 100])
@pytest.mark.parametrize("height", [1, 15, 16, 128, 129, 400])
def test_jpeg_equals_that_of_all_rows_at_once(height: int, quality: int) -> None:
    """The strips' seams do not show in a single bit."""
    picture = scene(333, height)
    once = io.BytesIO()
    Image.fromarray(picture).save(once, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    shown = written(picture, "jpg", 33, quality=quality)
    assert np.array_equal(np.asarray(shown), np.asarray(Image.open(once)))
    assert json.loads(shown.info["comment"]) == RECORD


def test_a_long_record_takes_several_comments() -> None:
    record = {"styles": "x" * 200_000}
    file = io.BytesIO()
    write_picture(file, 40, 30, [scene(40, 30)], "jpg", record)
    data = file.getvalue()
    Image.open(io.BytesIO(data)).load()
    said, at = b"", 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        said += data[at + 4 : at + 2 + length] if data[at + 1] == 0xFE else b""
        at += 2 + length
    assert json.loads(said) == record


def test_rows_are_asked_for_as_they_are_written() -> None:
    """A server may send the first bytes long before the last rows are painted."""
    asked = []

    def rows():
        for i in range(40):
            asked.append(i)
            yield np.zeros((128, 300, 3), np.uint8)

    for format_ in ("png", "jpg"):
        asked.clear()
        pieces = stream_picture(300, 40 * 128, rows(), format_, RECORD)
        next(pieces)
        next(pieces)
        assert len(asked) < 30
        pieces.close() if hasattr(pieces, "close") else None


def test_what_a_jpeg_cannot_hold() -> None:
    with pytest.raises(UsageError, match=r"65,500.*\.tif"):
        stream_picture(65_501, 9, [], "jpg", RECORD)
    with pytest.raises(UsageError, match="1 to 100"):
        stream_picture(9, 9, [], "jpg", RECORD, quality=0)
