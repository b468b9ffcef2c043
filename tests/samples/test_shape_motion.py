from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_files import clip_rng, read_clip
from PIL import Image
from shape_motion import CLASSES, SIZES, _circle, shape_motion, shape_motion_clip

from mediagen.metrics.content_distance import ShapeColour, content_distance

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT.parent / "shared/data/mocogan_shapes/shapes.zip"


def corners(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First row, first column and side of the shape in every frame."""
    shown = clip.any(-1)
    rows, columns = shown.any(2), shown.any(1)
    return rows.argmax(1), columns.argmax(1), rows.sum(1)


def test_one_flat_shape_of_one_colour_moves_across() -> None:
    clips, kinds = shape_motion(40, seed=3)
    assert clips.shape == (40, 16, 64, 64, 3)
    assert set(kinds) == {0, 1}
    for clip, kind in zip(clips, kinds, strict=True):
        assert len(np.unique(clip.reshape(-1, 3), axis=0)) == 2
        assert len(np.unique(clip.any(-1).sum((1, 2)))) == 1
        top, left, side = corners(clip)
        assert side[0] in SIZES
        along, across = (top, left) if kind == 0 else (left, top)
        assert (along[0], along[-1]) == (62 - side[0], 1)
        assert across[0] == across[-1]
        assert top.min() >= 1
        assert (top + side).max() <= 62


def test_a_video_depends_on_its_seed_and_number_alone() -> None:
    few, many = shape_motion(3, seed=5)[0], shape_motion(5, seed=5)[0]
    assert np.array_equal(few, many[:3])
    assert np.array_equal(shape_motion(2, seed=5, first=1)[0], many[1:3])
    assert not np.array_equal(few, shape_motion(3, seed=6)[0])


def test_mirrored_moves_down_and_to_the_right() -> None:
    for number in range(4):
        clip, kind = shape_motion_clip(clip_rng(0, number), mirrored=True)
        start = corners(clip)[kind]
        assert start[0] < 4
        assert start[-1] > 44


def test_written_without_loss(tmp_path: Path) -> None:
    words = [
        sys.executable,
        ROOT / "samples/shape_motion.py",
        tmp_path,
        "--videos",
        "6",
        "--seed",
        "2",
        "--frames",
        "32",
    ]
    subprocess.run(words, check=True, capture_output=True)
    files = sorted(tmp_path.rglob("*.mp4"))
    assert len(files) == 6
    clips = []
    for path in files:
        clip, kind = shape_motion_clip(clip_rng(2, int(path.stem)), frames=32)
        assert path.parent.name == CLASSES[kind]
        clips.append(read_clip(path))
        assert np.array_equal(clips[-1], clip)
    tensors = torch.from_numpy(np.stack(clips)).permute(0, 4, 1, 2, 3) / 127.5 - 1
    found = content_distance(tensors, ShapeColour())
    assert (found.mean, found.empty, found.clips) == (0.0, 0.0, 6)


@pytest.mark.skipif(not SHIPPED.exists(), reason="the authors' strips are not here")
def test_alike_to_the_authors_strips() -> None:
    with zipfile.ZipFile(SHIPPED) as strips:
        names = [name for name in strips.namelist() if "/0/" in name and name.endswith(".png")][:150]
        shipped = [np.array(Image.open(io.BytesIO(strips.read(name))).convert("RGB")) for name in names]
    theirs = np.stack([strip.reshape(64, -1, 64, 3).swapaxes(0, 1) for strip in shipped])
    clips, kinds = shape_motion(300, seed=1, frames=32)
    ours = clips[kinds == 0]
    areas = sorted({int(clip[0].any(-1).sum()) for clip in theirs})
    expected = sorted([int(_circle(side).sum()) for side in SIZES] + [side * side for side in SIZES])
    # Their largest disc has four pixels more, where the diagonals leave it.
    assert [a - b for a, b in zip(areas, expected, strict=True)] == [4 * (a == 151) for a in areas]
    tops = [np.stack([corners(clip)[0] for clip in clips]) for clips in (theirs, ours)]
    assert np.abs(tops[0].mean(0) - tops[1].mean(0)).max() < 3
    speeds = [np.abs(np.diff(top, axis=1)).mean() for top in tops]
    assert abs(speeds[0] - speeds[1]) < 0.15
