"""ConSinGAN's sizes, schedule and losses, and trainings of one small picture that really run."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mediagen.canvas.render import render
from mediagen.checkpoint import load
from mediagen.core.config import from_dict, to_dict
from mediagen.core.geometry import Interval
from mediagen.errors import DataError, UsageError
from mediagen.models.consingan import PAPER, PRESETS, SPEC, Config, Critic, Objective, pyramid
from mediagen.nn.pyramid_generator import PyramidGenerator
from mediagen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TINY = replace(PRESETS["tiny"], waves=2)
STATE, WEIGHTS = "state.safetensors", "generator.safetensors"


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 13, 3), np.uint8))
    coarse.resize((106, 64), Image.Resampling.BICUBIC).save(path)
    return path


def batch_of(config: Config, height: int = 32, width: int = 53, seed: int = 5) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 9, generator=rng) * 2 - 1
    pictures = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return {"pictures": pictures, "which": torch.zeros(1, dtype=torch.int64), "seed": torch.tensor([seed])}


def step(objective: Objective, iteration: int, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One iteration as the loop runs it."""
    scalars: dict[str, torch.Tensor] = {}
    for phase in objective.phases(iteration):
        optimizer = objective.optimizers[phase.optimizer]
        moved = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        loss, found = phase.loss(batch, torch.Generator().manual_seed(iteration))
        loss.backward(inputs=moved)
        optimizer.step()
        if phase.after is not None:
            phase.after()
        scalars |= found
    return scalars


def test_the_paper_s_networks():
    with torch.device("meta"):
        assert sum(p.numel() for p in PyramidGenerator(PAPER).parameters()) == 668_227
        assert sum(p.numel() for p in Critic(PAPER).parameters()) == 113_153


def test_a_score_sees_eleven_pixels_a_side():
    critic = Critic(PAPER)
    assert critic(torch.zeros(1, 3, 11, 11), None, 11).shape == (1, 1, 1, 1)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in Critic(PRESETS["harmonisation"]).modules())


def test_presets_follow_the_recipe():
    assert PAPER.schedule.total == 12_000
    for name, preset in PRESETS.items():
        assert from_dict(Config, to_dict(preset)) == preset, name
        with torch.device("meta"):
            SPEC.build(preset)
    for name in ("harmonisation", "editing"):
        assert (PRESETS[name].norm, PRESETS[name].slope, PRESETS[name].iterations) == (True, 0.3, (1000,))
    assert (PAPER.norm, PAPER.slope) == (False, 0.05)
    assert SPEC.defaults(PRESETS["small"])["iterations"] == 1500 + 1000 + 800 + 600 + 500 + 1200
    assert SPEC.defaults(PAPER) == {"iterations": 12_000, "batch": 1}


def test_sizes_of_a_pyramid():
    assert pyramid(PAPER, 188, 250) == [(25, 32, 42, 63, 126, 188), (34, 42, 56, 84, 167, 250)]
    assert pyramid(replace(PAPER, stages=2, shrink=0.794), 100, 200) == [(79, 100), (158, 200)]
    rows, columns = pyramid(replace(PAPER, unbounded="xy"), 188, 250)
    assert columns == (34, 42, 56, 84, 167, 250)
    for row, column in zip(rows, columns, strict=True):
        # The rows keep the columns' spacing, so that both axes share one lattice.
        assert row == (187 * (column - 1)) // 249 + 1


@pytest.mark.parametrize(
    ("iteration", "stage", "lowered"),
    [(0, 0, 1), (7, 0, 1), (8, 0, 0.1), (10, 1, 1), (24, 1, 1), (26, 1, 0.1), (30, 2, 1), (95, 4, 0.1)],
)
def test_stages_and_rates_by_iteration(iteration, stage, lowered):
    """Adam 5e-4, a tenth after 80 % of a stage; 3 critic steps to a generator's; 1/10 a block back; the tail always."""
    objective = Objective(replace(PAPER, stages=5, channels=4, iterations=(10, 20)), CPU)
    phases = objective.phases(iteration)
    assert [phase.optimizer for phase in phases] == [f"critic-{stage}"] * 3 + [f"generator-{stage}"]
    groups = objective.optimizers[f"generator-{stage}"].param_groups
    blocks = {id(p): n for n, block in enumerate(objective.generator.blocks) for p in block.parameters()}
    rates = {blocks.get(id(g["params"][0]), "end"): g["lr"] for g in groups[: min(3, stage + 1)]}
    assert rates == pytest.approx({n: lowered * 5e-4 * 0.1 ** (stage - n) for n in range(max(0, stage - 2), stage + 1)})
    assert groups[-1]["lr"] == pytest.approx(lowered * 5e-4)
    assert groups[-1]["params"][0] is objective.generator.tails[0].weight
    heads = [g for g in groups if g["params"][0] is objective.generator.heads[0][0].weight]
    assert [g["lr"] for g in heads] == pytest.approx([lowered * 5e-4 * 0.1**stage] if stage < 3 else [])
    assert objective.optimizers[f"critic-{stage}"].param_groups[0]["lr"] == pytest.approx(lowered * 5e-4)
    assert groups[0]["betas"] == (0.5, 0.999)


def test_older_blocks_stay_bit_for_bit_as_they_are():
    objective = Objective(replace(TINY, stages=4, shortest=13, concurrent=2, iterations=(1,)), CPU)
    batch = batch_of(TINY)
    for iteration in range(3):
        step(objective, iteration, batch)
    before = {name: p.clone() for name, p in objective.generator.named_parameters()}
    step(objective, 3, batch)
    moved = {name for name, p in objective.generator.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[1] for name in moved if name.startswith("blocks")} == {"2", "3"}
    assert {name.split(".")[0] for name in moved} == {"blocks", "tails"}


def test_a_stage_begins_as_a_copy_with_its_noise_measured():
    objective = Objective(replace(TINY, iterations=(1,)), CPU)
    batch, g = batch_of(TINY), objective.generator
    step(objective, 0, batch)
    assert g.amplitudes.tolist() == [1.0, -1.0, -1.0]
    assert g.sizes.tolist() == [[16, 27], [23, 38], [32, 53]]
    critic = {name: p.clone() for name, p in objective.critic.named_parameters()}
    objective.phases(1)
    objective.begin(1, batch)
    for name, p in g.blocks[0].state_dict().items():
        assert torch.equal(p, g.blocks[1].state_dict()[name])
    assert all(torch.equal(p, critic[name]) for name, p in objective.critic.named_parameters())
    amplitude = float(g.amplitudes[1])
    g.amplitudes[1] = 0.0
    with torch.no_grad():
        error = (objective.reconstruct(1, objective.whole(1), batch) - objective.real(1, batch)).square().mean().sqrt()
    assert amplitude == pytest.approx(0.1 * float(error), rel=1e-4)


def test_the_generator_takes_one_gradient_three_times():
    objective = Objective(TINY, CPU)
    (phase,) = [phase for phase in objective.phases(0) if phase.name == "generator"]
    optimizer = objective.optimizers[phase.optimizer]
    loss, _ = phase.loss(batch_of(TINY), torch.Generator().manual_seed(0))
    loss.backward()
    weight = objective.generator.tails[0].weight
    twin = weight.detach().clone().requires_grad_(True)
    twin.grad = weight.grad.clone()
    alone = torch.optim.Adam([twin], TINY.rate, betas=TINY.betas)
    for _ in range(3):
        alone.step()
    optimizer.step()
    phase.after()
    torch.testing.assert_close(weight, twin)


@pytest.mark.parametrize(
    "change",
    [{}, {"waves": 0, "unbounded": "none"}, {"waves": 0, "unbounded": "xy"}, {"between": "pictures", "concurrent": 1},
     {"task": "harmonisation", "norm": True}, {"task": "editing", "norm": True}, {"task": "animation"},
     {"window": (14, 20), "penalty_share": 0.5, "drift": 0.01, "mirror": 5, "silent": 1}, {"stages": 1},
     {"stages": 2, "shrink": 0.8}],
)  # fmt: skip
def test_every_kind_trains_every_parameter_of_a_stage(change):
    config = replace(TINY, iterations=(1,), **change)
    objective, batch = Objective(config, CPU), batch_of(config)
    for iteration in range(config.stages):
        before = {name: p.clone() for name, p in objective.generator.named_parameters()}
        critic = {name: p.clone() for name, p in objective.critic.named_parameters()}
        scalars = step(objective, iteration, batch)
        assert all(torch.isfinite(value).all() for value in scalars.values())
        stage_parts = [n for n in before if n.startswith((f"blocks.{iteration}.", "tails."))]
        if config.stagewise:
            stage_parts = [n for n in stage_parts if not n.startswith("tails") or f".{iteration}." in n]
        parameters = dict(objective.generator.named_parameters())
        assert all(not torch.equal(parameters[name], before[name]) for name in stage_parts)
        # A bias beyond the last kink has no gradient: it cancels out between real and generated scores.
        still = {n for n, p in objective.critic.named_parameters() if torch.equal(p, critic[n])}
        assert all(name.endswith("bias") for name in still)


def test_reconstruction_of_a_window_is_that_of_the_whole():
    objective = Objective(replace(TINY, iterations=(1,)), CPU)
    batch = batch_of(TINY)
    for iteration in range(3):
        step(objective, iteration, batch)
    at = Interval(4, 20), Interval(10, 33)
    with torch.no_grad():
        whole, part = objective.reconstruct(2, objective.whole(2), batch), objective.reconstruct(2, at, batch)
    torch.testing.assert_close(whole[:, :, 4:20, 10:33], part, atol=1e-5, rtol=1e-4)


def test_all_phases_of_an_iteration_share_one_draw():
    objective = Objective(TINY, CPU)
    batch = batch_of(TINY)
    objective.phases(0)
    first = objective.draw(0, batch)
    assert objective.draw(0, batch) is first
    assert objective.draw(0, batch_of(TINY, seed=6)) is not first
    objective.phases(1)
    assert objective.draw(0, batch) is not first


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_training_goes_on_to_the_same_bytes(photo, tmp_path, precision):
    shared = {"preset": "tiny", "precision": precision, "snapshot_every": 3, "preview_every": 6, "device": "cpu"}
    shared["config"] = {"waves": 2, "ema_half_life": 3.0, "window": [14, 30]}
    assert train("consingan", photo, tmp_path / "whole", **shared).iterations == 12
    for stop_after in (2, 3, 4, 3):  # within a stage, at its end, at its beginning
        countdown = iter([False] * (stop_after - 1) + [True] * 99)
        train("consingan", photo, tmp_path / "parts", should_stop=lambda c=countdown: next(c), **shared)
    assert train("consingan", photo, tmp_path / "parts", **shared).iterations == 12
    for name in (STATE, WEIGHTS):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


CHILD = """
import sys, time, torch
from mediagen.train import train
torch.set_num_threads(1)
def progress(done, total, scalars):
    print(done, flush=True)
    time.sleep(float(sys.argv[3]))
train("consingan", sys.argv[1], sys.argv[2], preset="tiny", precision="fp32", device="cpu", snapshot_every=2, progress=progress)
"""


def test_killed_training_goes_on_to_the_same_bytes(photo, tmp_path):
    arguments = [sys.executable, "-c", CHILD, str(photo), str(tmp_path / "parts"), "0.2"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 7:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    for out in ("parts", "whole"):
        train("consingan", photo, tmp_path / out, preset="tiny", precision="fp32", device="cpu", snapshot_every=2)
    for name in (STATE, WEIGHTS):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


def test_a_training_may_be_looked_at_and_rendered_at_any_stage(photo, tmp_path):
    shared = {"preset": "tiny", "device": "cpu", "precision": "fp32", "preview_every": 1, "snapshot_every": 1}
    for iterations, rows in ((1, 16), (5, 23), (9, 32)):
        train("consingan", photo, tmp_path / "run", iterations=iterations, **shared)
        assert render(tmp_path / "run", width=40).shape == (rows, 40, 3)
    model = load(tmp_path / "run")
    assert model.mediagen.header["data"]["pictures"] == 1
    assert (tmp_path / "run" / "previews" / "000009.png").exists()


def test_the_picture_is_learnt(photo, tmp_path):
    """Eighty iterations of one small stage, mostly of reconstruction, bring it near."""
    config = {"stages": 1, "side": 16, "channels": 16, "iterations": [80], "reconstruction": 1000.0, "critic_steps": 1}
    train("consingan", photo, tmp_path, preset="tiny", config=config, device="cpu", precision="fp32", log_every=10)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    errors = [row["generator/reconstruction"] for row in log if "generator/reconstruction" in row]
    assert errors[-1] < 0.5 * errors[0]


def test_fine_tuning_goes_on_with_a_collage(photo, tmp_path):
    shared = {"preset": "tiny", "device": "cpu", "precision": "fp32"}
    both = {"unbounded": "none", "norm": True}
    train("consingan", photo, tmp_path / "run", config={**both, "task": "harmonisation"}, **shared)
    collage, pair = tmp_path / "collage.png", tmp_path / "pair.txt"
    Image.new("RGB", (80, 90), (200, 30, 30)).save(collage)
    pair.write_text(f"{photo}\n{collage}\n")
    tuning = {**both, "task": "fine-tuning"}
    for data, told in ((photo, "photograph, then the collage"), (pair, "--start-from")):
        with pytest.raises((DataError, UsageError), match=told):
            train("consingan", data, tmp_path / "none", config=tuning, overwrite=True, **shared)
    report = train("consingan", pair, tmp_path / "tuned", config=tuning, start_from=tmp_path / "run", **shared)
    assert report.iterations == 4
    before, after = (load(tmp_path / name).state_dict() for name in ("run", "tuned"))
    assert torch.equal(before["sizes"], after["sizes"])
    assert torch.equal(before["amplitudes"], after["amplitudes"])
    assert not torch.equal(before["blocks.2.0.weight"], after["blocks.2.0.weight"])


def test_more_than_one_picture_is_refused(photo, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(photo.read_bytes())
    with pytest.raises(DataError, match="learns from one"):
        train("consingan", tmp_path, tmp_path / "run", preset="tiny")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"stages": 0}, "needs a stage"), ({"shortest": 5}, "at least 12 px"), ({"side": 20}, "no smaller"),
     ({"iterations": ()}, "iterations"), ({"waves": 2, "unbounded": "xy"}, "rows have no number"),
     ({"mirror": 5, "unbounded": "xy"}, "no ends to mirror"),
     ({"window": (5, 0)}, "a window needs"), ({"shrink": 1.0}, "share"), ({"mirror": 12}, "mirror"), ({"silent": 6}, "silent")],
)  # fmt: skip
def test_settings_that_make_no_network(change, told):
    with pytest.raises(UsageError, match=told):
        replace(PAPER, **change)
