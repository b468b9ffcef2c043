"""Growing InfinityGAN by a block: what is frozen takes the averaged weights, and keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mediagen.checkpoint import read_tensors
from mediagen.train import train


def test_frozen_parts_are_the_averaged_ones_and_stay(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    shared = {"batch": 2, "preset": "tiny", "device": "cpu", "precision": "fp32"}
    train("infinitygan", folder, tmp_path / "a", iterations=6, **shared)
    grown = {"channels": (8, 8, 4), "critic_channels": (4, 8, 8, 8), "picture": 64, "frozen_blocks": 2, "path": 0.0}
    train("infinitygan", folder, tmp_path / "b", iterations=4, config=grown, start_from=tmp_path / "a", **shared)
    old, _ = read_tensors(tmp_path / "a" / "state.safetensors")
    new, _ = read_tensors(tmp_path / "b" / "state.safetensors")
    for name in ("mapping.layers.0.weight", "structure.1.weight", "blocks.1.conv.weight"):
        averaged = old[f"average/generator/{name}"]
        assert not torch.equal(averaged, old[f"network/generator/{name}"]), "the test needs the two to differ"
        assert torch.equal(new[f"network/generator/{name}"], averaged)
        assert torch.equal(new[f"average/generator/{name}"], averaged)
    assert not torch.equal(new["network/generator/blocks.2.conv.weight"], new["average/generator/blocks.2.conv.weight"])
