"""Several processes started by `torchrun`, each with its share of every batch; one process needs no group."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from mediagen.errors import UsageError


@dataclass(frozen=True)
class World:
    """This process's place among `size` processes. Rank 0 alone writes files and messages."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Adds the tensors up over all processes, in place, as one flat buffer."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process: all of them stop after the same iteration."""
        if self.size == 1:
            return flag
        raised = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(raised)
        return bool(raised.item() > 0)

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()


def join_world(device: str) -> World:
    """Reads rank and size from torchrun's environment, joins the group, picks the device (auto, cpu, cuda:N)."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(f"cuda:{local}" if device == "cuda" else device)
    except RuntimeError:
        raise UsageError(f"there is no device {device!r}; say auto, cpu or cuda:N") from None
    if chosen.type == "cuda":
        if not torch.cuda.is_available() or (chosen.index or 0) >= torch.cuda.device_count():
            raise UsageError(f"there is no device {device!r} on this machine; say auto or cpu")
        torch.cuda.set_device(chosen)
    if size > 1 and not dist.is_initialized():
        # Optimisers import this at their first step, and functions in it take the group that exists by then as a
        # default argument: it would outlive destroy_process_group, and its threads would abort the process at its end.
        importlib.import_module("torch._dynamo")
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(rank, size, chosen)


def leave_world(world: World) -> None:
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()
