"""Modulated convolutions under a map of styles: folded where one style rules, fused where several meet.

Spatial style fusion is InfinityGAN's (section 4.3, appendix with Fig. 33): the styles of N centres are mixed at every
position with weights that sum to 1. An affine of a mixture is the mixture of affines: s(y, x) = sum_n m_n(y, x) s_n;
features are scaled by s, convolved with the shared weight, and scaled by d(y, x). Exact where one style rules alone.

Layout: B batch, C channels, H, W; N centres; D latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field
from mediagen.core.styles import Centre, Precision, StyleMap
from mediagen.nn.coordinates import lattice_coordinates
from mediagen.nn.modulated import ModulatedConv2d, demodulation

Convolve = Callable[[ModulatedConv2d, Tensor, int | None, Window, Window, int], Tensor]
"""(layer, input, texture slot or None for structure, input and output window, pixels per input position) -> output."""


def per_sample(z_g: Tensor, w: Tensor) -> Convolve:
    """The training form: z_g (B, D) rules the structure, w (B, L, D) the L texture slots, one style per sample."""
    return lambda layer, x, slot, *_: layer(x, z_g if slot is None else w[:, slot])


CACHED_CENTRES = 32
"""How many centres' folded weights are kept: a wide canvas meets ever new ones, and memory must not grow with it."""


class StyledConvolution:
    """Modulated convolutions for blocks of a canvas. `latent(centre, structure)` gives a centre's (D,) latent."""

    def __init__(
        self, styles: StyleMap, latent: Callable[[Centre, bool], Tensor], *, device: torch.device, dtype: torch.dtype
    ):
        self.styles, self.latent, self.device, self.dtype = styles, latent, device, dtype
        self.folded: dict[Centre, dict[ModulatedConv2d, Tensor]] = {}
        self.shared: dict[ModulatedConv2d, Tensor] = {}

    def ready(self, weight: Tensor) -> Tensor:
        """The layout and type in which a convolution is fastest; made once, since casting each time loses the gain."""
        return weight.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def uniform(self, layer: ModulatedConv2d, x: Tensor, centre: Centre, structure: bool) -> Tensor:
        """One style everywhere: a plain convolution with the style folded into the weight."""
        if centre not in self.folded and len(self.folded) >= CACHED_CENTRES:
            self.folded.pop(next(iter(self.folded)))
        weights = self.folded.setdefault(centre, {})
        if layer not in weights:
            s = layer.affine(self.latent(centre, structure)[None])[0]
            weights[layer] = self.ready(layer.folded(s))
        return layer.convolve(x, weights[layer])

    def fused(
        self,
        layer: ModulatedConv2d,
        x: Tensor,
        centres: Sequence[Centre],
        structure: bool,
        read: Sequence[Window],
        out: Sequence[Window],
        stride: int,
    ) -> Tensor:
        """Several styles: x (B, C, H, W) spans `read[b]`, on the lattice of `stride` pixels; the output `out[b]`."""
        if layer not in self.shared:
            self.shared[layer] = self.ready(layer.weight * layer.scale)
        s_n = torch.stack([layer.affine(self.latent(centre, structure)[None])[0] for centre in centres])
        y = layer.convolve(x * self.spread(s_n, centres, read, stride).to(self.dtype), self.shared[layer])
        if not layer.demodulate:
            return y
        s = self.spread(s_n, centres, out, stride // 2 if layer.mode == "up" else stride)
        return y.mul_((layer.gain * demodulation(layer.weight * layer.scale, s)).to(self.dtype))

    def spread(self, s_n: Tensor, centres: Sequence[Centre], windows: Sequence[Window], stride: int) -> Tensor:
        """s (B, C, H|1, W) from the centres' s_n (N, C) and the map's weights over each window."""
        weights = [torch.from_numpy(self.styles.weights(w, centres, stride)) for w in windows]
        return torch.einsum("bnhw,nc->bchw", torch.stack(weights).to(self.device), s_n)


class StyledPainter:
    """Paints windows of the plane with a generator whose every convolution is modulated, under a map of styles.

    The generator offers `plan(interval)`, `synthesise(...)`, `mapping` and a `config` with `scale`, `latent` and what
    mediagen.nn.coordinates reads.
    """

    def __init__(
        self, model: Any, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ):
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self.model, self.styles, self.device = model.to(device).eval().requires_grad_(False), styles, device
        self.synthesise = torch.compile(model.synthesise, dynamic=False) if compiled else model.synthesise
        self.convolution = StyledConvolution(styles, self.latent, device=device, dtype=self.dtype)

    def latent(self, centre: Centre, structure: bool) -> Tensor:
        """A style centre's z_g for the structure, or its w for the texture, (D,)."""
        seed = centre.seed if structure or centre.texture_seed is None else centre.texture_seed
        z_g = torch.from_numpy(
            random_field(seed, "z_g", self.model.config.latent, Window(centre.index, 0, 1, 1))[:, 0, 0]
        )
        z_g = z_g.to(self.device)
        return z_g if structure else self.model.mapping(z_g[None])[0]

    @torch.inference_mode()
    def paint(self, windows: Sequence[Window], fields: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """uint8 (B, height, width, 3); the windows share one shape and lie whole cells apart."""
        first, config, scale = windows[0], self.model.config, self.model.config.scale
        moves = [(w.x - first.x, w.y - first.y) for w in windows]
        assert all(x % scale == 0 and y % scale == 0 for x, y in moves)
        rows, columns = self.model.plan(first.rows), self.model.plan(first.columns)
        reach = Window.of(columns[0].read, rows[0].read)
        near = [
            Window(reach.x * scale + x, reach.y * scale + y, reach.width * scale, reach.height * scale)
            for x, y in moves
        ]
        centres = list(dict.fromkeys(centre for window in near for centre in self.styles.centres(window)))

        def convolve(
            layer: ModulatedConv2d, x: Tensor, slot: int | None, read: Window, out: Window, stride: int
        ) -> Tensor:
            if len(centres) == 1:
                return self.convolution.uniform(layer, x, centres[0], slot is None)
            step = stride // 2 if layer.mode == "up" else stride
            reads = [Window(read.x + x // stride, read.y + y // stride, read.width, read.height) for x, y in moves]
            outs = [Window(out.x + x // step, out.y + y // step, out.width, out.height) for x, y in moves]
            return self.convolution.fused(layer, x, centres, slot is None, reads, outs, stride)

        z_l, *noise = [self.batch([drawn[i] for drawn in fields]) for i in range(len(fields[0]))]
        c = lattice_coordinates(config, rows[0].read, columns[0].read, [(x // scale, y // scale) for x, y in moves])
        _, picture = self.synthesise(z_l, c.to(self.device, self.dtype), noise, rows, columns, convolve)
        levels = picture.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)
        painted: np.ndarray = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return painted

    def batch(self, arrays: Sequence[np.ndarray]) -> Tensor:
        stacked = torch.from_numpy(arrays[0])[None] if len(arrays) == 1 else torch.from_numpy(np.stack(arrays))
        return stacked.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class OneStyle:
    """The simplest style map: one centre for the whole plane."""

    seed: int

    def centres(self, window: Window) -> list[Centre]:
        return [Centre(0.0, 0.0, self.seed)]

    def weights(self, window: Window, centres: Sequence[Centre], stride: int) -> np.ndarray:
        return np.ones((len(centres), 1, window.width), np.float32)


def strips(model: Any, seeds: Sequence[int], device: torch.device) -> np.ndarray:
    """A preview (rows, columns, 3) uint8: one strip a seed, the scene's height and about three times as wide."""
    made, scale, side = [], model.config.scale, model.scene.height
    window = Window(0, model.scene.y, -(-3 * side // scale) * scale, side)
    for seed in seeds:
        painter = StyledPainter(model, OneStyle(seed), device=device, precision="fp32")
        made.append(
            painter.paint([window], [[random_field(seed, f.name, f.channels, f.window) for f in model.fields(window)]])[
                0
            ]
        )
    return np.concatenate(made)
