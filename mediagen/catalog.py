"""What there is to paint with: the models, their presets, and the checkpoints that ship in the package. Plain data."""

from __future__ import annotations

from typing import Any

from mediagen import checkpoint, models
from mediagen.core.config import to_dict
from mediagen.errors import CheckpointError, UsageError


def bundled() -> list[dict[str, Any]]:
    """One record per checkpoint in the package, from the files' headers alone: torch is not imported."""
    return [checkpoint_record(name) for name in checkpoint.bundled()]


def checkpoint_record(name: str) -> dict[str, Any]:
    """What a checkpoint says of itself: `name` may be a bundled name, a file or a run. Raises CheckpointError."""
    short, path = checkpoint.resolve(name)
    header = checkpoint.read_header(path)
    if header.get("kind") != "generator":
        raise CheckpointError(f"{path}: a training's state, not a checkpoint; give the training's folder instead")
    training = header.get("training", {})
    return {
        "name": short,
        "model": header.get("model"),
        "paints": training.get("paints"),
        "licence": training.get("licence"),
        "bytes": path.stat().st_size,
        "sha256": checkpoint.file_sha256(path),
        "averaged": header.get("ema"),
        "config": header.get("config"),
        "latents": header.get("latents"),
        "data": header.get("data"),
        "training": training,
    }


def systems() -> list[dict[str, Any]]:
    """One record per model: name, kind, title, paper, what it makes, names of its presets."""
    return [_system(name) for name in models.names()]


def describe(name: str) -> dict[str, Any]:
    """Everything about one model (with each preset's size) or one checkpoint. Raises UsageError for neither."""
    if name not in models.names() and name not in checkpoint.bundled():
        known = sorted({*models.names(), *checkpoint.bundled()})
        raise UsageError(f"there is no model or bundled checkpoint {name!r}; choose from: {', '.join(known)}")
    found: dict[str, Any] = {}
    if name in models.names():
        spec = models.spec(name)
        presets = {key: {"parameters": parameters(name, key), "config": to_dict(c)} for key, c in spec.presets.items()}
        found["model"] = {**_system(name), "latents": dict(spec.latents), "presets": presets}
    if name in checkpoint.bundled():
        found["checkpoint"] = checkpoint_record(name)
    return found


def parameters(model: str, preset: str) -> int:
    """Learned numbers in the network that is shipped, counted on a network without memory."""
    import torch

    spec = models.spec(model)
    with torch.device("meta"):
        return sum(p.numel() for p in spec.build(spec.presets[preset]).parameters())


def _system(name: str) -> dict[str, Any]:
    spec = models.spec(name)
    return {
        "name": name,
        "kind": spec.kind,
        "title": spec.title,
        "paper": spec.paper,
        "summary": spec.summary,
        "presets": list(spec.presets),
    }
