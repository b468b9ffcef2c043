"""A real, tiny checkpoint; servers paint with one thread, as they do anyway."""

from pathlib import Path

import pytest
import torch

from mediagen.checkpoint import save_checkpoint
from mediagen.models import spec


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of InfinityGAN's tiny preset with random weights."""
    model = spec("infinitygan")
    config = model.presets["tiny"]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = model.build(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_()
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, network.state_dict(), model="infinitygan", config=config, ema=True, data={}, training={},
                    latents=model.latents)  # fmt: skip
    return path
