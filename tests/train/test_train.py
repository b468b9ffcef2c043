"""What a training learns, leaves behind and takes over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy
from PIL import Image
from toy import run

from mediagen import models
from mediagen.checkpoint import load, read_header, read_tensors
from mediagen.errors import CheckpointError, DataError, UsageError
from mediagen.train import run as runs
from mediagen.train.ema import Averages
from mediagen.train.log import read_log
from mediagen.train.state import start_from

ROOT = Path(__file__).parents[2]


def test_it_leaves_everything_to_look_at_and_to_use(pictures: Path, tmp_path: Path) -> None:
    said: list[str] = []
    seen: list[tuple[int, int]] = []
    report = run(
        pictures, tmp_path / "run", 6, say=said.append, progress=lambda done, total, _: seen.append((done, total))
    )
    assert (report.iterations, report.seen, report.files_used, report.files_skipped) == (6, 24, 6, 1)
    assert seen == [(i, 6) for i in range(1, 7)]
    assert any("notes.txt: not a picture" in line for line in said)
    assert sorted(path.name for path in (tmp_path / "run" / "previews").iterdir()) == ["000004.png", "000006.png"]
    with (
        Image.open(tmp_path / "run" / "previews" / "000006.png") as preview,
        Image.open(tmp_path / "run/curves.png") as c,
    ):
        assert preview.size == (48, 16)
        assert min(c.size) > 100
    rows = read_log(tmp_path / "run" / "log.jsonl")
    assert [row["iteration"] for row in rows if "critic/loss" in row] == [2, 4, 6]
    assert [row["iteration"] for row in rows if "swd" in row] == [4, 6]
    assert {"critic/loss", "generator/loss", "top", "pictures_per_second"} <= set(rows[0])
    assert report.best_measure == pytest.approx(min(row["swd"] for row in rows if "swd" in row), rel=1e-5)
    assert read_header(tmp_path / "run" / "best.safetensors")["training"]["iterations"] == report.best_iteration


def test_its_header_tells_how_and_nothing_private(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "run", 2, config={"width": 5})
    header = read_header(tmp_path / "run" / "generator.safetensors")
    assert header["config"] == {"width": 5, "blocks": 2, "rate": 0.003, "explode": False, "half_life": 40.0}
    assert header["latents"] == {"z": "N(0, I)"}
    assert header["ema"] is True
    assert header["data"]["pictures"] == 6
    assert header["training"]["pictures_seen"] == 8
    assert header["training"]["command"].startswith(
        "mediagen train toy PICTURES --out RUN --iterations 2 --preset small"
    )
    text = json.dumps(header) + (tmp_path / "run" / "config.json").read_text()
    assert str(tmp_path) not in text
    assert str(pictures) not in text


def test_the_generator_that_ships_is_the_average(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "run", 5)
    shipped, _ = read_tensors(tmp_path / "run" / "generator.safetensors")
    state, _ = read_tensors(tmp_path / "run" / "state.safetensors")
    assert torch.equal(shipped["start.weight"], state["average/generator/start.weight"])
    assert not torch.equal(shipped["start.weight"], state["network/generator/start.weight"])
    assert shipped["seen"] == 5
    network = load(tmp_path / "run", spec=toy.SPEC)
    assert torch.equal(dict(network.named_parameters())["start.weight"], shipped["start.weight"])


def test_the_loss_falls_when_there_is_something_to_learn(pictures: Path, tmp_path: Path) -> None:
    report = run(pictures, tmp_path / "run", 150, batch=8, snapshot_every=50, log_every=10, config={"rate": 0.01})
    measures = [row["swd"] for row in read_log(tmp_path / "run" / "log.jsonl") if "swd" in row]
    run(pictures, tmp_path / "none", 1)
    untrained = [row["swd"] for row in read_log(tmp_path / "none" / "log.jsonl") if "swd" in row][-1]
    assert report.best_measure == pytest.approx(min(measures), rel=1e-5)
    assert min(measures) < 0.9 * untrained


def test_shares_are_the_same_on_one_process_and_on_two(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "one", 6, accumulate=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(Path(toy.__file__)), str(pictures), str(tmp_path / "two"), "6"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[:3000]
    one, _ = read_tensors(tmp_path / "one" / "state.safetensors")
    two, _ = read_tensors(tmp_path / "two" / "state.safetensors")
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    first, second = (read_log(tmp_path / name / "log.jsonl") for name in ("one", "two"))
    assert first[0]["generator/loss"] == pytest.approx(second[0]["generator/loss"], rel=1e-4)


def test_gradients_do_not_depend_on_the_number_of_shares_but_through_their_draws(
    pictures: Path, tmp_path: Path
) -> None:
    """The critic's R1 draws nothing: its gradient over two shares is the one over the whole batch."""
    from mediagen.train.distributed import World
    from mediagen.train.step import run_phase, shares

    world = World(0, 1, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    batch = {"pictures": torch.randn(4, 3, toy.CROP, toy.CROP, generator=rng), "top": torch.zeros(4)}
    grads = []
    for parts in (1, 2, 4):
        torch.manual_seed(0)
        objective = toy.Objective(toy.Config(), world.device)
        phase = objective.phases(0)[2]
        run_phase(
            phase,
            objective,
            shares(batch, parts, world),
            parts=parts,
            world=world,
            precision=torch.enable_grad,
            words=(),
        )
        grads.append([p.grad.clone() for p in objective.networks["critic"].parameters() if p.grad is not None])
        assert all(p.grad is None for p in objective.networks["generator"].parameters())
    for other in grads[1:]:
        for mine, whole in zip(other, grads[0], strict=True):
            torch.testing.assert_close(mine, whole)


def test_a_grown_network_takes_over_what_fits(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "shallow", 4)
    said: list[str] = []
    run(
        pictures,
        tmp_path / "deep",
        1,
        preset="deep",
        start_from=tmp_path / "shallow",
        say=said.append,
        config={"rate": 0.0},
    )
    assert any("13 of 17 tensors fit" in line for line in said)
    old, _ = read_tensors(tmp_path / "shallow" / "state.safetensors")
    new, _ = read_tensors(tmp_path / "deep" / "state.safetensors")
    for name in ("network/generator/blocks.1.weight", "network/critic/conv.weight"):
        assert torch.equal(old[name], new[name])
    assert new["network/generator/blocks.3.weight"].abs().sum() > 0
    # The same command again goes on, and needs the other run no more.
    report = run(pictures, tmp_path / "deep", 3, preset="deep", config={"rate": 0.0})
    assert report.new == 2


def test_what_is_frozen_takes_the_averaged_weights(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "old", 4)
    old, _ = read_tensors(tmp_path / "old" / "state.safetensors")
    objective = toy.Objective(toy.Config(), torch.device("cpu"))
    objective.networks["generator"].start.requires_grad_(False)  # type: ignore[union-attr]
    averages = Averages(objective.networks, objective.averaged, objective.ema_half_life)
    start_from(tmp_path / "old", objective, averages)
    state = objective.networks["generator"].state_dict()
    assert torch.equal(state["start.weight"], old["average/generator/start.weight"])
    assert torch.equal(state["out.weight"], old["network/generator/out.weight"])
    assert not torch.equal(old["network/generator/start.weight"], old["average/generator/start.weight"])


def test_a_checkpoint_too_can_be_started_from(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path / "a", 4)
    said: list[str] = []
    run(pictures, tmp_path / "b", 1, start_from=tmp_path / "a" / "generator.safetensors", say=said.append)
    assert any("9 of 13 tensors fit" in line for line in said)
    with pytest.raises(CheckpointError, match="holds no state"):
        run(pictures, tmp_path / "c", 1, start_from=pictures)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"preset": "huge"}, "no preset 'huge'; choose from: small, wide, deep"),
        ({"config": {"widht": 3}}, "unknown setting 'widht'"),
        ({"config": {"width": 0}}, "width must be at least 1"),
        ({"batch": 0}, "--batch must be at least 1"),
        ({"batch": 5, "accumulate": 2}, "must be a multiple of --accumulate"),
        ({"iterations": -1}, "--iterations must be at least 1"),
        ({"precision": "fp8"}, "--precision must be one of"),
        ({"device": "cuda:77"}, "there is no device 'cuda:77'"),
        ({"device": "toaster"}, "there is no device 'toaster'"),
        ({"snapshot_every": 0}, "--snapshot-every must be at least 1"),
    ],
)
def test_senseless_requests_are_refused_in_one_line(
    pictures: Path, tmp_path: Path, asked: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        run(pictures, tmp_path / "run", **asked)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_preset_brings_its_own_numbers_unless_others_are_said() -> None:
    def settings(model: str, preset: str | None, was: dict[str, object] | None = None, **said: int) -> dict[str, int]:
        names = ("config", "iterations", "batch", "seed", "precision", "accumulate", "start_from")
        asked = runs.Asked(preset, **{name: said.get(name) for name in names})
        found = runs.resolve(model, models.spec(model), asked, was, 1)
        return {name: found[name] for name in ("batch", "iterations")}

    assert settings("tgan", "paper") == {"batch": 32, "iterations": 100_000}
    assert settings("tgan", "small") == settings("vgan", None) == {"batch": 16, "iterations": 10_000}
    assert settings("vgan", "paper-future") == {"batch": 32, "iterations": 65_000}
    assert settings("tganv2", "paper-ode", batch=8) == {"batch": 8, "iterations": 100_000}
    assert settings("mocogan", "paper", {"batch": 5, "iterations": 20}) == {"batch": 5, "iterations": 20}
    assert settings("consingan", "paper") == {"batch": 1, "iterations": 12_000}
    for name in ("vgan", "tgan", "mocogan", "tganv2"):
        assert models.spec(name).recipes.keys() <= models.spec(name).presets.keys()


def test_a_refused_training_can_be_said_again(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no usable picture"):
        run(tmp_path / "empty", tmp_path / "run", 2)
    assert run(pictures, tmp_path / "run", 2).new == 2


def test_a_model_without_samples_is_not_measured(pictures: Path, tmp_path: Path) -> None:
    class Mute(toy.Objective):
        samples = None  # type: ignore[assignment]

        def preview(self, network: torch.nn.Module, seed: int):  # type: ignore[no-untyped-def]
            return toy.np.zeros((4, 4, 3), toy.np.uint8)

    from dataclasses import replace

    from mediagen.train import train

    spec = replace(toy.SPEC, objective=Mute)
    report = train("toy", pictures, tmp_path / "run", iterations=2, batch=2, precision="fp32", device="cpu", spec=spec)
    assert report.best_measure is None
    assert not (tmp_path / "run" / "best.safetensors").exists()
