"""Checkpoints: what is saved comes back, and nothing that a stranger sends does harm."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mediagen import checkpoint
from mediagen.catalog import checkpoint_record
from mediagen.checkpoint import (
    WEIGHTS,
    CheckpointInfo,
    bundled,
    file_sha256,
    load,
    read_header,
    repack,
    save_checkpoint,
    write_tensors,
)
from mediagen.errors import CheckpointError, StoreError
from mediagen.models._spec import ModelSpec, PictureNeeds


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 6
    depth: int = 2

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be at least 1")


class Network(nn.Module):
    built_on: list[str] = []  # noqa: RUF012 - where each was built, for the tests below

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.built_on.append(str(torch.empty(0).device))
        self.layers = nn.ModuleList(nn.Conv2d(config.width, config.width, 3) for _ in range(config.depth))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filter", torch.ones(3), persistent=False)


def no_objective(config: Any, device: torch.device) -> Any:
    raise NotImplementedError


SPEC = ModelSpec(
    kind="image",
    title="Toy",
    paper="none",
    summary="a toy",
    config=Config,
    presets={"small": Config()},
    build=Network,
    objective=no_objective,
    needs=lambda config: PictureNeeds(height=8, crop=8),
    latents={"z": "N(0, I)"},
)


def saved(
    path: Path, config: Config = Config(), half: bool = False, **tensors: torch.Tensor
) -> dict[str, torch.Tensor]:
    network = Network(config)
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    state = {**network.state_dict(), **tensors}
    save_checkpoint(
        path, state, model="toy", config=config, ema=True, data={"pictures": 3}, training={"seed": 1},
        latents={"z": "N(0, I)"}, half=half,
    )  # fmt: skip
    Network.built_on.clear()
    return state


def with_header(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The same file with another header."""
    tensors, header = checkpoint.read_tensors(source)
    change(header)
    write_tensors(target, tensors, header)
    return target


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = saved(tmp_path / "a.safetensors", count=torch.tensor(5))
    before = torch.random.get_rng_state()
    network = load(tmp_path / "a.safetensors", spec=SPEC)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    info = network.mediagen
    assert isinstance(info, CheckpointInfo)
    assert (info.name, info.model, info.config) == ("a", "toy", Config())
    assert info.sha256 == file_sha256(tmp_path / "a.safetensors")
    assert info.header["latents"] == {"z": "N(0, I)"}
    assert info.header["data"] == {"pictures": 3}


def test_half_precision_is_for_the_file_alone(tmp_path: Path) -> None:
    state = saved(tmp_path / "a.safetensors")
    saved(tmp_path / "half.safetensors", half=True)
    repack(tmp_path / "a.safetensors", tmp_path / "shipped.safetensors", notes={"credits": "everyone"})
    for name in ("half", "shipped"):
        network = load(tmp_path / f"{name}.safetensors", spec=SPEC)
        weight = dict(network.named_parameters())["layers.0.weight"]
        assert weight.dtype == torch.float32
        assert torch.equal(weight, state["layers.0.weight"].half().float())
        assert network.count.dtype == torch.int64
        assert (tmp_path / f"{name}.safetensors").stat().st_size < 0.75 * (tmp_path / "a.safetensors").stat().st_size
    assert read_header(tmp_path / "shipped.safetensors")["training"] == {"seed": 1, "credits": "everyone"}


def test_equal_contents_make_equal_bytes_and_no_strays(tmp_path: Path) -> None:
    for name in ("a", "b", "a"):
        saved(tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o044, "others may read it as the umask allows"


def test_a_run_and_a_bundled_name_stand_for_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    saved(tmp_path / "run" / "generator.safetensors")
    assert load(tmp_path / "run", spec=SPEC).mediagen.name == "run"  # type: ignore[union-attr]
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    saved(tmp_path / "weights" / "hills.safetensors")
    assert load("hills", spec=SPEC).mediagen.name == "hills"  # type: ignore[union-attr]
    with pytest.raises(CheckpointError, match="bundled ones: hills"):
        load("valleys", spec=SPEC)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"holds no generator\.safetensors"):
        load(tmp_path / "empty", spec=SPEC)


def test_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    for keep in (0, 1, 7, 8, 9, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "b.safetensors").write_bytes(data[:keep])
        with pytest.raises(CheckpointError, match=r"b\.safetensors: .*(truncated|damaged)") as caught:
            load(tmp_path / "b.safetensors", spec=SPEC)
        assert "\n" not in str(caught.value)
    (tmp_path / "b.safetensors").write_bytes(data + b"x")
    with pytest.raises(CheckpointError):
        load(tmp_path / "b.safetensors", spec=SPEC)


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "a.pth").write_bytes(pickle.dumps({"w": Trap()}))
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    for name in ("a.pth", "b.pt"):
        with pytest.raises(CheckpointError, match="pickle"):
            load(tmp_path / name, spec=SPEC)
    assert not (tmp_path / "sprung").exists()


def test_a_header_length_that_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    """One length in 256 begins with the byte that opens a pickle; it is a .safetensors all the same."""
    for size in range(0, 256, 8):
        path = tmp_path / "a.safetensors"
        save_file({"w": torch.zeros(1)}, path, metadata={checkpoint.KEY: json.dumps({"format": 1, "x": "." * size})})
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no length began with that byte")
    assert read_header(path)["format"] == 1


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "plain.safetensors")
    save_file({"w": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"mediagen": "[1, 2"})
    save_file({"w": torch.zeros(3)}, tmp_path / "list.safetensors", metadata={"mediagen": "[1, 2]"})
    (tmp_path / "text.safetensors").write_text("hello, I am a checkpoint, honestly, believe me please")
    deep = ("[" * 100_000).encode()
    (tmp_path / "deep.safetensors").write_bytes(struct.pack("<Q", len(deep)) + deep)
    for name in ("plain", "other", "list", "text", "deep"):
        with pytest.raises(CheckpointError, match=rf"{name}\.safetensors") as caught:
            load(tmp_path / f"{name}.safetensors", spec=SPEC)
        assert "\n" not in str(caught.value)


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header.update(values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(format=2), "another version's format"),
        (_set(kind="state"), "a training's state"),
        (_set(config={"width": 6, "hidden": 1}), "unknown setting 'hidden'"),
        (_set(config={"width": "6"}), "width must be a whole number"),
        (_set(config={"width": 10**9}), "width must lie between"),
        (_set(config={"width": 0}), "width must be at least 1"),
        (_set(config={"width": 60_000}), "its configuration asks for"),
        (_set(config={"depth": 3}), "lacks the tensor"),
        (_set(config={"depth": 1}), "has a tensor that the model lacks"),
        (_set(config=None), "expected a table"),
        (_set(model=None), "a training's state"),
    ],
)
def test_headers_are_checked_before_a_network_is_built(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    saved(tmp_path / "a.safetensors")
    path = with_header(tmp_path / "a.safetensors", tmp_path / "b.safetensors", change)
    with pytest.raises(CheckpointError, match=told) as caught:
        load(path, spec=SPEC)
    assert "\n" not in str(caught.value)
    assert "cpu" not in Network.built_on, "only shapes may have been made up to here"


def test_a_model_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"of a model 'toy' that this version does not have"):
        load(tmp_path / "a.safetensors")


def test_tensors_are_checked(tmp_path: Path) -> None:
    for tensors, told in (
        ({"layers.0.bias": torch.zeros(7)}, r"'layers\.0\.bias' is \(7,\) float32"),
        ({"layers.0.bias": torch.zeros(6, dtype=torch.int64)}, r"is \(6,\) int64"),
        ({"layers.0.bias": torch.full((6,), float("nan"))}, "not finite"),
        ({"extra": torch.zeros(1)}, "has a tensor that the model lacks, 'extra'"),
    ):
        saved(tmp_path / "a.safetensors", **tensors)
        with pytest.raises(CheckpointError, match=told):
            load(tmp_path / "a.safetensors", spec=SPEC)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError) as caught:
        saved(tmp_path / "file" / "a.safetensors")
    assert "\n" not in str(caught.value)


def test_shared_and_strided_tensors_can_be_saved(tmp_path: Path) -> None:
    shared = torch.arange(108.0).view(6, 6, 3)
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": shared, "b": shared[:2], "c": shared.permute(2, 0, 1)}, {"format": 1, "kind": "state"})
    tensors, header = checkpoint.read_tensors(path)
    assert torch.equal(tensors["c"], shared.permute(2, 0, 1))
    assert torch.equal(tensors["b"], shared[:2])
    assert header["kind"] == "state"


def test_a_header_is_read_without_torch(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    code = (
        "import json, sys; from mediagen.checkpoint import read_header; "
        "print(json.dumps(read_header(sys.argv[1])['config'])); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.safetensors")],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    assert json.loads(done.stdout) == {"width": 6, "depth": 2}


def test_a_network_with_its_own_checks_fails_in_one_line(tmp_path: Path) -> None:
    def build(config: Config) -> nn.Module:
        raise ValueError("depth and width do not go together\nat all")

    saved(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"makes no network: depth and width do not go together$"):
        load(tmp_path / "a.safetensors", spec=replace(SPEC, build=build))


@pytest.mark.parametrize("name", bundled())
def test_what_ships_says_what_it_is_and_under_which_licence(name: str) -> None:
    record = checkpoint_record(name)
    card = WEIGHTS / f"{name}.md"
    assert record["licence"]
    assert record["paints"]
    assert record["bytes"] < 3e6
    text = card.read_text()
    assert all(f"**{part}.**" in text for part in ("What it can do", "What it cannot do", "Licence")), card.name
    assert text.startswith(f"# {name}:")
