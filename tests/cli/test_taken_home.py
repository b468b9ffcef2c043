"""`mediagen export` and `mediagen flyover` as a user meets them."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from mediagen_cli.main import app
from PIL import Image
from test_bad_input import FAILED, USAGE, assert_one_line
from typer.main import get_command

from mediagen.export import export
from mediagen.export.flyover import flyover

BOTH = {
    "no picture": (["export", "a.zarr"], USAGE, "OUT"),
    "no canvas": (["export", "none.zarr", "a.png"], FAILED, "there is no canvas"),
    "an ending": (["export", "a.zarr", "a.bmp"], USAGE, ".tif"),
    "off the canvas": (["export", "a.zarr", "a.png", "--x", "-9"], USAGE, "not inside"),
    "a word": (["export", "a.zarr", "a.png", "--x", "left"], USAGE, "'left' is not a whole number"),
    "the overview's name": (["export", "a.zarr", "a.png", "--overwrite"], FAILED, "overview"),
    "a level": (["export", "a.zarr", "b.png", "--level", "3"], USAGE, "levels 0"),
    "tiles": (["export", "a.zarr", "a.dzi", "--tiles", "gif"], USAGE, "jpg"),
    "no folder": (["export", "a.zarr", "/proc/none/a.png"], FAILED, "/proc/none"),
    "no such flight": (["flyover", "none.zarr", "a.mp4"], FAILED, "there is no canvas"),
    "a clip's ending": (["flyover", "a.zarr", "a.avi"], USAGE, ".avi"),
    "a direction": (["flyover", "a.zarr", "a.mp4", "--direction", "north"], USAGE, "left"),
    "too far": (["flyover", "a.zarr", "a.mp4", "--seconds", "999"], USAGE, "seconds fit"),
    "a seed": (["flyover", "a.zarr", "a.mp4", "--seed", "3"], USAGE, "--seed means nothing for a canvas"),
    "two sources": (["flyover", "a.zarr", "a.mp4", "--model", "infinitygan"], USAGE, "not both"),
    "a size": (["flyover", "a.zarr", "a.mp4", "--size", "big"], USAGE, "1024x512"),
    "no keys": (["flyover", "a.zarr", "a.mp4", "--path", "none.csv"], USAGE, "none.csv"),
    "a path with a speed": (["flyover", "a.zarr", "a.mp4", "--path", "k.csv", "--speed", "9"], USAGE, "--speed"),
    "a clip of another kind": (["flyover", "a.mp4", "--model", "lava"], USAGE, "cannot paint a canvas"),
}


@pytest.fixture
def canvas(mediagen, tiny: Path) -> Path:
    assert mediagen("canvas", "a.zarr", "--width", 600, "--model", tiny, "-q", "--precision", "fp32").code == 0
    return Path("a.zarr")


@pytest.mark.parametrize("request_", BOTH.values(), ids=list(BOTH))
def test_one_line(request_, mediagen, canvas: Path) -> None:
    words, code, said = request_
    ran = mediagen(*words)
    assert_one_line(ran.code, ran.err, code, said)
    assert ran.out == ""


@pytest.mark.parametrize(("command", "function"), [("export", export), ("flyover", flyover)])
def test_defaults_are_the_functions_own(command: str, function) -> None:
    theirs = inspect.signature(function).parameters
    for parameter in get_command(app).commands[command].params:
        if parameter.name in theirs and parameter.name not in {"canvas", "out", "path", "size"}:
            assert parameter.default == theirs[parameter.name].default, parameter.name


def test_export(mediagen, canvas: Path) -> None:
    ran = mediagen("export", canvas, "cut.png", "--x", 100, "--width", 200)
    assert (ran.code, ran.out) == (0, "cut.png\n")
    assert "200 x 33 px" in ran.err
    assert Image.open("cut.png").size == (200, 33)
    again = mediagen("export", canvas, "cut.png")
    assert_one_line(again.code, again.err, FAILED, "--overwrite")
    report = json.loads(mediagen("export", canvas, "cut.png", "--overwrite", "--json", "-q").out)
    assert (report["kind"], report["pixels_wide"], report["missing_shards"]) == ("png", 600, 0)


def test_a_flight_of_the_canvas(mediagen, canvas: Path) -> None:
    ran = mediagen("flyover", canvas, "--size", "64x32", "--seconds", 2, "--speed", 50)
    assert (ran.code, ran.out) == (0, "flight.mp4\n"), ran.err
    assert "60 frames of 64 x 32 px, 0:02 at 30 a second" in ran.err
    with av.open("flight.mp4") as file:
        assert sum(1 for _ in file.decode(video=0)) == 60
    again = mediagen("flyover", canvas, "--size", "64x32", "--seconds", 2, "--speed", 50)
    assert "it was all there" in again.err


def test_a_flight_of_the_plane_with_key_frames(mediagen, tiny: Path) -> None:
    Path("keys.csv").write_text("t,x,y,zoom\n0,0,0,1\n1,60,0,2\n")
    ran = mediagen("flyover", "a.webm", "--model", tiny, "--size", "64x32", "--path", "keys.csv", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["frames"], report["codec"], report["over"]) == (31, "vp9", "tiny")
    told = mediagen("inspect", "a.webm").out
    assert "mediagen flyover a.webm --model tiny" in told
    assert "--path keys.csv" in told


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a process")
def test_a_flight_is_stopped_and_gone_on_with(tiny: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mediagen_cli", "flyover", "a.mp4", "--model", str(tiny), "--size", "640x360",
             "--seconds", "600", "--zoom", "12"]  # fmt: skip
    child = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while not (tmp_path / "a.part.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=100)
    assert child.returncode == 130, said
    assert "to go on: mediagen flyover a.mp4" in said
    assert (tmp_path / "a.part.mp4").exists()
