"""The small parts of training: averages, log, curves, keys."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mediagen.errors import TrainingError
from mediagen.train.curves import draw_curves
from mediagen.train.distributed import World
from mediagen.train.ema import WARM_UP, Averages
from mediagen.train.log import Log, Meter, read_log
from mediagen.train.step import generator, key

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)


def test_the_average_halves_its_distance_per_half_life() -> None:
    network = nn.Linear(2, 1)
    averages = Averages({"g": network}, ["g"], half_life=100.0)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    for _ in range(25):
        averages.update(batch=4, seen=10**6)
    kept = averages.networks["g"].weight
    torch.testing.assert_close(kept, start + 0.5)
    assert not kept.requires_grad
    assert not averages.networks["g"].training


def test_the_average_warms_up_with_the_pictures_seen() -> None:
    network = nn.Linear(1, 1, bias=False)
    averages = Averages({"g": network}, ["g"], half_life=1e6)
    with torch.no_grad():
        network.weight.add_(1.0)
    before = averages.networks["g"].weight.item()
    averages.update(batch=8, seen=400)
    expected = before + (1 - 0.5 ** (8 / (WARM_UP * 400)))
    assert averages.networks["g"].weight.item() == pytest.approx(expected)


def test_statistics_are_averaged_with_the_weights_and_other_buffers_copied() -> None:
    network = nn.BatchNorm1d(2)
    averages = Averages({"g": network}, ["g"], half_life=100.0)
    network(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
    averages.update(100, 10**6)
    torch.testing.assert_close(averages.networks["g"].running_mean, network.running_mean / 2)
    assert averages.networks["g"].num_batches_tracked == 1


def test_means_are_over_the_times_a_scalar_was_given() -> None:
    meter = Meter(ALONE, "pictures")
    meter.add({"a": torch.tensor(1.0), "b": torch.tensor(4.0)}, seen=8)
    meter.add({"a": torch.tensor(3.0)})
    found = meter.take()
    assert (found["a"], found["b"]) == (2.0, 4.0)
    assert found["pictures_per_second"] > 0
    assert meter.take() == {}


def test_the_log_forgets_a_future_that_did_not_happen(tmp_path: Path) -> None:
    log = Log(tmp_path, 0, "pictures")
    for i in (1, 2, 3):
        log.write(i, 4 * i, {"loss": i / 3})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"iteration": 4, "lo')
    log = Log(tmp_path, 2, "pictures")
    log.write(3, 12, {"loss": 9.0})
    log.close()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["iteration"], row["loss"]) for row in rows] == [(1, 0.333333), (2, 0.666667), (3, 9.0)]
    assert read_log(tmp_path / "none.jsonl") == []


def test_the_log_refuses_numbers_that_are_not_finite(tmp_path: Path) -> None:
    log = Log(tmp_path, 0, "pictures")
    with pytest.raises(TrainingError, match="loss is no longer finite at iteration 7"):
        log.write(7, 7, {"fine": 1.0, "loss": float("nan")})
    log.close()
    assert read_log(tmp_path / "log.jsonl") == []


def test_curves_show_every_scalar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"iteration": i, "pictures": i, "a": float(rng.normal()), "b": 1.0} for i in range(100)]
    rows[50]["a"] = 1e9  # one spike must not flatten the rest
    draw_curves([*rows, {"iteration": 100, "pictures": 100, "c": -5}], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (190, 3 * 420, 3)
    blue = (pixels[..., 2] - pixels[..., 0]) > 40
    for column in range(3):
        assert blue[:, column * 420 : (column + 1) * 420].any(), column
    assert np.ptp(np.nonzero(blue[:, :420])[0]) > 80
    draw_curves([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_keys_are_pinned_and_tell_words_apart() -> None:
    assert key(0, "batch", 12) == key("0", "batch", "12")
    assert len({key(0, "a"), key(0, "b"), key(1, "a"), key(0, "a", 0), key("0a")}) == 5
    assert 0 <= key(0) < 2**63
    # Runs recorded before must draw the same numbers after.
    assert key(0, "batch", 12) == 1259127381226331590
    assert torch.equal(torch.randn(3, generator=generator(CPU, 1)), torch.randn(3, generator=generator(CPU, 1)))
