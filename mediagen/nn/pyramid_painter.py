"""Paints windows of the plane with a generator that learnt from one picture (mediagen.nn.single_image).

The generator offers `lattice`, `painted(window)`, `noise(plan)`, `amplitudes` and a forward of (noise, plan).
Layout: B batch, C channels, H, W.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field
from mediagen.core.styles import Precision
from mediagen.nn.sheets import to_bytes


class PyramidPainter:
    """The generator's weights in one number format and layout. `compiled` runs it through torch.compile."""

    def __init__(self, model: Any, *, device: torch.device, precision: Precision, compiled: bool = False):
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self.device, self.step = device, model.lattice.step
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.model.to(device, self.dtype).to(memory_format=torch.channels_last)
        self.model.amplitudes = model.amplitudes.to(device)  # these are numbers, not weights: never rounded
        self.run = torch.compile(self.model, dynamic=False) if compiled else self.model

    @torch.inference_mode()
    def paint(self, windows: Sequence[Window], fields: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """uint8 (B, height, width, 3); the windows share one shape and lie whole lattice steps apart.

        Rows and columns beyond a bounded axis are black.
        """
        first = windows[0]
        # Planned for the same window near 0, so that every block runs the same graph with the same numbers.
        local = Window(first.x % self.step, self._near(first.y), first.width, first.height)
        assert all((w.x - local.x) % self.step == 0 and self._near(w.y) == local.y for w in windows)
        painted = np.zeros((len(windows), first.height, first.width, 3), np.uint8)
        plan = self.model.painted(local)
        if plan is not None:
            z = [self._batch([drawn[i] for drawn in fields]) for i in range(len(fields[0]))]
            rows, columns = plan.out[0].within(local.rows), plan.out[1].within(local.columns)
            painted[:, rows, columns] = arrays(self.run(z, plan))
        return painted

    def _near(self, y: int) -> int:
        return y if self.model.rows is not None else y % self.step

    def _batch(self, arrays: Sequence[np.ndarray]) -> Tensor:
        stacked = torch.from_numpy(arrays[0])[None] if len(arrays) == 1 else torch.from_numpy(np.stack(arrays))
        return stacked.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)


def arrays(pictures: Tensor) -> np.ndarray:
    """Pictures (B, 3, H, W) in [-1, 1] as uint8 (B, H, W, 3)."""
    found: np.ndarray = to_bytes(pictures).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return found


def noise_of(fields: Sequence[Any], seed: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """The noise that `fields` ask for, by position: float32 (1, C, h, w) each."""
    return [torch.from_numpy(random_field(seed, f.name, f.channels, f.window))[None].to(device) for f in fields]


def fresh_noise(fields: Sequence[Any], batch: int, rng: torch.Generator) -> list[Tensor]:
    """The noise that `fields` ask for, from a generator, for training: float32 (batch, C, h, w) each, channels last."""
    shapes = [(batch, f.window.height, f.window.width, f.channels) for f in fields]
    return [torch.randn(shape, generator=rng, device=rng.device).permute(0, 3, 1, 2) for shape in shapes]


def window_of(model: Any, window: Window, seed: int, device: torch.device | str = "cpu") -> np.ndarray:
    """A window of the plane of one seed in fp32, uint8 (height, width, 3), without copying the model."""
    plan = model.painted(window)
    assert plan is not None, f"{window} lies beyond the picture"
    with torch.no_grad():
        return arrays(model(noise_of(model.noise(plan), seed, device), plan))[0]
