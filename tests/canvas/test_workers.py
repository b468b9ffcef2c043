"""Painting on workers and the real model: the same store, byte for byte, as in this process."""

import pytest
import torch
from meadow import Meadow, tree

from mediagen import load
from mediagen.canvas.extend import extend
from mediagen.canvas.paint import paint
from mediagen.checkpoint import save_checkpoint
from mediagen.errors import CheckpointError, WorkerError
from mediagen.models import spec

ASKED = {"width": 700, "height": 130, "x": -40, "y": -50, "seed": 5, "block": (128, 64), "shard": (128, 64), "chunk": 64,
         "style_every": 200, "precision": "fp32"}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The tiny network with random weights, as a file."""
    from mediagen.nn.equalized import initialise

    system = spec("infinitygan")
    config = system.presets["tiny"]
    network = system.build(config)
    initialise(network, torch.Generator().manual_seed(0))
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(
        file, network.state_dict(), model="infinitygan", config=config, ema=True, data={}, training={}, latents={}
    )
    return file


@pytest.fixture(scope="module")
def whole(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    paint(checkpoint, folder / "a.zarr", **ASKED)
    return tree(folder)


def test_workers_paint_the_same_bytes(checkpoint, whole, tmp_path):
    first = paint(checkpoint, tmp_path / "a.zarr", **ASKED, workers=2)
    assert tree(tmp_path) == whole
    assert first.mode == "workers"
    assert first.shards_written == 18
    assert first.failed == []
    (tmp_path / "a.zarr/0/c/0/1/2").unlink()
    (tmp_path / "a.zarr/0/c/0/0/5").write_bytes(b"short")
    again = paint(checkpoint, tmp_path / "a.zarr", **ASKED, workers=1)
    assert (again.shards_written, again.shards_skipped) == (2, 16)
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("threads", [1, 2])
def test_a_loaded_model_and_any_number_of_threads_paint_the_same_bytes(checkpoint, whole, tmp_path, threads):
    torch.set_num_threads(threads)
    paint(load(checkpoint), tmp_path / "a.zarr", **ASKED)
    assert tree(tmp_path) == whole


def test_extending_on_a_worker(checkpoint, whole, tmp_path):
    paint(checkpoint, tmp_path / "a.zarr", **{**ASKED, "x": 50, "width": 610})
    extend(tmp_path / "a.zarr", "left", 90, model=checkpoint, workers=1)
    assert tree(tmp_path) == whole


def test_workers_need_a_checkpoint_and_a_scheduler_that_answers(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        paint(Meadow(), tmp_path / "a.zarr", width=64, precision="fp32", workers=1)
    with pytest.raises(WorkerError, match="does not answer"):
        paint(checkpoint, tmp_path / "b.zarr", **ASKED, scheduler="tcp://127.0.0.1:9")
    # What was begun can be finished without them.
    paint(checkpoint, tmp_path / "b.zarr", **ASKED)
