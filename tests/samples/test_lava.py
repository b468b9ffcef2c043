from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clip_files import clip_rng, read_clip
from lava import PALETTES, lava, lava_clip

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("size", [64, 96, 128])
def test_smooth_in_space_and_time(size: int) -> None:
    clip, name = lava_clip(clip_rng(0, 4), frames=12, size=size)
    assert clip.shape == (12, size, size, 3)
    assert name in PALETTES
    change = np.abs(np.diff(clip.astype(int), axis=0))
    assert 0.2 < change.mean() < 6
    # Edges are softened over at least two pixels: a hard one would jump by the whole contrast at once.
    edges = np.abs(np.diff(clip.astype(int), axis=1)).max((1, 2, 3))
    assert (edges < 0.85 * np.ptp(clip.reshape(12, -1, 3), axis=1).max(1)).all()


def test_a_video_depends_on_its_seed_and_number_alone() -> None:
    assert np.array_equal(lava(2, 4, frames=4), lava(3, 4, frames=4)[:2])
    assert not np.array_equal(lava(1, 4, frames=4), lava(1, 5, frames=4))
    names = {lava_clip(clip_rng(0, k), frames=1, size=16)[1] for k in range(100)}
    assert names == set(PALETTES)


def test_sizes_show_one_scene() -> None:
    """A smaller clip of a seed is the larger one, scaled down."""
    small, large = (lava(1, 2, frames=2, size=size)[0].astype(float) for size in (32, 64))
    halved = large.reshape(2, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(halved - small).mean() < 2.5


def test_script(tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "samples/lava.py", tmp_path, "--videos", "2", "--frames", "5"]
    subprocess.run(words, check=True, capture_output=True)
    found = np.stack([read_clip(path) for path in sorted(tmp_path.glob("*.mp4"))])
    assert found.shape == (2, 5, 64, 64, 3)
    assert np.abs(found.astype(int) - lava(2, frames=5)).mean() < 4
    subprocess.run([*words, "--exact"], check=True, capture_output=True)
    assert np.array_equal(read_clip(tmp_path / "00001.mp4"), lava(2, frames=5)[1])
