"""Every mistake a user can make: its exit code, and exactly one line that says what is wrong."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

USAGE, FAILED = 2, 1

REQUESTS = {
    "no width": (["canvas"], USAGE, "--width"),
    "zero": (["canvas", "--width", "0"], USAGE, "at least 1"),
    "negative": (["canvas", "--width", "-5"], USAGE, "at least 1"),
    "a word": (["canvas", "--width", "wide"], USAGE, "'wide' is not a whole number"),
    "a fraction": (["canvas", "--width", "1.5"], USAGE, "'1.5' is not a whole number"),
    "no height": (["canvas", "--width", "9", "--height", "0"], USAGE, "height"),
    "beyond the disk": (["canvas", "--width", str(10**14)], FAILED, "free"),
    "beyond the plane": (["canvas", "--width", str(10**30)], USAGE, "the plane ends"),
    "off the plane": (["canvas", "--width", "9", "--x", str(2**63)], USAGE, "the plane ends"),
    "an unknown option": (["canvas", "--widht", "9"], USAGE, "--width"),
    "an unknown command": (["canvass"], USAGE, "canvass"),
    "a precision": (["canvas", "--width", "9", "--precision", "fp8"], USAGE, "bf16"),
    "a device": (["canvas", "--width", "9", "--device", "gpu"], USAGE, "cuda"),
    "a memory budget": (["canvas", "--width", "9", "--memory", "lots"], USAGE, "2GB"),
    "no memory": (["canvas", "--width", "9", "--memory", "1kB"], USAGE, "--memory"),
    "a block": (["canvas", "--width", "9", "--block", "big"], USAGE, "1024x512"),
    "a style map": (["canvas", "--width", "9", "--style-map", "none.csv"], USAGE, "none.csv"),
    "workers": (["canvas", "--width", "9", "--workers", "-1"], USAGE, "workers"),
    "a silent scheduler": (["canvas", "--width", "9", "--scheduler", "tcp://127.0.0.1:9"], FAILED, "does not answer"),
    "both": (["canvas", "--width", "9", "--resume", "--overwrite"], USAGE, "--overwrite"),
    "a side": (["canvas", "--extend", "north", "9"], USAGE, "left, right, up, down"),
    "an extent": (["canvas", "--extend", "left", "far"], USAGE, "'far' is not a whole number"),
    "extend and width": (["canvas", "--extend", "left", "9", "--width", "9"], USAGE, "--width"),
    "nothing to extend": (["canvas", "--extend", "left", "9"], FAILED, "there is no canvas"),
    "no settings": (["canvas", "--config", "none.toml"], USAGE, "none.toml"),
    "no model": (["canvas", "--width", "9", "--model", "none"], FAILED, "none"),
    "a folder as a model": (["canvas", "--width", "9", "--model", "."], FAILED, "generator.safetensors"),
    "no system": (["train", "none", ".", "--out", "run"], USAGE, "infinitygan"),
    "no run": (["train", "infinitygan", "."], USAGE, "--out"),
    "no preset": (["train", "infinitygan", ".", "--out", "run", "--preset", "none"], USAGE, "tiny"),
    "an unknown setting": (["train", "infinitygan", ".", "--out", "run", "--set", "none=1"], USAGE, "none"),
    "no pictures": (["train", "infinitygan", "empty", "--out", "run", "--preset", "tiny"], FAILED, "empty"),
    "no folder": (["train", "infinitygan", "none", "--out", "run", "--preset", "tiny"], FAILED, "none"),
    "unreadable pictures": (["train", "infinitygan", "texts", "--out", "run", "--preset", "tiny"], FAILED, "texts"),
    "models": (["models", "none"], USAGE, "infinitygan"),
    "inspect nothing": (["inspect", "none"], USAGE, "none"),
    "inspect something else": (["inspect", "texts"], USAGE, "neither"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_one_line(request_, mediagen, tiny) -> None:
    words, code, said = request_
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/picture.jpg").write_text("no picture")
    if words[0] == "canvas" and not {"--model", "--extend"} & set(words):
        words = [*words, "--model", tiny]
    ran = mediagen(*words)
    assert_one_line(ran.code, ran.err, code, said)
    assert ran.out == ""


def assert_one_line(code: int, err: str, wanted: int, said: str) -> None:
    assert code == wanted, err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("mediagen: ")
    assert said in err
    assert "Traceback" not in err


def test_an_output_that_is_not_ours(mediagen, tiny) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    for flags in ([], ["--overwrite"], ["--resume"]):
        ran = mediagen("canvas", "mine", "--width", 64, "--model", tiny, *flags)
        assert_one_line(ran.code, ran.err, FAILED if flags != ["--resume"] else ran.code, "mine")
    assert Path("mine/thesis.txt").read_text() == "precious"


def test_a_picture_that_is_not_ours(mediagen, tiny) -> None:
    Path("canvas.png").write_bytes(b"a holiday picture")
    ran = mediagen("canvas", "--width", 64, "--model", tiny)
    assert_one_line(ran.code, ran.err, FAILED, "canvas.png")
    assert Path("canvas.png").read_bytes() == b"a holiday picture"


def test_truncated(mediagen, tiny) -> None:
    whole = tiny.read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        Path("cut.safetensors").write_bytes(whole[:length])
        ran = mediagen("canvas", "--width", 64, "--model", "cut.safetensors")
        assert_one_line(ran.code, ran.err, FAILED, "cut.safetensors")


def test_a_pickle(mediagen) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path("exploded"),)

    Path("bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    ran = mediagen("canvas", "--width", 64, "--model", "bomb.safetensors")
    assert_one_line(ran.code, ran.err, FAILED, "pickle")
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'\\"model\\": \\"infinitygan\\"', b'\\"model\\": \\"biggan----\\"', "biggan"),
        (b'\\"latent\\": 8', b'\\"latent\\": 9', "tensor"),
        (b'\\"latent\\": 8', b'\\"latent\\": 99999999999', "latent"),
        (b'\\"latent\\": 8', b'\\"latest\\": 8', "latest"),
        (b'\\"cells\\": 9', b'\\"cells\\": -9', "c"),
    ],
)
def test_a_checkpoint_that_lies(old, new, said, mediagen, tiny) -> None:
    whole = tiny.read_bytes()
    assert whole.count(old) == 1
    length = int.from_bytes(whole[:8], "little") + len(new) - len(old)
    Path("odd.safetensors").write_bytes(length.to_bytes(8, "little") + whole[8:].replace(old, new))
    ran = mediagen("canvas", "--width", 64, "--model", "odd.safetensors")
    assert_one_line(ran.code, ran.err, FAILED, said)


def test_a_foreign_safetensors_file(mediagen, tiny) -> None:
    save_file(load_file(tiny), "foreign.safetensors")
    ran = mediagen("canvas", "--width", 64, "--model", "foreign.safetensors")
    assert_one_line(ran.code, ran.err, FAILED, "foreign.safetensors")


def test_a_complete_canvas(mediagen, tiny) -> None:
    assert mediagen("canvas", "--width", 64, "--model", tiny).code == 0
    assert mediagen("canvas", "--width", 64, "--model", tiny).code == 0, "the same command again has nothing to do"
    other = mediagen("canvas", "--width", 65, "--model", tiny)
    assert_one_line(other.code, other.err, USAGE, "--overwrite")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can write")
def test_a_target_that_cannot_be_written(mediagen, tiny) -> None:
    ran = mediagen("canvas", "/proc/none/canvas.zarr", "--width", 64, "--model", tiny)
    assert_one_line(ran.code, ran.err, FAILED, "/proc/none")


def test_from_a_real_shell(tmp_path: Path, tiny: Path) -> None:
    """The same from outside: nothing else on stderr, nothing on stdout."""
    command = [sys.executable, "-m", "mediagen_cli", "canvas", "--width", "0", "--model", str(tiny)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_one_line(ran.returncode, ran.stderr, USAGE, "at least 1")
    assert ran.stdout == ""
