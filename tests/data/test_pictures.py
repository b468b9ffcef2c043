"""Folders of pictures: every mode and orientation is read, what cannot be used is listed, crops tell where they lie."""

from __future__ import annotations

import csv
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mediagen.data.decode import MAX_PIXELS, decode, fit
from mediagen.data.pictures import PictureFolder
from mediagen.errors import DataError

ZOO = Path(__file__).parents[3] / "shared" / "data" / "image_zoo"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def gradient(width: int, height: int) -> np.ndarray:
    """Red tells the row, green the column, blue is 128."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, np.full_like(rows, 128)], axis=-1).astype(np.uint8)


def reasons(folder: PictureFolder) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in folder.skipped}


@pytest.mark.skipif(not ZOO.is_dir(), reason="the zoo of odd pictures is not beside this checkout")
def test_the_whole_zoo_is_read_or_listed() -> None:
    folder = PictureFolder(ZOO / "made", height=64, crop=32)
    with (ZOO / "MANIFEST.tsv").open() as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["file"].startswith("made/")]
    broken = {row["file"].removeprefix("made/") for row in rows if row["error"]}
    unfit = {"one_pixel.png", "tall_7x900.png", "wide_1600x6.png"}
    assert set(reasons(folder)) == broken | unfit
    assert set(folder.names) == {row["file"].removeprefix("made/") for row in rows} - broken - unfit
    assert len(folder.names) == len(folder) == 25
    assert reasons(folder)["empty.jpg"] == "an empty file"
    assert reasons(folder)["text.png"] == "not a picture"
    assert "truncated" in reasons(folder)["truncated.jpg"]
    assert "too small" in reasons(folder)["one_pixel.png"]
    assert all("\n" not in str(skipped) for skipped in folder.skipped)


@pytest.mark.skipif(not ZOO.is_dir(), reason="the zoo of odd pictures is not beside this checkout")
def test_all_modes_and_orientations_of_one_picture_look_alike() -> None:
    folder = PictureFolder(ZOO / "made", height=64, crop=32)
    shown = {name: folder.pictures[i].astype(float) for i, name in enumerate(folder.names)}
    reference = shown["rgb.bmp"]
    turned = [
        "exif_1.jpg",
        "exif_2.jpg",
        "exif_3.jpg",
        "exif_4.jpg",
        "exif_5.jpg",
        "exif_6.jpg",
        "exif_7.jpg",
        "exif_8.jpg",
    ]
    coloured = [
        "lossless.webp",
        "progressive.jpg",
        "png_named_jpg.jpg",
        "rgb.tif",
        "cmyk.jpg",
        "palette.png",
        "still.gif",
    ]
    for name in turned + coloured:
        assert shown[name].shape == reference.shape, name
        assert np.abs(shown[name] - reference).mean() < 10, name
    gray = reference @ [0.299, 0.587, 0.114]
    for name in ("gray.jpg", "gray16.png"):
        assert np.abs(shown[name].mean(-1) - gray).mean() < 10, name


@pytest.mark.skipif(not ZOO.is_dir(), reason="the zoo of odd pictures is not beside this checkout")
def test_the_wild_zoo_does_no_harm() -> None:
    folder = PictureFolder(ZOO / "real", height=16, crop=16)
    assert len(folder.names) + len(folder.skipped) == 33
    assert len(folder.names) >= 24


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 70, (70, 70, 70)),
        ("LA", (70, 255), (70, 70, 70)),
        ("LA", (70, 0), (255, 255, 255)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("I;16", 0x8080, (128, 128, 128)),
    ],
)
def test_modes_become_rgb(tmp_path: Path, mode: str, pixel: object, expected: tuple[int, int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (24, 24), pixel).save(path)  # type: ignore[arg-type]
    assert decode(path.read_bytes()).getpixel((5, 5)) == expected


def test_palettes_with_transparency_and_floats(tmp_path: Path) -> None:
    picture = Image.new("P", (24, 24), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(tmp_path / "clear.png", transparency=1)
    picture.save(tmp_path / "plain.png")
    assert decode((tmp_path / "clear.png").read_bytes()).getpixel((0, 0)) == (255, 255, 255)
    assert decode((tmp_path / "plain.png").read_bytes()).getpixel((0, 0)) == (10, 200, 30)
    for value, expected in ((0.5, 128), (200.0, 200), (float("nan"), 0), (1e9, 255)):
        Image.new("F", (24, 24), value).save(tmp_path / "f.tif")
        assert decode((tmp_path / "f.tif").read_bytes()).getpixel((0, 0)) == (expected,) * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_stand_upright(tmp_path: Path, orientation: int) -> None:
    """A picture is stored turned, with the tag that tells; what is read is the one before turning."""
    turn = Image.Transpose
    stored = {2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE}
    stored |= {6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270}
    upright = Image.fromarray(gradient(40, 24))
    picture = upright.transpose(stored[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(decode((tmp_path / "a.png").read_bytes())), np.asarray(upright))


def test_photographs_are_read_smaller_but_look_the_same(tmp_path: Path) -> None:
    coarse = Image.fromarray(rng().integers(0, 256, (8, 12, 3), np.uint8))
    coarse.resize((1200, 800), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    data = (tmp_path / "a.jpg").read_bytes()
    quick, slow = decode(data, 64), decode(data)
    assert slow.size == (1200, 800)
    assert quick.size[0] < 1200
    assert min(quick.size) >= 128
    scaled = [fit(picture, height=64, crop=32, square=False).astype(float) for picture in (quick, slow)]
    assert scaled[0].shape == scaled[1].shape == (64, 96, 3)
    assert np.abs(scaled[0] - scaled[1]).mean() < 1.5


@pytest.mark.filterwarnings("ignore:Image size")
def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """A PNG of a few bytes that claims more pixels than any memory holds."""
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS // 1000 + 1, 1000)):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + header
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        with pytest.raises(DataError, match=r"million pixels|truncated|cannot be decoded"):
            decode(data)


def test_rows_are_height_and_portraits_keep_their_middle() -> None:
    wide = fit(Image.fromarray(gradient(200, 100)), height=50, crop=32, square=False)
    assert wide.shape == (50, 100, 3)
    square = fit(Image.fromarray(gradient(200, 100)), height=50, crop=32, square=True)
    assert square.shape == (50, 50, 3)
    assert abs(int(square[25, 25, 1]) - 100) < 3
    portrait = fit(Image.fromarray(gradient(60, 240)), height=50, crop=40, square=False)
    assert portrait.shape == (50, 40, 3)
    assert abs(int(portrait[25, 20, 0]) - 120) < 4
    with pytest.raises(DataError, match="30 x 20 is too small for crops of 40 out of 50 rows"):
        fit(Image.fromarray(gradient(30, 20)), height=50, crop=40, square=False)


def test_crops_tell_their_first_row(tmp_path: Path) -> None:
    Image.fromarray(gradient(200, 40)).save(tmp_path / "a.png")
    folder = PictureFolder(tmp_path, height=40, crop=16)
    batch = folder.batch(400, rng())
    pictures, top = batch["pictures"], batch["top"]
    assert pictures.shape == (400, 3, 16, 16)
    assert pictures.dtype == top.dtype == torch.float32
    assert pictures.is_contiguous(memory_format=torch.channels_last)
    rows = ((pictures[:, 0] + 1) * 127.5).round()
    assert torch.equal(rows[:, :, 0], top[:, None] + torch.arange(16))
    assert set(top.tolist()) == set(range(25))
    columns = ((pictures[:, 1] + 1) * 127.5).round()
    steps = (columns[:, :, 1:] - columns[:, :, :-1]).unique().tolist()
    assert steps == [-1.0, 1.0]
    plain = PictureFolder(tmp_path, height=40, crop=16, flip=False).batch(64, rng())["pictures"]
    assert ((plain[:, 1, :, 1:] - plain[:, 1, :, :-1]) > 0).all()


def test_values_span_minus_one_to_one(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (0, 255, 0)).save(tmp_path / "a.png")
    picture = PictureFolder(tmp_path, height=40, crop=40).batch(1, rng())["pictures"]
    assert picture[0, :, 0, 0].tolist() == [-1.0, 1.0, -1.0]


def test_batches_depend_on_the_generator_alone(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(gradient(60 + 20 * i, 30)).save(tmp_path / f"{i}.png")
    kept, filed = (PictureFolder(tmp_path, height=30, crop=16, memory=m, cache=tmp_path) for m in (2**30, 6000))
    assert len(list(tmp_path.iterdir())) == 3, "the file for many pictures has no name"
    for seed in range(4):
        first, second = kept.batch(8, rng(seed)), filed.batch(8, rng(seed))
        assert torch.equal(first["pictures"], second["pictures"])
        assert torch.equal(first["top"], second["top"])
    assert not torch.equal(kept.batch(8, rng(0))["pictures"], kept.batch(8, rng(1))["pictures"])


def test_the_fingerprint_is_of_names_and_bytes(tmp_path: Path) -> None:
    prints = []
    for place, name, size in (("a", "x.png", 40), ("b", "x.png", 40), ("c", "y.png", 40), ("d", "x.png", 41)):
        (tmp_path / place).mkdir()
        Image.fromarray(gradient(size, 30)).save(tmp_path / place / name)
        (tmp_path / place / "readme.txt").write_text(place)
        prints.append(PictureFolder(tmp_path / place, height=30, crop=16).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_links_pipes_and_hidden_files(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "deep" / "er").mkdir(parents=True)
    outside.mkdir()
    for path in (root / "deep" / "er" / "a.png", root / ".hidden.png", outside / "b.png"):
        Image.fromarray(gradient(40, 30)).save(path)
    (root / "out.png").symlink_to(outside / "b.png")
    (root / "in.png").symlink_to(root / "deep" / "er" / "a.png")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "dangling").symlink_to(root / "none")
    os.mkfifo(root / "pipe.png")
    folder = PictureFolder(root, height=30, crop=16)
    assert folder.names == ["deep/er/a.png", "in.png"]
    told = reasons(folder)
    assert told["out.png"] == told["folder"] == "a link that leaves the folder"
    assert told["pipe.png"] == "not a regular file"
    assert set(told) == {"out.png", "folder", "loop", "dangling", "pipe.png"}


def test_a_list_names_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    for name in ("a b.png", "c.png", "d.png"):
        Image.fromarray(gradient(40, 30)).save(tmp_path / "all" / name)
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("# the best\n\nall/c.png\n  all/a b.png  \nall/none.png\n")
    folder = PictureFolder(chosen, height=30, crop=16)
    assert folder.names == ["all/c.png", "all/a b.png"]
    assert reasons(folder) == {"all/none.png": "cannot be read: No such file or directory"}
    chosen.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a list of pictures"):
        PictureFolder(chosen, height=30, crop=16)


def test_names_cannot_draw_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "red\x1b[31m\nx.png").write_text("no picture")
    (os.fsencode(tmp_path) + b"/\xff.png").decode("utf-8", "surrogateescape")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_text("no picture")
    with pytest.raises(DataError) as caught:
        PictureFolder(tmp_path, height=30, crop=16)
    str(caught.value).encode()
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_to_use_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        PictureFolder(tmp_path / "none", height=30, crop=16)
    with pytest.raises(DataError, match="holds no files"):
        PictureFolder(tmp_path, height=30, crop=16)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "b.txt").write_text("no")
    with pytest.raises(DataError, match=r"no usable picture \(a\.png: .*, and 1 more\); give a folder of pictures"):
        PictureFolder(tmp_path, height=30, crop=16)
    with pytest.raises(DataError, match=r"neither a folder nor a \.txt list"):
        PictureFolder(tmp_path / "a.png", height=30, crop=16)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_one_clear_line(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            PictureFolder(tmp_path, height=30, crop=16)
    finally:
        tmp_path.chmod(0o700)
