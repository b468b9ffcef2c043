"""How a network's weights lie in memory: channels last, which convolutions on CPUs and GPUs are fastest with."""

from __future__ import annotations

import torch
from torch import nn

LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By a tensor's number of axes; a network may hold both, so no single format can be asked of all of it."""


def channels_last(network: nn.Module) -> None:
    """Lays every weight with two or three axes of space and time out channels last, in place."""
    for parameter in network.parameters():
        layout = LAYOUTS.get(parameter.dim())
        if layout is not None:
            parameter.data = parameter.data.contiguous(memory_format=layout)
