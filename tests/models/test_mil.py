"""Meta Internal Learning: its sizes and counts, what is trained and what is frozen, and trainings that really run."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mediagen.checkpoint import load
from mediagen.core.config import from_dict, to_dict
from mediagen.core.geometry import Interval
from mediagen.errors import DataError, UsageError
from mediagen.imagination import imagine
from mediagen.models import mil
from mediagen.models.mil import PAPER, PRESETS, RECONSTRUCTION, SMALL, SPEC, Config, Critic, Objective
from mediagen.nn.hyper_generator import HyperGenerator
from mediagen.nn.pyramid_painter import noise_of, window_of
from mediagen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
STATE, WEIGHTS = "state.safetensors", "generator.safetensors"


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Four pictures of their own colours."""
    path, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for n in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8))
        coarse.resize((72, 48), Image.Resampling.BICUBIC).save(path / f"{n}.png")
    return path


def pictures_of(config: Config, count: int = 2) -> torch.Tensor:
    coarse = torch.rand(count, 3, 6, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
    width, height = config.size
    return F.interpolate(coarse, (height, width), mode="bilinear")


def batch_of(config: Config, count: int = 2, seed: int = 5) -> dict[str, torch.Tensor]:
    pictures = pictures_of(config, count)
    return {"pictures": pictures, "which": torch.arange(count), "seed": torch.arange(count) + seed}


def objective_of(config: Config) -> Objective:
    torch.manual_seed(0)
    return Objective(config, CPU)


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
        scalars |= found
    return scalars


def copies(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def moved(network: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}


def test_the_paper_s_networks():
    with torch.device("meta"):
        generator, critic = HyperGenerator(PAPER), Critic(PAPER)
    assert [head.emitted for head in generator.heads] == [114_307] * 7
    assert critic.head.emitted == 113_153
    assert sum(p.numel() for p in generator.heads[0].parameters()) == 114_307 * 513
    assert len(generator.heads[0].weights) + len(generator.heads[0].biases) == 10
    # ResNet-34 without its classes, and a linear layer that makes the embedding signed.
    assert sum(p.numel() for p in generator.embed.parameters()) == 21_284_672 + 512 * 512 + 512


def test_seven_scales_from_25_to_250():
    assert PAPER.scales == 7
    assert [columns for _, columns in PAPER.sizes] == [25, 37, 54, 80, 117, 171, 250]
    assert (PAPER.sizes[0], PAPER.sizes[-1]) == ((19, 25), (188, 250))
    assert replace(PAPER, shortest=28).scales == 7


def test_the_embedders_share_nothing():
    objective = objective_of(TINY)
    first, second = ({id(p) for p in network.parameters()} for network in (objective.generator, objective.critic))
    assert first
    assert second
    assert not first & second
    assert {id(p) for g in objective.optimizers["generator-0"].param_groups for p in g["params"]} < first


def test_presets_follow_the_recipe():
    assert (PAPER.batch, PAPER.generator_rate, PAPER.critic_rate) == (16, 5e-5, 5e-5)
    assert (PAPER.penalty, PAPER.reconstruction, PAPER.clip, PAPER.betas) == (0.1, 50.0, 1.0, (0.5, 0.999))
    assert (PRESETS["single"].critic, PRESETS["single"].critic_rate) == ("shared", 5e-4)
    assert (PRESETS["mini-batch"].shortest, PRESETS["mini-batch"].generator_rate) == (27, 1e-5)
    for name, preset in PRESETS.items():
        assert from_dict(Config, to_dict(preset)) == preset, name
    assert SPEC.defaults(PAPER) == {"iterations": 28_000, "batch": 16}
    assert SPEC.needs(SMALL).several


def test_an_embedding_is_the_picture_s_own_in_use():
    """Batch norm does not look at the rest of a batch then."""
    torch.manual_seed(0)
    network = HyperGenerator(replace(TINY, norm="batch")).eval()
    pictures = pictures_of(TINY, 3)
    torch.testing.assert_close(network.embedded(pictures)[:1], network.embedded(pictures[:1]), atol=1e-5, rtol=1e-4)
    network.train()
    assert (network.embedded(pictures)[:1] - network.embedded(pictures[:1])).abs().max() > 1e-3


def trained(config: Config = TINY, iterations: int | None = None) -> tuple[Objective, dict[str, torch.Tensor]]:
    """After an iteration of every scale, with heads strong enough that pictures differ."""
    objective, batch = objective_of(replace(config, iterations=(1,))), batch_of(config)
    for head in objective.generator.heads[0].weights:
        head.weight.data.mul_(2.0)
    for iteration in range(config.scales if iterations is None else iterations):
        step(objective, iteration, batch)
    objective.generator.amplitudes[1:].clamp_(min=0.3)
    return objective, batch


@pytest.mark.parametrize(
    "change", [{}, {"unbounded": "none", "waves": 0, "upsampling": "cubic", "noise_beyond": False}]
)
def test_a_picture_s_own_network_is_what_training_saw(change):
    """Many pictures side by side, each with its weights, equal the networks that stand alone."""
    objective, batch = trained(replace(TINY, **change))
    g = objective.generator.eval()
    with torch.no_grad():
        embeddings = g.embedded(batch["pictures"])
        out = Interval(0, 32), Interval(0, 48)
        plan = g.plan(out, g.scale)
        z = noise_of(g.noise(plan), 3)
        made = g([head(embeddings) for head in g.heads], [x.expand(2, -1, -1, -1) for x in z], plan)[-1]
        for e, picture in zip(embeddings, made, strict=True):
            alone = g.of_picture([e] * g.config.scales)
            assert alone.noise(alone.plan(out)) == g.noise(plan)
            torch.testing.assert_close(alone(z, alone.plan(out))[0], picture, atol=2e-4, rtol=1e-3)
    assert (made[0] - made[1]).abs().mean() > 1e-3


def test_freezing_really_freezes():
    objective, batch = objective_of(replace(TINY, iterations=(1,))), batch_of(TINY)
    g = objective.generator
    step(objective, 0, batch)
    assert g.amplitudes.tolist() == [1.0, -1.0, -1.0]
    first = copies(g)
    critic = copies(objective.critic)
    objective.phases(1)
    objective.begin(1, batch)
    for name, p in g.heads[1].named_parameters():
        assert torch.equal(p, first[f"heads.0.{name}"]), "new heads are copies"
    assert not moved(objective.critic, critic), "the critic is carried over as it is"
    before = copies(g)
    step(objective, 1, batch)
    changed = moved(g, before)
    assert not {name for name in changed if name.startswith(("heads.0", "heads.2"))}
    assert {name.split(".")[0] for name in changed} == {"embed", "heads"}
    assert not objective.optimizers["generator-0"].state, "no slots are kept for what is frozen"


@pytest.mark.parametrize(
    "change",
    [{}, {"accumulate": False}, {"unbounded": "none", "waves": 0, "mirror": 0},
     {"unbounded": "xy", "waves": 0, "mirror": 0, "shortest": 20}, {"norm": "batch"},
     {"critic": "shared"}, {"lipschitz": "real"}, {"window": (14, 20)}, {"variants": 0.0},
     {"critic_steps": 2, "drift": 0.01}],
)  # fmt: skip
def test_gradients_reach_every_parameter_of_a_scale(change):
    config = replace(TINY, iterations=(1,), **change)
    objective, batch = objective_of(config), batch_of(config)
    for scale in range(config.scales):
        generator, critic = copies(objective.generator), copies(objective.critic)
        scalars = step(objective, scale, batch)
        assert all(torch.isfinite(value).all() for value in scalars.values())
        learning = {name for name in generator if name.startswith(("embed", f"heads.{scale}."))}
        assert moved(objective.generator, generator) == learning
        still = set(critic) - moved(objective.critic, critic)
        # The last bias cancels out between real and generated scores.
        last = {"head.biases.4.weight", "head.biases.4.bias", "layers.8.bias"}
        assert not {name for name in still if name not in last}


def test_the_embedder_hears_of_frozen_scales_only_when_errors_are_accumulated():
    for accumulate in (True, False):
        config = replace(TINY, accumulate=accumulate, iterations=(1,))
        objective, batch = trained(config, iterations=1)
        g, pictures = objective.generator, batch["pictures"]
        e = g.embedded(pictures)
        errors = g.errors(1, pictures, [head(e) for head in list(g.heads)[:2]])
        assert len(errors) == 2
        assert errors[0].requires_grad == accumulate
        assert errors[1].requires_grad


def test_the_amplitude_is_the_error_of_the_reconstruction():
    objective, batch = objective_of(replace(TINY, iterations=(1,))), batch_of(TINY)
    step(objective, 0, batch)
    scalars = step(objective, 1, batch)
    assert float(objective.generator.amplitudes[1]) == pytest.approx(
        float(scalars["generator/reconstruction"].detach()) ** 0.5
    )
    kept = float(objective.generator.amplitudes[1])
    step(objective, 2, batch)
    assert float(objective.generator.amplitudes[1]) == kept


def test_gradients_are_clipped():
    objective, batch = objective_of(replace(TINY, clip=1e-3)), batch_of(TINY)
    for phase in objective.phases(0):
        optimizer = objective.optimizers[phase.optimizer]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        loss, _ = phase.loss(batch, torch.Generator().manual_seed(0))
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)
        assert torch.stack([p.grad.norm() for p in parameters]).norm() > 2e-3
        optimizer.step()
        assert torch.stack([p.grad.norm() for p in parameters]).norm() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("iteration", "scale", "lowered"), [(0, 0, 1), (7, 0, 1), (8, 0, 0.1), (10, 1, 1), (26, 1, 0.1), (30, 2, 1)]
)
def test_scales_and_rates_by_iteration(iteration, scale, lowered):
    objective = objective_of(replace(TINY, iterations=(10, 20)))
    phases = objective.phases(iteration)
    assert [phase.optimizer for phase in phases] == [f"critic-{scale}", f"generator-{scale}"]
    for phase in phases:
        assert objective.optimizers[phase.optimizer].param_groups[0]["lr"] == pytest.approx(lowered * 1e-4)


def test_pictures_of_a_batch_do_not_meet_in_the_critic():
    """A hyper critic's score of one picture stays when the other one changes; so do its weights."""
    objective = objective_of(TINY)
    pictures = pictures_of(TINY)
    other = torch.stack([pictures[0], -pictures[1]])
    rows = Interval(0, 32)
    with torch.no_grad():
        first, second = (objective.critic(x, objective.critic.emit(x), rows, 32)[0] for x in (pictures, other))
    torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_training_goes_on_to_the_same_bytes(folder, tmp_path, precision):
    shared = {"preset": "tiny", "precision": precision, "snapshot_every": 3, "preview_every": 6, "device": "cpu"}
    shared["config"] = {"ema_half_life": 5.0, "window": [14, 30]}
    assert train("mil", folder, tmp_path / "whole", **shared).iterations == 12
    for stop_after in (2, 3, 4):  # within a scale, at its end, at its beginning
        countdown = iter([False] * (stop_after - 1) + [True] * 99)
        train("mil", folder, tmp_path / "parts", should_stop=lambda c=countdown: next(c), **shared)
    assert train("mil", folder, tmp_path / "parts", **shared).iterations == 12
    for name in (STATE, WEIGHTS, "previews/000012.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


CHILD = """
import sys, time, torch
from mediagen.train import train
torch.set_num_threads(1)
def progress(done, total, scalars):
    print(done, flush=True)
    time.sleep(float(sys.argv[3]))
train("mil", sys.argv[1], sys.argv[2], preset="tiny", precision="fp32", device="cpu", snapshot_every=2, progress=progress)
"""


def test_killed_training_goes_on_to_the_same_bytes(folder, tmp_path):
    arguments = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "parts"), "0.2"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 7:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for out in ("parts", "whole"):
        train("mil", folder, tmp_path / out, preset="tiny", precision="fp32", device="cpu", snapshot_every=2)
    for name in (STATE, WEIGHTS):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


def test_shares_of_a_batch_leave_the_mean_of_their_amplitudes(folder, tmp_path, monkeypatch):
    measured: dict[int, float] = {}

    class Noting(Objective):
        def draw(self, scale, batch):
            drawn = super().draw(scale, batch)
            # By the share's random words; asked again, it is the mean that is there.
            measured.setdefault(int(batch["seed"][0]), float(self.generator.amplitudes[scale]))
            return drawn

    monkeypatch.setattr(mil, "SPEC", replace(SPEC, objective=Noting))
    train("mil", folder, tmp_path, preset="tiny", batch=4, accumulate=2, iterations=6, device="cpu", precision="fp32")
    *_, first, second = measured.values()
    assert first != second
    assert load(tmp_path).amplitudes.tolist() == pytest.approx([1.0, (first + second) / 2, -1.0])


def test_pictures_are_learnt_each_by_its_own_generator(tmp_path):
    """Two flat pictures, a dark and a light one: each generator soon makes its own, and that of another picture neither."""
    for name, level in (("a", 40), ("b", 215)):
        Image.new("RGB", (72, 48), (level, level, 255 - level)).save(tmp_path / f"{name}.png")
    config = {"iterations": [60], "ratio": 0.9, "shortest": 40, "size": [48, 32], "reconstruction": 500.0,
              "generator_rate": 1e-3, "variants": 0.0, "embedding": 16}  # fmt: skip
    train("mil", tmp_path, tmp_path / "run", preset="tiny", config=config, iterations=60, device="cpu",
          precision="fp32", log_every=10)  # fmt: skip
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    errors = [row["generator/reconstruction"] for row in log if "generator/reconstruction" in row]
    # One picture for both, the grey between them, would have 0.47.
    assert errors[-1] < min(0.1 * errors[0], 0.1)
    between = np.broadcast_to(np.array([128, 128, 127], np.uint8), (48, 72, 3)).copy()
    means = []
    for picture in (tmp_path / "a.png", between, tmp_path / "b.png"):
        own = imagine(tmp_path / "run", picture)
        shown = window_of(own, own.scene, RECONSTRUCTION).astype(float)
        means.append(shown[..., 0].mean() - shown[..., 2].mean())
    assert means[0] < means[1] < means[2], means


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="no usable picture"):
        train("mil", tmp_path / "in", tmp_path / "run", preset="tiny")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"shortest": 250}, "coarsest"), ({"ratio": 0.99}, "ratio"), ({"iterations": ()}, "iterations"),
     ({"waves": 2, "unbounded": "xy"}, "rows have no number"), ({"window": (5, 0)}, "a window needs"),
     ({"mirror": 12}, "mirror"), ({"norm": "group", "width": 12}, "multiple of 8"), ({"depths": ()}, "depths"),
     ({"size": (250, 20), "shortest": 12}, "12 rows"), ({"size": (250, -3)}, "12 rows"), ({"ratio": 1.0}, "ratio"),
     ({"view": 8}, "view"), ({"embedding": 0}, "embedding")],
)  # fmt: skip
def test_settings_that_make_no_network(change, told):
    with pytest.raises(UsageError, match=told):
        replace(PAPER, **change)
