"""One optimiser step, on the shares of a batch that fall to this process.

A batch is cut into `parts` equal shares, each with its own generator keyed by (seed, iteration, phase, share).
Processes take shares in turn, so a result depends on the number of shares and not on the number of processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from mediagen.models._spec import Batch, Objective, Phase
from mediagen.train.distributed import World


def key(*words: object) -> int:
    """63 bits out of any words: the seed of a generator."""
    digest = hashlib.blake2b("\0".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device, *words: object) -> torch.Generator:
    """A fresh generator on `device`, keyed by the words."""
    return torch.Generator(device).manual_seed(key(*words))


def shares(batch: Mapping[str, Tensor], parts: int, world: World) -> list[tuple[int, Batch]]:
    """This process's shares of a whole batch, each with its number."""
    mine = range(world.rank, parts, world.size)
    cut = {name: tensor.tensor_split(parts) for name, tensor in batch.items()}
    return [(part, {name: pieces[part] for name, pieces in cut.items()}) for part in mine]


def run_phase(
    phase: Phase,
    objective: Objective,
    batch: Sequence[tuple[int, Batch]],
    *,
    parts: int,
    world: World,
    precision: Callable[[], AbstractContextManager[object]],
    words: Sequence[object],
) -> dict[str, Tensor]:
    """Backward over every share, gradients summed over processes, one step. Returns this process's mean scalars."""
    optimizer = objective.optimizers[phase.optimizer]
    moved = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    optimizer.zero_grad(set_to_none=True)
    carried = _Carried(objective, parts, world)
    scalars: dict[str, Tensor] = {}
    for part, share in batch:
        rng = generator(world.device, *words, phase.name, part)
        with precision():
            loss, found = phase.loss(share, rng)
        (loss / parts).backward(inputs=moved)
        for name, value in found.items():
            value = torch.as_tensor(value, dtype=torch.float32).detach() / len(batch)
            scalars[name] = scalars[name] + value if name in scalars else value
        carried.next()
    carried.finish()
    world.sum_([p.grad for p in moved if p.grad is not None])
    optimizer.step()
    if phase.after is not None:
        phase.after()
    return scalars


MEANS, COUNTS = ("running_mean", "running_var"), ("num_batches_tracked", "met")
"""How the buffers are called in which norms keep their statistics, and those that count what was met."""


class _Carried:
    """What moves while losses are computed: the objective's own state, and the networks' running statistics.

    Every share starts from the same means and leaves its own; what goes on is the mean of those, as if the shares had
    run side by side. Rank 0's would follow its shares alone, and a result would depend on the number of processes.
    Counts are added up over the processes.
    """

    def __init__(self, objective: Objective, parts: int, world: World) -> None:
        self.parts, self.world = parts, world
        buffers = [pair for network in objective.networks.values() for pair in network.named_buffers()] * (parts > 1)
        own = list(objective.state.values()) * (parts > 1)
        means = [tensor for name, tensor in buffers if name.endswith(MEANS)]
        self.live = [tensor for tensor in [*own, *means] if tensor.is_floating_point()]
        self.start = [tensor.detach().clone() for tensor in self.live]
        self.total = [torch.zeros_like(tensor) for tensor in self.start]
        self.counts = [tensor for name, tensor in buffers if name.endswith(COUNTS)] * (world.size > 1)
        self.counted = [tensor.clone() for tensor in self.counts]

    @torch.no_grad()
    def next(self) -> None:
        for live, start, total in zip(self.live, self.start, self.total, strict=True):
            total.add_(live)
            live.copy_(start)

    @torch.no_grad()
    def finish(self) -> None:
        new = [live - before for live, before in zip(self.counts, self.counted, strict=True)]
        self.world.sum_([*self.total, *new])
        for live, total in zip(self.live, self.total, strict=True):
            live.copy_(total / self.parts)
        for live, before, more in zip(self.counts, self.counted, new, strict=True):
            live.copy_(before + more)
