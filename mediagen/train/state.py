"""The state of a training: everything the next iteration depends on, in one file that is replaced as a whole.

Tensor names: `network/NAME/...`, `average/NAME/...`, `state/NAME`, and optimiser slots by the parameter they belong to,
`slot/OPTIMIZER/SLOT/NETWORK/PARAMETER`, so that a grown network can take over what still fits. Random numbers need no
state: every draw is keyed by (seed, iteration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mediagen.checkpoint import FORMAT, read_tensors, write_tensors
from mediagen.errors import CheckpointError
from mediagen.io.files import storing, sync_folder
from mediagen.models._spec import Objective
from mediagen.train.ema import Averages

PLAIN = (bool, int, float, str, tuple, list, type(None))
STATE, FRESH, PREVIOUS = "state.safetensors", ".state.safetensors.new", "state.previous.safetensors"


@dataclass
class Progress:
    """How far a training has come: iterations done, pictures or clips seen, and its best snapshot so far."""

    iteration: int = 0
    seen: int = 0
    best_measure: float | None = None
    best_iteration: int = 0


def save_state(
    run: Path, objective: Objective, averages: Averages, progress: Progress, settings: Mapping[str, Any]
) -> None:
    """Replaces the run's state file and keeps the one before. Raises StoreError when it cannot be written."""
    slots, groups = _optimizer_tensors(objective)
    header = {
        "format": FORMAT,
        "kind": "state",
        "model": settings["model"],
        # A training that is later made longer must leave the same bytes on its way.
        "settings": {name: value for name, value in settings.items() if name != "iterations"},
        "progress": vars(progress),
        "optimizers": groups,
    }
    write_tensors(run / FRESH, {**_own_tensors(objective, averages), **slots}, header)
    with storing(run):
        if (run / STATE).exists():
            (run / STATE).replace(run / PREVIOUS)
        (run / FRESH).replace(run / STATE)
        sync_folder(run)


def load_state(run: Path, objective: Objective, averages: Averages) -> Progress | None:
    """Restores the newest whole state of a run in place; None when it has none. Raises CheckpointError."""
    newest = newest_state(run)
    if newest is None:
        return None
    path, tensors, header = newest
    own = _own_tensors(objective, averages)
    missing = [name for name in own if name not in tensors]
    odd = [name for name, tensor in own.items() if name in tensors and tensors[name].shape != tensor.shape]
    if missing or odd:
        fault = (missing + odd)[0]
        raise CheckpointError(f"{path}: does not fit the model: {fault!r}; choose another --out, or --overwrite")
    _copy(tensors, own)
    _restore_optimizers(objective, tensors, header.get("optimizers", {}))
    return Progress(**header["progress"])


def newest_state(run: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any]] | None:
    """The run's state, or the one before when a crash or a full disk has left the newest unreadable."""
    broken: CheckpointError | None = None
    for path in (run / STATE, run / FRESH, run / PREVIOUS):
        if path.exists():
            try:
                tensors, header = read_tensors(path)
            except CheckpointError as error:
                broken = broken or error
                continue
            if header.get("kind") == "state":
                return path, tensors, header
    if broken is not None:
        raise broken
    return None


def start_from(source: Path, objective: Objective, averages: Averages) -> tuple[int, int]:
    """Takes over what fits of another training (its folder or state file) or checkpoint: equal names and shapes.

    Returns how many of the objective's network tensors matched, and how many there are.
    """
    if source.is_dir():
        newest = newest_state(source)
        if newest is None:
            raise CheckpointError(f"{source}: holds no {STATE}; give a training's folder, a state file or a checkpoint")
        _, tensors, header = newest
    else:
        tensors, header = read_tensors(source)
    if header.get("kind") == "generator":
        tensors = {f"{kind}/{objective.output}/{k}": v for kind in ("network", "average") for k, v in tensors.items()}
    tensors |= _averages_for_frozen(objective, tensors)
    own = _own_tensors(objective, averages)
    fitting = {name: t for name, t in own.items() if name in tensors and tensors[name].shape == t.shape}
    _copy(tensors, fitting)
    _restore_optimizers(objective, tensors, {})
    networks = [name for name in own if name.startswith("network/")]
    return sum(name in fitting for name in networks), len(networks)


def _averages_for_frozen(objective: Objective, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is not trained any further takes the average's weights, which are the better ones and the ones shipped."""
    frozen = [
        f"{n}/{k}" for n, net in objective.networks.items() for k, p in net.named_parameters() if not p.requires_grad
    ]
    return {f"network/{name}": tensors[f"average/{name}"] for name in frozen if f"average/{name}" in tensors}


def _own_tensors(objective: Objective, averages: Averages) -> dict[str, Tensor]:
    """References to every tensor of networks, averages and the objective's own state, by name."""
    found: dict[str, Tensor] = {}
    for kind, networks in (("network", objective.networks), ("average", averages.networks)):
        for name, network in networks.items():
            found |= {f"{kind}/{name}/{key}": tensor for key, tensor in network.state_dict().items()}
    return found | {f"state/{name}": tensor for name, tensor in objective.state.items()}


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    for name, target in targets.items():
        target.copy_(source[name])


def _parameter_names(objective: Objective, optimizer: str) -> dict[str, torch.nn.Parameter]:
    """The optimiser's parameters by `NETWORK/PARAMETER`; those of no network are numbered."""
    known = {id(p): f"{n}/{k}" for n, network in objective.networks.items() for k, p in network.named_parameters()}
    listed = [p for group in objective.optimizers[optimizer].param_groups for p in group["params"]]
    return {known.get(id(p), f"-/{i}"): p for i, p in enumerate(listed)}


def _optimizer_tensors(objective: Objective) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Every slot as a tensor, and the plain settings (learning rates and the like) of every group."""
    slots: dict[str, Tensor] = {}
    groups: dict[str, Any] = {}
    for name, optimizer in objective.optimizers.items():
        for owner, parameter in _parameter_names(objective, name).items():
            for slot, value in optimizer.state.get(parameter, {}).items():
                if value is not None:
                    slots[f"slot/{name}/{slot}/{owner}"] = torch.as_tensor(value)
        groups[name] = [
            {k: v for k, v in group.items() if k != "params" and isinstance(v, PLAIN)}
            for group in optimizer.param_groups
        ]
    return slots, groups


def _restore_optimizers(objective: Objective, tensors: Mapping[str, Tensor], groups: Mapping[str, Any]) -> None:
    """Gives every parameter its slots back (those whose shape fits), in the parameter's own memory layout."""
    by_owner: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("slot/"):
            _, name, slot, owner = key.split("/", 3)
            by_owner.setdefault((name, owner), {})[slot] = tensor
    for name, optimizer in objective.optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for i, (owner, parameter) in enumerate(_parameter_names(objective, name).items()):
            found = by_owner.get((name, owner), {})
            if found and all(t.dim() == 0 or t.shape == parameter.shape for t in found.values()):
                state[i] = {slot: _laid_out(tensor, parameter) for slot, tensor in found.items()}
        current = optimizer.state_dict()
        for group, saved in zip(current["param_groups"], groups.get(name, []), strict=False):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})
        optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def _laid_out(slot: Tensor, parameter: Tensor) -> Tensor:
    return slot if slot.dim() == 0 else torch.empty_like(parameter).copy_(slot)
