"""What is named may be anything: pipes, devices, files with records of somebody else's making. One line, and no waiting."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_render import left
from tiny import Stream

from mediagen import models
from mediagen.core.config import override
from mediagen.errors import DataError, StoreError, UsageError
from mediagen.inspection import inspect
from mediagen.io.video_codecs import layout_of
from mediagen.io.video_file import open_clip, read_record
from mediagen.video.model import Wish, requests
from mediagen.video.render import render_video


class Still(Stream):
    """It starts from a picture."""

    abilities = frozenset({"image"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes on this system")
def test_a_pipe_is_neither_a_clip_nor_a_picture(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.gif", "a.mkv", "a", "a.png"):
        os.mkfifo(tmp_path / name)
    for name in ("a.mp4", "a.gif", "a.mkv", "a"):
        with pytest.raises(StoreError, match="no clip of ours"):
            render_video(Stream(), tmp_path / name, frames=5)
    with pytest.raises(DataError, match=r"a\.png: not a regular file"):
        render_video(Still(), tmp_path / "b.mp4", frames=5, image=tmp_path / "a.png")
    assert left(tmp_path) == {"a.mp4", "a.gif", "a.mkv", "a", "a.png"}


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: cannot be read: No such file") as caught:
        render_video(Still(), tmp_path / "b.mp4", frames=5, image=tmp_path / "none.png")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("grid", [(10**6, 10**6), (1, 10**9)])
def test_a_grid_is_refused_before_it_is_laid_out(grid: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="at most 4,096 clips"):
        requests(Stream(), Wish(grid=grid))


@pytest.mark.parametrize(
    "change",
    [{"container": "mp4"}, {"container": "png"}, {"container": 3}, {"fps": float("inf")}, {"frames": float("nan")},
     {"width": 1e300}, {"fps": 0}, {"fps": "25"}],
    ids=str,
)  # fmt: skip
def test_a_record_of_somebody_elses_making_is_none(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    layout = layout_of(path, width=4, height=4, frames=1, fps=Fraction(25), codec=None, crf=None)
    plan: dict[str, Any] = {"container": "gif", "width": 4, "height": 4, "frames": 1, "fps": 25}

    def write(record: dict[str, Any]) -> None:
        clip = open_clip(path, layout, record)
        clip.add(np.zeros((1, 4, 4, 3), np.uint8))
        clip.finish()

    write({"kind": "clip", "plan": plan})
    assert inspect(path)["healthy"]
    write({"kind": "clip", "plan": plan | change})
    assert read_record(path) is None
    with pytest.raises(UsageError, match="no clip of mediagen"):
        inspect(path)


@pytest.mark.parametrize("name", ["vgan", "tgan", "mocogan", "tganv2"])
@pytest.mark.parametrize("change", [{"stride": 0}, {"video_fps": 0.0}, {"video_fps": 1e9}, {"categories": -1}], ids=str)
def test_a_model_without_a_rate_is_refused_before_it_is_built(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        override(models.spec(name).presets["tiny"], change, "--set")
    assert len(str(caught.value).splitlines()) == 1
