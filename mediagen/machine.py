"""The machine that something is made on: its devices, its versions, and the identity of a model on it."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from mediagen.core.provenance import versions
from mediagen.errors import UsageError


def device_of(name: str | None) -> torch.device:
    """auto (or None), cpu, cuda or cuda:N. Raises UsageError for a device that is not there."""
    if name in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
    except RuntimeError:
        raise UsageError(f"there is no device {name!r}; choose auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no device {name!r}; this machine has {torch.cuda.device_count()} CUDA devices")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"{name!r} is not supported; choose auto, cpu, cuda or cuda:N")
    return device


def whole(name: str, value: Any, least: int | None = None) -> int:
    """`value` as an integer. Raises UsageError when it is none, or is below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"{name} must be a whole number, not {value!r}")
    number = int(value.__index__())
    if least is not None and number < least:
        raise UsageError(f"{name} must be at least {least}, not {number}")
    return number


def made_with(device: torch.device, *packages: str) -> dict[str, str]:
    """The versions (torch's, ours and those of `packages`) and the device that decide an output's last bits."""
    from mediagen import __version__

    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return {**versions(*packages), "torch": torch.__version__, "mediagen": __version__, "device": name}


def identity(model: Any) -> dict[str, str]:
    """Name and hash of a model: of its checkpoint's file, or of its tensors when it was not loaded from one."""
    info = getattr(model, "mediagen", None)
    if info is not None:
        return {"name": info.name, "model": info.model, "sha256": info.sha256}
    digest = hashlib.sha256()
    state: dict[str, torch.Tensor] = model.state_dict() if hasattr(model, "state_dict") else {}
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().float().numpy().tobytes())
    return {"name": type(model).__name__, "model": type(model).__name__, "sha256": digest.hexdigest()}
