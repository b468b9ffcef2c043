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

# Importing torch takes seconds: a server does it once, and every process is a copy of it.
CONTEXT = multiprocessing.get_context("forkserver" if os.name != "nt" else "spawn")
CONTEXT.set_forkserver_preload(["mediagen.video.render"])
FRAMES = 200


def start(kind: str, path: Path, delay: float) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=film, args=(kind, str(path), FRAMES, delay))
    process.start()
    return process


@pytest.mark.parametrize(
    ("kind", "name"),
    [("stream", "a.mp4"), ("stream", "a.mkv"), ("pieces", "a.webm"), ("pieces", "a"), ("pieces", "a.gif")],
)
def test_kill_and_say_it_again(kind: str, name: str, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole" / name, tmp_path / "killed" / name
    film(kind, str(whole), FRAMES, 0.0)
    kills = 0
    for moment in (0.0, 0.4, 0.8):
        process = start(kind, path, 0.05)
        while not path.parent.is_dir() and process.is_alive():
            time.sleep(0.002)
        time.sleep(moment + random.random() * 0.1)
        process.kill()
        process.join(10)
        kills += process.exitcode == -9
    film(kind, str(path), FRAMES, 0.0)
    assert kills, "it was done before it was killed"
    assert content(path) == content(whole)
    assert left(path.parent) == {name}
