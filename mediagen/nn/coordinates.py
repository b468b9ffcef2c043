"""The coordinates c = (vertical, cos, sin) of InfinityGAN (section 3.2 and Table 4).

`scenery` saturates upward and downward and turns sideways, `texture` turns both ways, `constant` tells nothing.
Layout: B batch, H rows and W columns of cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from mediagen.core.geometry import Interval


class CoordinateConfig(Protocol):
    """The settings these functions read: `period` in cells, `vertical_step` per cell before the tanh."""

    @property
    def coordinates(self) -> Literal["scenery", "texture", "constant"]: ...
    @property
    def period(self) -> int: ...
    @property
    def vertical_step(self) -> float: ...


def coordinates(config: CoordinateConfig, rows: Tensor, columns: Tensor) -> Tensor:
    """c (B, 3, H, W) in [-1, 1] for cell rows (B, H) and columns (B, W), float64, in cells; both may be fractional."""
    turn = 2 * math.pi / config.period
    if config.coordinates == "constant":
        vertical, phase = torch.zeros_like(rows), torch.zeros_like(columns)
    elif config.coordinates == "texture":
        vertical, phase = torch.sin(rows * turn), columns * turn
    else:
        vertical, phase = torch.tanh(rows * config.vertical_step), columns * turn
    shape = (rows.shape[0], rows.shape[1], columns.shape[1])
    parts = vertical[:, :, None], torch.cos(phase)[:, None], torch.sin(phase)[:, None]
    return torch.stack([part.expand(shape) for part in parts], dim=1).float()


def lattice_coordinates(
    config: CoordinateConfig, rows: Interval, columns: Interval, moves: Sequence[tuple[int, int]]
) -> Tensor:
    """c of whole cells moved by each (x, y); periods are taken in integers first, so no far place loses digits."""

    def cells(interval: Interval, move: int, period: int) -> list[float]:
        return [float((i + move) % period if period else i + move) for i in range(interval.start, interval.stop)]

    turning = config.period if config.coordinates == "texture" else 0
    down = torch.tensor([cells(rows, y, turning) for _, y in moves], dtype=torch.float64)
    right = torch.tensor([cells(columns, x, config.period) for x, _ in moves], dtype=torch.float64)
    return coordinates(config, down, right)
