"""Checkpoints: one .safetensors file of tensors, with a JSON header: which model they are and how they were made.

No pickle anywhere. A file is data from a stranger: its header, configuration and tensor shapes are checked, the last
against a network built without memory (torch's meta device), before a network is built. torch is imported only where
tensors are touched, so that a header can be read quickly.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediagen.core.config import from_dict, to_dict
from mediagen.errors import CheckpointError, UsageError
from mediagen.io.files import storing, write_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mediagen.models._spec import ModelSpec

KEY = "mediagen"
FORMAT = 1
WEIGHTS = Path(__file__).parent / "weights"
MAX_BYTES = 2**33
MAX_HEADER = 2**24
MAX_TENSORS = 20_000


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a loaded network carries as `.mediagen`: `config` is the model's dataclass, `header` the JSON header."""

    name: str
    model: str
    config: Any
    sha256: str
    header: Mapping[str, Any]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """One .safetensors file, whole or not at all. Equal tensors and header make equal bytes. Raises StoreError."""
    from safetensors.torch import save

    text = json.dumps(header, sort_keys=True, allow_nan=False)
    # Own memory and plain layout for each: the format refuses tensors that share storage or are not contiguous.
    data = save({name: _plain_copy(tensor) for name, tensor in tensors.items()}, metadata={KEY: text})
    with storing(path):
        write_file(path, data)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU, as stored) and the JSON header of a file of ours. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path)
    try:
        return load_file(str(path), device="cpu"), header
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: truncated or damaged: {error}") from None


def save_checkpoint(
    path: Path | str,
    network_state: Mapping[str, Tensor],
    *,
    model: str,
    config: Any,
    ema: bool,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    latents: Mapping[str, str],
    half: bool = False,
) -> None:
    """Writes a network's tensors with their header. `config` is the model's dataclass; `half` stores floats as fp16."""
    import torch

    header = {
        "format": FORMAT,
        "kind": "generator",
        "model": model,
        "config": to_dict(config),
        "ema": ema,
        "data": dict(data),
        "training": dict(training),
        "latents": dict(latents),
    }
    narrow = {k: v.to(torch.float16) if half and v.is_floating_point() else v for k, v in network_state.items()}
    write_tensors(Path(path), narrow, header)


def repack(
    source: Path | str, target: Path | str, *, half: bool = True, notes: Mapping[str, Any] | None = None
) -> None:
    """Rewrites a checkpoint for shipping: floats as fp16, `notes` (credits, say) added to its training record."""
    import torch

    tensors, header = read_tensors(resolve(source)[1])
    tensors = {k: v.to(torch.float16) if half and v.dtype == torch.float32 else v for k, v in tensors.items()}
    write_tensors(Path(target), tensors, {**header, "training": {**header.get("training", {}), **(notes or {})}})


def bundled() -> list[str]:
    """The names of the checkpoints that ship in the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def resolve(name: Path | str) -> tuple[str, Path]:
    """A bundled name, a file, or a training's folder -> (a name without folders, the file). Raises CheckpointError."""
    path = Path(name)
    if path.is_dir():
        inner = path / "generator.safetensors"
        if not inner.is_file():
            raise CheckpointError(f"{path}: holds no generator.safetensors; give a training's folder, or a file")
        return path.resolve().name, inner
    if path.is_file():
        return path.stem, path
    if isinstance(name, str) and name in bundled():
        return name, WEIGHTS / f"{name}.safetensors"
    known = f"; bundled ones: {', '.join(bundled())}" if bundled() else ""
    raise CheckpointError(f"{name}: no such checkpoint file, training folder or bundled name{known}")


def read_header(path: Path | str) -> dict[str, Any]:
    """The JSON header of a file of ours, read without torch. Raises CheckpointError on anything else."""
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            file.seek(8)
            # Byte 8 opens the JSON of a .safetensors, whose length before it may well begin like a pickle does.
            if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
                raise CheckpointError(f"{path}: a pickle (torch.save), which can run code; only .safetensors are read")
            if size < 8 or length > MAX_HEADER or 8 + length > size or size > MAX_BYTES:
                raise CheckpointError(f"{path}: no .safetensors file, or a truncated one ({size} bytes)")
            table = json.loads(file.read(length))
        header = json.loads(table["__metadata__"][KEY])
        stop = max((entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"), default=0)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, IndexError):
        raise CheckpointError(f"{path}: a .safetensors file, but not one that mediagen wrote") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: the header is damaged; fetch or train it again") from None
    if not isinstance(stop, int) or 8 + length + stop != size:
        raise CheckpointError(f"{path}: truncated: {size} bytes are there; fetch or train it again")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: written in another version's format; this version reads format {FORMAT}")
    return header


def load(name: Path | str, device: torch.device | str = "cpu", *, spec: ModelSpec | None = None) -> nn.Module:
    """The network of a checkpoint (bundled name, file or training folder), in fp32, ready to render, on `device`.

    It carries a CheckpointInfo as `.mediagen`. `spec` stands in for a model that is not part of mediagen.
    Raises CheckpointError.
    """
    import torch

    from mediagen import models

    short, path = resolve(name)
    header = read_header(path)
    model = header.get("model")
    if header.get("kind") != "generator" or not isinstance(model, str):
        raise CheckpointError(f"{path}: a training's state, not a checkpoint; give the training's folder instead")
    if spec is None and model not in models.names():
        known = ", ".join(models.names())
        raise CheckpointError(f"{path}: of a model {model!r} that this version does not have; it has: {known}")
    spec = spec or models.spec(model)
    config = _checked_config(path, spec, header)
    tensors, _ = read_tensors(path)
    _check_tensors(path, spec, config, tensors)
    # Construction draws initial weights from the global generator, which is not ours to advance.
    with torch.random.fork_rng(devices=[]):
        network = spec.build(config)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    digest = file_sha256(path)
    info = CheckpointInfo(name=short, model=model, config=config, sha256=digest, header=header)
    network = network.to(device).eval().requires_grad_(False)
    object.__setattr__(network, "mediagen", info)
    return network


def file_sha256(path: Path | str) -> str:
    path = Path(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain_copy(tensor: Tensor) -> Tensor:
    import torch

    return tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)


def _checked_config(path: Path, spec: ModelSpec, header: Mapping[str, Any]) -> Any:
    try:
        return from_dict(spec.config, header.get("config", {}))
    except UsageError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check_tensors(path: Path, spec: ModelSpec, config: Any, tensors: Mapping[str, Tensor]) -> None:
    """Names, shapes and values against a network that has shapes but no memory. Raises CheckpointError."""
    import torch

    if len(tensors) > MAX_TENSORS:
        raise CheckpointError(f"{path}: {len(tensors)} tensors are more than any model here has")
    try:
        with torch.device("meta"):
            state = spec.build(config).state_dict()
    except (RuntimeError, ValueError, TypeError, AssertionError, ArithmeticError, LookupError, MemoryError) as error:
        raise CheckpointError(f"{path}: its configuration makes no network: {str(error).splitlines()[0]}") from None
    wanted = {name: (tuple(tensor.shape), tensor.is_floating_point()) for name, tensor in state.items()}
    for name in sorted(wanted.keys() ^ tensors.keys()):
        fault = "lacks the tensor" if name in wanted else "has a tensor that the model lacks,"
        raise CheckpointError(f"{path}: {fault} {name[:100]!r}; it is of another version or damaged")
    for name, tensor in tensors.items():
        shape, floating = wanted[name]
        if tuple(tensor.shape) != shape or tensor.is_floating_point() != floating:
            found = f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
            raise CheckpointError(f"{path}: tensor {name!r} is {found}, its configuration asks for {shape}")
        if floating and not math.isfinite(float(tensor.float().abs().sum())):
            raise CheckpointError(f"{path}: tensor {name!r} holds values that are not finite")
