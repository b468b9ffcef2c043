from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clip_files import read_clip
from moving_digits import moving_digits, read_idx

ROOT = Path(__file__).parents[2]
MNIST = ROOT.parent / "shared/data/mnist/t10k-images-idx3-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def blocks() -> np.ndarray:
    """Four pictures of 12 x 12 with one bright block each."""
    images = np.zeros((4, 12, 12), np.uint8)
    for number in range(4):
        images[number, 2:10, 3 : 5 + number] = 200
    return images


def test_digits_stay_whole_and_bounce(blocks: np.ndarray) -> None:
    clips = moving_digits(6, blocks, digits=1, frames=64)
    assert clips.shape == (6, 64, 64, 64, 3)
    light = clips[..., 0].sum((2, 3), dtype=np.int64)
    assert np.abs(light / light[:, :1] - 1).max() < 0.02
    rows = np.stack([clip[..., 0].sum(2) @ np.arange(64) for clip in clips]) / light
    turns = (np.diff(np.sign(np.diff(rows, axis=1)), axis=1) != 0).sum(1)
    assert (turns >= 1).all()


def test_a_video_depends_on_its_seed_and_number_alone(blocks: np.ndarray) -> None:
    assert np.array_equal(moving_digits(2, blocks, 4), moving_digits(4, blocks, 4)[:2])
    assert not np.array_equal(moving_digits(2, blocks, 4), moving_digits(2, blocks, 5))


def test_idx_files_plain_packed_and_broken(tmp_path: Path, blocks: np.ndarray) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx(blocks))
    assert np.array_equal(read_idx(path), blocks)
    path.write_bytes(gzip.compress(idx(blocks)))
    assert np.array_equal(read_idx(path), blocks)
    for broken in (
        idx(blocks)[:-1],
        b"",
        b"\0\0\x08\x03\0",
        b"GIF89a",
        b"\0\0\x0d\x01\0\0\0\0",
        gzip.compress(idx(blocks))[:-9],
    ):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"idx|truncated"):
            read_idx(path)


def test_script_sorts_by_label(tmp_path: Path, blocks: np.ndarray) -> None:
    (tmp_path / "images").write_bytes(idx(blocks))
    (tmp_path / "labels").write_bytes(idx(np.array([7, 7, 3, 3], np.uint8)))
    words = [sys.executable, ROOT / "samples/moving_digits.py", tmp_path / "out", "--images", tmp_path / "images",
             "--labels", tmp_path / "labels", "--digits", "1", "--videos", "8", "--frames", "4"]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"3", "7"}
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 8
    wrong = subprocess.run([*words, "--digits", "2"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "--labels needs --digits 1" in wrong.stderr


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST is not here")
def test_real_digits(tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "samples/moving_digits.py", tmp_path, "--images", MNIST, "--videos", "2"]
    subprocess.run(words, check=True, capture_output=True)
    expected = moving_digits(2, read_idx(MNIST))
    assert all(np.array_equal(read_clip(tmp_path / f"0000{k}.mp4"), expected[k]) for k in range(2))
