"""The commands as a user meets them: help, reports, settings from three places, and Ctrl-C."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mediagen_cli.main import app
from mediagen_cli.progress import Meter, clock
from mediagen_cli.report import pairs, pixels, size, table
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from mediagen.canvas.extend import extend
from mediagen.canvas.paint import paint
from mediagen.train import train
from mediagen.video.render import render_video

COMMANDS = get_command(app).commands
ROOT = Path(__file__).parents[2]


def options_of(command: str) -> set[str]:
    return {flag for p in COMMANDS[command].params for flag in p.opts if flag.startswith("--")} - {"--help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_and_every_option(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "Examples" in shown.output
    assert f"mediagen {command}" in shown.output
    assert all(flag in shown.output for flag in options_of(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command: str) -> None:
    assert [p.name for p in COMMANDS[command].params if p.name != "help" and not p.help] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_page_is_complete(command: str) -> None:
    """docs/reference/cli.md documents exactly the options that there are."""
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8")
    section = re.search(rf"^## mediagen {command}$(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert section, f"there is no section about {command}"
    listed = set(re.findall(r"^\| `(--[a-z-]+)", section[1], re.M))
    assert listed == options_of(command)


def test_the_epilog_examples_are_valid() -> None:
    """Every option in an example exists."""
    for name, command in COMMANDS.items():
        for example in re.findall(r"`(.*?)`", command.epilog or ""):
            words = example.split()
            if f"mediagen {name}" in example:
                assert {w for w in words if w.startswith("--")} - {"--nproc-per-node"} <= options_of(name), example


def test_defaults_are_the_functions_own() -> None:
    checked = (("canvas", paint, {}), ("video", render_video, {}), ("train", train, {"settings": "config"}))
    for command, function, renamed in checked:
        theirs = inspect.signature(function).parameters
        for parameter in COMMANDS[command].params:
            name = renamed.get(parameter.name, parameter.name)
            if name in theirs and name not in {"model", "out", "data", "config", "grid"}:
                assert parameter.default == theirs[name].default, f"--{name} of {command}"


def test_what_a_stranger_wrote_moves_no_cursor() -> None:
    assert pairs([("a\x1b[2J", "b\nc\x07"), ("d", "é ü"), ("e", None)]) == f"a\\x1b[2J  b\\nc\\x07\n{'d':<8}  é ü"


def test_no_arguments(mediagen) -> None:
    ran = mediagen()
    assert ran.code == 2
    assert "canvas" in ran.out


def test_version(mediagen) -> None:
    assert mediagen("--version").out == "mediagen 0.1.0\n"


def test_canvas(mediagen, tiny: Path) -> None:
    ran = mediagen("canvas", "a.zarr", "--width", 300, "--model", tiny)
    assert ran.code == 0
    assert ran.out == "a.zarr\n"
    assert "look at a.png" in ran.err
    assert Image.open("a.png").width <= 4096


def test_quiet(mediagen, tiny: Path) -> None:
    ran = mediagen("canvas", "--width", 64, "--model", tiny, "-q")
    assert (ran.code, ran.out, ran.err) == (0, "canvas.zarr\n", "")


def test_json_is_one_object(mediagen, tiny: Path) -> None:
    report = json.loads(mediagen("canvas", "--width", 300, "--model", tiny, "--json").out)
    assert report["pixels"] == 300 * 33
    asked = {"seconds", "pixels_computed_per_pixel_kept", "peak_memory_bytes", "shards_written", "shards_skipped"}
    assert asked <= report.keys()


def test_dry_run_writes_nothing(mediagen, tiny: Path) -> None:
    ran = mediagen("canvas", "--width", 10**6, "--model", tiny, "--dry-run")
    assert ran.code == 0
    assert "1,000,000 x 33 px" in ran.out
    assert "free there" in ran.out
    assert list(Path().iterdir()) == []


def test_the_recorded_command_makes_the_same_canvas(mediagen, tiny: Path) -> None:
    request = ["--width", 300, "--x", -50, "--seed", 3, "--style-every", 100, "--block", "128x36", "--model", tiny]
    mediagen("canvas", "a.zarr", *request)
    command = json.loads(mediagen("inspect", "a.zarr", "--json").out)["made"]["command"].split()
    command[command.index("--model") + 1] = str(tiny)
    assert mediagen(*command[1:2], "b.zarr", *command[2:]).code == 0
    assert files("a.zarr") == files("b.zarr")


def files(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def test_extend(mediagen, tiny: Path) -> None:
    mediagen("canvas", "a.zarr", "--width", 200, "--model", tiny, "--precision", "fp32")
    ran = mediagen("canvas", "a.zarr", "--extend", "left", 100, "--model", tiny, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["x"] == -100
    mediagen("canvas", "b.zarr", "--width", 300, "--x", -100, "--model", tiny, "--precision", "fp32")
    assert files("a.zarr") == files("b.zarr")


def test_settings_come_from_flag_then_environment_then_file(mediagen, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my.toml").write_text(f'[canvas]\nwidth = 111\nseed = 5\nmodel = "{tiny}"\ndry-run = true\n')

    def painted(*words: object) -> tuple[int, int]:
        ran = mediagen("canvas", "--config", "my.toml", "--json", *words)
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        return report["width"], report["height"]

    assert painted() == (111, 33)
    monkeypatch.setenv("MEDIAGEN_CANVAS_WIDTH", "222")
    monkeypatch.setenv("MEDIAGEN_CANVAS_HEIGHT", "20")
    assert painted() == (222, 20)
    assert painted("--width", "333") == (333, 20)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[canvas]\nwidht = 5", "did you mean 'width'"),
        ("[canvas]\nwidth = 'wide'", "whole number"),
        ("[train]\nbatch = 5", "no table [canvas]"),
        ("canvas = 5", "[canvas]"),
        ("width = = 5", "TOML"),
        ("[canvas]\nconfig = 'other.toml'", "config"),
    ],
)
def test_bad_settings(content: str, said: str, mediagen) -> None:
    Path("my.toml").write_text(content)
    ran = mediagen("canvas", "--config", "my.toml")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err


def test_models(mediagen) -> None:
    listed = mediagen("models")
    assert (listed.code, listed.err) == (0, "")
    assert "infinitygan" in listed.out
    one = json.loads(mediagen("models", "infinitygan", "--json").out)
    presets = one["model"]["presets"]
    assert presets["paper"]["config"]["latent"] == 512
    assert presets["paper"]["parameters"] > presets["tiny"]["parameters"]
    assert "ICLR 2022" in mediagen("models", "infinitygan").out


def test_inspect_a_checkpoint(mediagen, tiny: Path) -> None:
    assert "CC0" in mediagen("inspect", tiny).out
    assert json.loads(mediagen("inspect", tiny, "--json").out)["config"]["latent"] == 8


def test_inspect_a_canvas_finds_what_is_missing_and_damaged(mediagen, tiny: Path) -> None:
    mediagen("canvas", "--width", 5000, "--model", tiny)
    whole = mediagen("inspect", "canvas.zarr", "--deep")
    assert whole.code == 0
    assert "complete" in whole.out
    shards = sorted(p for p in Path("canvas.zarr/0/c").rglob("*") if p.is_file())
    assert len(shards) == 3
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-9])
    flipped = bytearray(shards[2].read_bytes())
    flipped[100] ^= 1
    shards[2].write_bytes(flipped)
    shallow = json.loads(mediagen("inspect", "canvas.zarr", "--json").out)
    assert shallow["shards"] == {"whole": 5, "missing": 1, "bad": 1} or shallow["levels"][0]["bad"] == 1
    deep = mediagen("inspect", "canvas.zarr", "--deep", "--json")
    assert deep.code == 1
    assert json.loads(deep.out)["levels"][0]["bad_at"] == [[0, 1], [0, 2]]
    assert json.loads(deep.out)["levels"][0]["missing_at"] == [[0, 0]]


def test_train_then_paint(mediagen) -> None:
    Path("pictures").mkdir()
    for i in range(3):
        Image.effect_noise((64, 40), 40 + i).convert("RGB").save(f"pictures/{i}.png")
    Path("pictures/broken.png").write_text("no picture")
    request = ["train", "infinitygan", "pictures", "--out", "run", "--preset", "tiny", "--batch", 2]
    ran = mediagen(*request, "--iterations", 2, "--set", "r1_every=2")
    assert ran.code == 0, ran.err
    assert ran.out == "run\n"
    assert "broken.png" in ran.err
    told = json.loads(mediagen("inspect", "run", "--json").out)
    assert told["what"] == "run"
    assert told["complete"]
    assert told["progress"]["iteration"] == 2
    assert told["made"]["config"]["r1_every"] == 2
    text = mediagen("inspect", "run").out
    assert "2 of 2 iterations" in text
    assert re.search(r"seen +4 pictures", text)
    assert mediagen("canvas", "--width", 64, "--model", "run").code == 0


def test_failed_units_are_listed(mediagen, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[paint.__module__]
    failed = [{"shards": [[0, 1]], "reason": "the disk said no"}]

    def partly(*words: object, **more: object) -> object:
        return replace(paint(*words, **more), failed=failed)

    monkeypatch.setattr(module, "paint", partly)
    ran = mediagen("canvas", "--width", 64, "--model", tiny)
    assert ran.code == 3
    assert "[[0, 1]]: the disk said no" in ran.err


def test_what_should_not_happen(mediagen, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*words: object, **more: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(sys.modules[paint.__module__], "paint", broken)
    ran = mediagen("canvas", "--width", 64)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "two lines" in ran.err
    assert "-v" in ran.err
    assert "Traceback" in mediagen("canvas", "--width", 64, "-v").err


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_canvas_to_go_on_with(kind: int, tmp_path: Path, tiny: Path) -> None:
    command = [sys.executable, "-m", "mediagen_cli", "canvas", "--width", "400000", "--model", str(tiny), "--overwrite"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = tmp_path / "canvas.zarr/0/c/0/0/0"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(kind)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    last = err.strip().splitlines()[-1]
    assert re.search(r"stopped, \d+ of 196 shards are there; to go on: mediagen canvas --width 400000", last)
    assert "--overwrite" not in last
    again = subprocess.run([*command[:-1], "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not list(tmp_path.rglob("*.partial"))


def test_progress_off_a_terminal_is_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagen_cli.progress.LINE_EVERY", 0.0)
    with Meter("painting", "Mpx", per_unit=1e6) as meter:
        meter.update(0, 4e6)
        time.sleep(0.01)
        meter.update(1e6, 4e6)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("painting: 25% 1/4 Mpx, ")
    assert "left" in lines[1]
    assert "\x1b" not in "".join(lines)


def test_figures_for_people() -> None:
    assert (clock(9), clock(75.4), clock(3661)) == ("0:09", "1:15", "1:01:01")
    assert (size(999), size(1234567), size(2e9)) == ("999 B", "1.23 MB", "2 GB")
    assert pixels(51_200_000) == "51.2 Mpx"
    assert table(["A", "B"], [("x", 5), ("long", 10)]) == "A      B\nx      5\nlong  10"


def test_extend_and_paint_share_their_options() -> None:
    """What `mediagen canvas --extend` hands over exists."""
    assert {"model", "device", "workers", "scheduler", "dry_run", "progress", "should_stop"} <= set(
        inspect.signature(extend).parameters
    )
