"""A tiny real canvas model: two upsamplings and three unpadded convolutions over z_l, pixel noise, colours by style."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from mediagen.core.geometry import Conv, Field, Interval, Lattice, Layer, Up, Window, receptive_field
from mediagen.core.seeds import random_field
from mediagen.core.styles import Precision, StyleMap

LAYERS: tuple[Layer, ...] = (Conv(3), Up(), Conv(3), Up(), Conv(3))
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}


class Meadow:
    """Blocks are multiples of 4 px; the scene is 64 rows around the horizon. `delay` seconds are slept a block."""

    lattice = Lattice(4, 0, -32)
    scene = Window(0, -32, 64, 64)
    cell = (4, 4)

    def __init__(self, weights: int = 0, delay: float = 0.0) -> None:
        rng = np.random.default_rng(weights)
        self.delay = delay
        self.weights = [torch.from_numpy(rng.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32)) for _ in LAYERS]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {str(i): weight for i, weight in enumerate(self.weights)}

    def fields(self, window: Window) -> list[Field]:
        read = Window.of(*(receptive_field(LAYERS, axis) for axis in (window.columns, window.rows)))
        return [Field("z_l", 4, read), Field("z_n", 1, window)]

    def cost(self, window: Window) -> int:
        return sum(144 * len(columns) * len(rows) for columns, rows in self.outputs(window))

    def ideal_cost(self, window: Window) -> float:
        return 144 * window.area * sum(1 / stride**2 for stride in (4, 2, 2, 1, 1))

    def outputs(self, window: Window) -> list[tuple[Interval, Interval]]:
        """(columns, rows) that each layer makes."""
        return [
            (receptive_field(LAYERS[i + 1 :], window.columns), receptive_field(LAYERS[i + 1 :], window.rows))
            for i in range(len(LAYERS))
        ]

    def memory(self, window: Window, precision: Precision) -> int:
        return window.area * 4 * 4 * 3

    def painter(
        self, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ) -> MeadowPainter:
        return MeadowPainter(self, styles, TYPES[precision])


class MeadowPainter:
    def __init__(self, model: Meadow, styles: StyleMap, dtype: torch.dtype) -> None:
        self.model, self.styles, self.dtype = model, styles, dtype

    def colours(self, window: Window) -> torch.Tensor:
        """Style colours (4, h|1, w)."""
        centres = self.styles.centres(window)
        latents = [
            random_field(c.seed if c.texture_seed is None else c.texture_seed, "z_g", 4, Window(c.index, 0, 1, 1))
            for c in centres
        ]
        weights = self.styles.weights(window, centres, 1)
        return torch.from_numpy(sum(w[None] * z for w, z in zip(weights, latents, strict=True)))

    @torch.inference_mode()
    def paint(self, windows: Sequence[Window], fields: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        time.sleep(self.model.delay * len(windows))
        x = torch.from_numpy(np.stack([drawn[0] for drawn in fields])).to(self.dtype)
        noise = torch.from_numpy(np.stack([drawn[1] for drawn in fields])).to(self.dtype)
        first = windows[0]
        have = tuple(receptive_field(LAYERS, axis) for axis in (first.columns, first.rows))
        for layer, weight, out in zip(LAYERS, self.model.weights, self.model.outputs(first), strict=True):
            weight = weight.to(self.dtype)
            if isinstance(layer, Up):
                made = tuple(layer.makes(axis) for axis in have)
                x = F.conv_transpose2d(x, weight, stride=2)[:, :, 1:-1, 1:-1]
                x = x[:, :, out[1].within(made[1]), out[0].within(made[0])]
            else:
                x = F.conv2d(x, weight)
            x, have = F.leaky_relu(x, 0.2), out
        tint = torch.stack([self.colours(window).expand(4, first.height, first.width) for window in windows])
        x = torch.tanh(x + 0.3 * noise + tint.to(self.dtype))
        levels = x[:, :3].float().mul(127.5).add(128).clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().numpy()


def tree(root: Path) -> dict[str, str]:
    """Every file below a folder, and beside a canvas every other file, with the hash of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


SMALL = {"block": (64, 64), "shard": (64, 64), "chunk": 32, "precision": "fp32", "style_every": 100}
"""Arguments of `paint` that make many blocks and shards of a small canvas."""


def main() -> None:
    """`python meadow.py PATH DELAY`: paints a canvas slowly, to be killed."""
    from mediagen.canvas.paint import paint

    torch.set_num_threads(1)
    paint(Meadow(delay=float(sys.argv[2])), sys.argv[1], width=700, height=150, y=-70, x=-33, seed=3, **SMALL)


if __name__ == "__main__":
    main()
