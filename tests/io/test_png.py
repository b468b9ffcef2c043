from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mediagen.io.png import END, PngWriter


def written(picture: np.ndarray, cuts: list[int], texts: dict[str, str]) -> bytes:
    file = BytesIO()
    png = PngWriter(file, picture.shape[1], picture.shape[0], texts)
    for rows in np.split(picture, cuts):
        png.rows(rows)
    png.end()
    return file.getvalue()


@pytest.mark.parametrize("shape", [(40, 31), (1, 1), (3, 5000)])
def test_others_read_it(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    texts = {"mediagen": '{"name": "Wüste"}', "Software": "mediagen"}
    data = written(picture, [], texts)
    assert data.endswith(END)
    with Image.open(BytesIO(data)) as image:
        assert image.info["mediagen"] == texts["mediagen"]  # before the pixels are decoded
        image.verify()
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), picture)


def test_rows_come_in_pieces_and_none_may_be_missing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 70, 3), np.uint8)
    with Image.open(BytesIO(written(picture, [1, 100, 100, 299], {}))) as image:
        assert np.array_equal(np.asarray(image), picture)
    assert written(picture, [9, 100], {}) == written(picture, [9, 100], {})
    with pytest.raises(AssertionError, match="missing"):
        PngWriter(BytesIO(), 70, 300, {}).end()
    with pytest.raises(AssertionError, match="no rows"):
        PngWriter(BytesIO(), 71, 300, {}).rows(picture)
