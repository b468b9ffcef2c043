"""A real, tiny checkpoint, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mediagen_cli.main import main

from mediagen.checkpoint import save_checkpoint
from mediagen.models import spec


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny preset with random weights."""
    model = spec("infinitygan")
    config = model.presets["tiny"]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = model.build(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_()
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    state = network.state_dict()
    save_checkpoint(
        path,
        state,
        model="infinitygan",
        config=config,
        ema=True,
        data={},
        training={"licence": "CC0"},
        latents=model.latents,
    )
    return path


@pytest.fixture(scope="session")
def tiny_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model that makes clips, with random weights."""
    model = spec("mocogan")
    config = model.presets["tiny"]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = model.build(config)
    path = tmp_path_factory.mktemp("weights") / "clips.safetensors"
    made = {"licence": "CC0"}
    save_checkpoint(path, network.state_dict(), model="mocogan", config=config, ema=True, data={}, training=made,
                    latents=model.latents)  # fmt: skip
    return path


@pytest.fixture
def mediagen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command line in an empty folder: mediagen("canvas", "--width", 100)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run
