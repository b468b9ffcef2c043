"""A training that is killed, stopped or damaged goes on as if nothing had been: bytes are compared."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy
from toy import run

from mediagen.errors import CheckpointError, StoreError, TrainingError, UsageError
from mediagen.train.state import PREVIOUS, STATE

ROOT = Path(__file__).parents[2]
LEFT = ("state.safetensors", "state.previous.safetensors", "generator.safetensors", "best.safetensors", "config.json")


def start(data: Path, out: Path, iterations: int, pause: float) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [
        sys.executable,
        str(Path(__file__).with_name("toy.py")),
        str(data),
        str(out),
        str(iterations),
        str(pause),
    ]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(process: subprocess.Popen[str], iteration: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= iteration:
            return
    raise AssertionError("the training ended before it could be killed")


def assert_equal_runs(first: Path, second: Path) -> None:
    for name in LEFT:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    shown = sorted(path.name for path in (first / "previews").iterdir())
    assert shown == sorted(path.name for path in (second / "previews").iterdir())
    for name in shown:
        assert (first / "previews" / name).read_bytes() == (second / "previews" / name).read_bytes(), name


def test_killed_training_goes_on_to_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed = start(pictures, whole, 22, 0.0)
    # The first kill falls before the first state, the others between later ones.
    for moment, late in ((2, 0.01), (6, 0.0), (7, 0.02)):
        process = start(pictures, broken, 22, 0.05)
        wait_for(process, moment)
        time.sleep(late)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(pictures, broken, 22, 0.0)
    process.communicate()
    undisturbed.communicate()
    assert (process.returncode, undisturbed.returncode) == (0, 0)
    assert_equal_runs(whole, broken)
    strays = [path.name for path in broken.rglob("*") if path.name.endswith((".partial", ".new"))]
    assert strays == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_130(pictures: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = start(pictures, tmp_path / "run", 400, 0.02)
    wait_for(process, 5)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 130
    report = run(pictures, tmp_path / "run", None, batch=None, should_stop=lambda: True)
    assert report.iterations >= 6
    assert report.new == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_training_goes_on_to_the_same_bytes(pictures: Path, tmp_path: Path, precision: str) -> None:
    run(pictures, tmp_path / "whole", 11, precision=precision)
    countdown = iter([False, False, True])
    report = run(pictures, tmp_path / "parts", 11, precision=precision, should_stop=lambda: next(countdown))
    assert report.interrupted
    assert report.iterations == 3
    report = run(pictures, tmp_path / "parts", 11, precision=precision)
    assert (report.iterations, report.new, report.interrupted) == (11, 8, False)
    for name in ("generator.safetensors", "best.safetensors", STATE):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


def test_longer_training_continues_and_settings_left_out_are_the_run_s(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "whole", 9, batch=6, seed=3, preset="wide")
    run(pictures, tmp_path / "parts", 4, batch=6, seed=3, preset="wide")
    run(pictures, tmp_path / "parts", 9, batch=None, precision=None)
    whole, parts = (tmp_path / name / "generator.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_a_damaged_state_falls_back_to_the_one_before(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "run", 8)
    expected = (tmp_path / "run" / STATE).read_bytes()
    (tmp_path / "run" / STATE).write_bytes(expected[:-100])
    report = run(pictures, tmp_path / "run", 8)
    assert report.new == 4
    assert (tmp_path / "run" / STATE).read_bytes() == expected
    for name in (STATE, PREVIOUS):
        (tmp_path / "run" / name).write_bytes(b"\0" * 50)
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        run(pictures, tmp_path / "run", 8)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"batch": 8}, r"batch: 4 -> 8"),
        ({"seed": 1}, r"seed: 0 -> 1"),
        ({"preset": "wide"}, r"preset: 'small' -> 'wide'"),
        ({"config": {"rate": 0.5}}, r"config.rate: 0.003 -> 0.5"),
        ({"precision": "bf16"}, r"precision: 'fp32' -> 'bf16'"),
    ],
)
def test_other_settings_are_refused(pictures: Path, tmp_path: Path, other: dict[str, object], told: str) -> None:
    run(pictures, tmp_path / "run", 1)
    before = (tmp_path / "run" / STATE).read_bytes()
    with pytest.raises(UsageError, match=told) as caught:
        run(pictures, tmp_path / "run", 2, **other)
    assert "--overwrite" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / STATE).read_bytes() == before
    assert run(pictures, tmp_path / "run", 1, overwrite=True, **other).new == 1


@pytest.mark.parametrize("preset", ["deep", None])
def test_what_a_preset_has_come_to_say_since_does_not_change_a_run(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str | None
) -> None:
    """A run of the preset as it was goes on with the same words; "deep" had no setting `half_life` then."""
    run(pictures, tmp_path / "run", 2, preset="deep", config={"rate": 0.002})
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    del recorded["config"]["half_life"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(recorded))
    monkeypatch.setitem(toy.SPEC.presets, "deep", replace(toy.SPEC.presets["deep"], half_life=99.0))
    assert run(pictures, tmp_path / "run", 3, preset=preset, config={"rate": 0.002}).new == 1


def test_other_pictures_are_refused(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "run", 1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes((pictures / "0.png").read_bytes())
    with pytest.raises(UsageError, match=r"data\.pictures: 6 -> 1"):
        run(tmp_path / "other", tmp_path / "run", 2)


def test_overwrite_removes_what_is_ours_alone(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "run", 4)
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    assert run(pictures, tmp_path / "run", 2, overwrite=True).new == 2
    assert (tmp_path / "run" / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "run" / "previews" / "000004.png").exists()


def test_a_folder_of_something_else_is_left_alone(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="holds other things"):
            run(pictures, tmp_path / "photos", overwrite=overwrite)
    (tmp_path / "photos" / "config.json").write_text('{"model": "of something else"}')
    (tmp_path / "photos" / "previews").mkdir()
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not the settings of a training"):
            run(pictures, tmp_path / "photos", overwrite=overwrite)
    assert len(list((tmp_path / "photos").iterdir())) == 4
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        run(pictures, tmp_path / "file")


def test_two_trainings_never_share_a_folder(pictures: Path, tmp_path: Path) -> None:
    process = start(pictures, tmp_path / "run", 400, 0.02)
    try:
        wait_for(process, 1)
        with pytest.raises(TrainingError, match="another training"):
            run(pictures, tmp_path / "run", 400)
    finally:
        process.kill()
        process.communicate()


def test_a_full_disk_is_one_line_and_the_training_goes_on(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "whole", 8)
    run(pictures, tmp_path / "run", 4)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StoreError) as caught:
            run(pictures, tmp_path / "run", 8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert run(pictures, tmp_path / "run", 8).new == 4
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_numbers_that_are_not_finite_stop_the_training_before_it_saves(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"is no longer finite at iteration 2"):
        run(pictures, tmp_path / "run", 8, config={"explode": True})
    assert not (tmp_path / "run" / STATE).exists()


def test_the_global_generator_is_neither_used_nor_moved(pictures: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    run(pictures, tmp_path / "a", 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    run(pictures, tmp_path / "b", 3)
    first, second = (tmp_path / name / "generator.safetensors" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
