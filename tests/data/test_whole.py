import os

import numpy as np
import pytest
import torch
from PIL import Image

from mediagen.data.whole import WholePictures
from mediagen.errors import DataError


def save(path, width, height, seed=0):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(500, 300, (150, 250)), (300, 500, (250, 150)), (100, 60, (60, 100)), (250, 12, (12, 250))],
)
def test_the_longest_side_is_scaled_down_and_never_up(tmp_path, width, height, shape):
    source = WholePictures(save(tmp_path / "a.png", width, height), side=250)
    assert source.pictures[0].shape == (*shape, 3)
    assert (len(source), source.names) == (1, ["a.png"])


def test_a_height_decides_the_width(tmp_path):
    path = save(tmp_path / "a.png", 845, 512)
    assert WholePictures(path, side=160, by="height").pictures[0].shape == (160, 264, 3)
    assert WholePictures(save(tmp_path / "b.png", 50, 90), side=160, by="height").pictures[0].shape == (160, 89, 3)
    with pytest.raises(DataError, match="too small for 160 rows"):
        WholePictures(save(tmp_path / "c.png", 50, 70), side=160, by="height")


def test_draws_are_a_function_of_the_generator(tmp_path):
    source = WholePictures(save(tmp_path / "a.png", 40, 30), side=250)
    first, second = (source.draw(3, np.random.Generator(np.random.Philox(key=7))).tensors() for _ in range(2))
    assert first["pictures"].shape == (3, 3, 30, 40)
    assert first["pictures"].min() >= -1
    assert first["pictures"].max() <= 1
    assert torch.equal(first["seed"], second["seed"])
    assert len(set(first["seed"].tolist())) == 3
    assert first["which"].tolist() == [0, 0, 0]


def test_several_pictures_are_cut_to_one_shape(tmp_path):
    for i, (width, height) in enumerate([(90, 60), (60, 90), (64, 64)]):
        save(tmp_path / f"{i}.png", width, height, i)
    (tmp_path / "notes.txt.bak").write_text("no picture")
    source = WholePictures(tmp_path, by="cover", size=(50, 40), several=True)
    assert [picture.shape for picture in source.pictures] == [(40, 50, 3)] * 3
    assert [skipped.name for skipped in source.skipped] == ["notes.txt.bak"]
    assert set(source.draw(64, np.random.default_rng(0)).which.tolist()) == {0, 1, 2}


def test_one_picture_is_wanted(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.png", 40, 30)
    with pytest.raises(DataError, match="more than one picture, and this model learns from one"):
        WholePictures(tmp_path, side=250)


def test_the_fingerprint_is_of_the_bytes_not_of_the_name(tmp_path):
    first, second = save(tmp_path / "a.png", 40, 30), tmp_path / "b.png"
    second.write_bytes(first.read_bytes())
    marks = {WholePictures(path, side=250).fingerprint for path in (first, second)}
    assert len(marks) == 1
    assert WholePictures(save(tmp_path / "c.png", 40, 30, 1), side=250).fingerprint not in marks


@pytest.mark.parametrize("what", ["missing", "empty", "text", "thin", "pipe", "folder"])
def test_what_is_no_photograph_is_refused_in_one_line(tmp_path, what):
    path = tmp_path / "photo.jpg"
    if what == "empty":
        path.write_bytes(b"")
    elif what == "text":
        path.write_text("not a picture")
    elif what == "thin":
        save(tmp_path / "thin.png", 2000, 10).rename(path)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(DataError) as caught:
        WholePictures(path, side=250)
    assert "\n" not in str(caught.value)
    assert "photo" in str(caught.value)
