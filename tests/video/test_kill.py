"""SIGKILL at any moment, then the same command: the bytes of an undisturbed clip, and no stray file."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest
from test_render import content, left
from tiny import film

from mediagen.errors import StoreError
from mediagen.io.video_codecs import SEGMENT
from mediagen.io.video_file import frames_of, read_record
from mediagen.io.video_place import part_of

# Importing torch takes seconds: a server does it once, and every process is a copy of it.
CONTEXT = multiprocessing.get_context("forkserver" if os.name != "nt" else "spawn")
CONTEXT.set_forkserver_preload(["mediagen.video.render"])
FRAMES = 200


def start(kind: str, path: Path, delay: float) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=film, args=(kind, str(path), FRAMES, delay))
    process.start()
    return process


def whole_frames(part: Path) -> int:
    """How many frames a part holds, looked at while it is written."""
    record = read_record(part)
    try:
        return frames_of(part, record) if record else 0
    except StoreError:
        return 0


@pytest.mark.parametrize(
    ("kind", "name"),
    [("stream", "a.mp4"), ("stream", "a.mkv"), ("pieces", "a.webm"), ("pieces", "a"), ("pieces", "a.gif")],
)
def test_kill_and_say_it_again(kind: str, name: str, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole" / name, tmp_path / "killed" / name
    film(kind, str(whole), FRAMES, 0.0)
    for moment in (0.0, 0.1):
        process = start(kind, path, 0.2)
        while not path.parent.is_dir() and process.is_alive():
            time.sleep(0.002)
        time.sleep(moment + random.random() * 0.1)
        process.kill()
        process.join(10)
        assert process.exitcode == -9, "it was done before it was killed"
    process = start(kind, path, 0.2)
    while whole_frames(part_of(path)) < SEGMENT and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join(10)
    assert process.exitcode == -9, "it was done before it was killed"
    report = film(kind, str(path), FRAMES, 0.0)
    assert report.frames_kept >= SEGMENT, "a part with a whole segment is gone on with"
    assert content(path) == content(whole)
    assert left(path.parent) == {name}
