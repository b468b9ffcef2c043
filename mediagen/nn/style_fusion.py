"""Modulated convolutions under a map of styles: folded where one style rules, fused where several meet.

Spatial style fusion is InfinityGAN's (section 4.3, appendix with Fig. 33): the styles of N centres are mixed at every
position with weights that sum to 1. An affine of a mixture is the mixture of affines: s(y, x) = sum_n m_n(y, x) s_n;
features are scaled by s, convolved with the shared weight, and scaled by d(y, x). Exact where one style rules alone.

Layout: B batch, C channels, H, W; N centres; D latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mediagen.core.geometry import Window
from mediagen.core.seeds import random_field
from mediagen.core.styles import Centre, Precision, StyleMap
from mediagen.nn.coordinates import lattice_coordinates
from mediagen.nn.modulated import ModulatedConv2d, demodulation_of, tap_power
from mediagen.nn.padding_free import styled_layers

Convolve = Callable[[ModulatedConv2d, Tensor, int | None, Window, Window, int], Tensor]
"""(layer, input, texture slot or None for structure, input and output window, pixels per input position) -> output."""


def per_sample(z_g: Tensor, w: Tensor) -> Convolve:
    """The training form: z_g (B, D) rules the structure, w (B, L, D) the L texture slots, one style per sample."""
    return lambda layer, x, slot, *_: layer(x, z_g if slot is None else w[:, slot])


CACHED_WEIGHTS, CACHED_STYLES = 2, 4
"""How many centres' folded weights, and styles, are kept; of a block in which more meet, all. A wide canvas meets ever new
ones: memory must not grow, and small pieces that stay keep the large ones around them from being used again as a whole."""


class StyledConvolution:
    """Modulated convolutions for blocks of a canvas. `latent(centre, structure)` gives a centre's (D,) latent."""

    def __init__(
        self, styles: StyleMap, latent: Callable[[Centre, bool], Tensor], *, device: torch.device, dtype: torch.dtype
    ):
        self.styles, self.latent, self.device, self.dtype = styles, latent, device, dtype
        self.styled: dict[Centre, dict[ModulatedConv2d, Tensor]] = {}
        self.folded: dict[Centre, dict[ModulatedConv2d, Tensor]] = {}
        self.shared: dict[ModulatedConv2d, tuple[Tensor, Tensor]] = {}

    def ready(self, weight: Tensor) -> Tensor:
        """The layout and type in which a convolution is fastest; made once, since casting each time loses the gain."""
        return weight.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def style(self, layer: ModulatedConv2d, centre: Centre, structure: bool, together: int = 1) -> Tensor:
        """s (C,) of one centre for one layer, float32; so many centres are needed `together`."""
        styles = _recent(self.styled, centre, max(CACHED_STYLES, together))
        if layer not in styles:
            styles[layer] = layer.affine(self.latent(centre, structure)[None])[0]
        return styles[layer]

    def weight(self, layer: ModulatedConv2d, centre: Centre, structure: bool) -> Tensor:
        """The layer's weight with one centre's style folded in."""
        weights = _recent(self.folded, centre, CACHED_WEIGHTS)
        if layer not in weights:
            weights[layer] = self.ready(layer.folded(self.style(layer, centre, structure)))
        return weights[layer]

    def fused(
        self,
        layer: ModulatedConv2d,
        x: Tensor,
        centres: Sequence[Centre],
        structure: bool,
        read: Window,
        out: Window,
        stride: int,
    ) -> Tensor:
        """Several styles: x (1, C, H, W) spans `read`, on the lattice of `stride` pixels; the output spans `out`."""
        if layer not in self.shared:
            weight = layer.weight * layer.scale
            self.shared[layer] = self.ready(weight), tap_power(weight)
        weight, power = self.shared[layer]
        s_n = torch.stack([self.style(layer, centre, structure, len(centres)) for centre in centres])
        y = layer.convolve(x * self.ready(self.spread(s_n, centres, read, stride)), weight)
        if not layer.demodulate:
            return y
        s = self.spread(s_n, centres, out, stride // 2 if layer.mode == "up" else stride)
        return y.mul_(self.ready(layer.gain * demodulation_of(power, s)))

    def spread(self, s_n: Tensor, centres: Sequence[Centre], window: Window, stride: int) -> Tensor:
        """s (1, C, H|1, W) from the centres' s_n (N, C) and the map's weights over the window."""
        weights = torch.from_numpy(self.styles.weights(window, centres, stride))
        return torch.einsum("bnhw,nc->bchw", weights[None].to(self.device), s_n)


Kept = TypeVar("Kept")


def _recent(
    cache: dict[Centre, dict[ModulatedConv2d, Kept]], centre: Centre, limit: int
) -> dict[ModulatedConv2d, Kept]:
    """The centre's entries; the one that was not asked for longest leaves when there are too many."""
    cache[centre] = cache.pop(centre, {})
    while len(cache) > limit:
        cache.pop(next(iter(cache)))
    return cache[centre]


class StyledPainter:
    """Paints windows of the plane with a generator whose every convolution is modulated, under a map of styles.

    The generator offers `plan(interval)`, `synthesise(...)`, `mapping`, `structure`, `blocks` and a `config` with `scale`,
    `latent` and what mediagen.nn.coordinates reads. `compiled` runs blocks of a single style through torch.compile.
    """

    def __init__(
        self, model: Any, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ):
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self.model, self.styles, self.device = model.to(device).eval().requires_grad_(False), styles, device
        self.convolution = StyledConvolution(styles, self.latent, device=device, dtype=self.dtype)
        self.run = torch.compile(self.uniform, dynamic=False) if compiled else self.uniform

    def latent(self, centre: Centre, structure: bool) -> Tensor:
        """A style centre's z_g for the structure, or its w for the texture, (D,)."""
        seed = centre.seed if structure or centre.texture_seed is None else centre.texture_seed
        drawn = random_field(seed, "z_g", self.model.config.latent, Window(centre.index, 0, 1, 1))[:, 0, 0]
        z_g = torch.from_numpy(drawn).to(self.device)
        return z_g if structure else self.model.mapping(z_g[None])[0]

    def paint(self, windows: Sequence[Window], fields: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """uint8 (B, height, width, 3); the windows share one shape and lie whole cells apart.

        One after the other: several in one call of a layer make it choose other kernels, whose last bits differ.
        """
        return np.stack([self.paint_one(window, drawn) for window, drawn in zip(windows, fields, strict=True)])

    @torch.inference_mode()
    def paint_one(self, window: Window, fields: Sequence[np.ndarray]) -> np.ndarray:
        """uint8 (height, width, 3)."""
        scale = self.model.config.scale
        # Layers are planned for the same window near 0, so that every block runs the same graph.
        local = Window(window.x % scale, window.y % scale, window.width, window.height)
        move = window.x - local.x, window.y - local.y
        rows, columns = self.model.plan(local.rows), self.model.plan(local.columns)
        reach = Window.of(columns[0].read, rows[0].read)
        near = Window(reach.x * scale + move[0], reach.y * scale + move[1], reach.width * scale, reach.height * scale)
        centres = self.styles.centres(near)
        z_l, *noise = [self.tensor(drawn) for drawn in fields]
        cells = [(move[0] // scale, move[1] // scale)]
        c = lattice_coordinates(self.model.config, rows[0].read, columns[0].read, cells).to(self.device, self.dtype)
        if len(centres) == 1:
            layers = styled_layers(self.model.structure, self.model.blocks)
            weights = [self.convolution.weight(layer, centres[0], structure) for layer, structure in layers]
            picture = self.run(z_l, c, noise, rows, columns, weights)
        else:
            picture = self.model.synthesise(z_l, c, noise, rows, columns, self.fusing(move, centres))[1]
        # As nn.sheets.to_bytes, but in the picture's own number format: so canvases in bf16 were begun, and go on.
        levels = picture.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)
        painted: np.ndarray = levels[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return painted

    def uniform(
        self, z_l: Tensor, c: Tensor, noise: list[Tensor], rows: list[Any], columns: list[Any], weights: list[Tensor]
    ) -> Tensor:
        """Blocks of one style: plain convolutions with folded weights, in the order of the layers."""
        coming = iter(weights)
        picture: Tensor = self.model.synthesise(
            z_l, c, noise, rows, columns, lambda layer, x, *_: layer.convolve(x, next(coming))
        )[1]
        return picture

    def fusing(self, move: tuple[int, int], centres: Sequence[Centre]) -> Convolve:
        """Blocks in which several styles meet; a layer's windows are moved back to where they lie on the plane."""

        def moved(window: Window, stride: int) -> Window:
            return Window(window.x + move[0] // stride, window.y + move[1] // stride, window.width, window.height)

        def convolve(
            layer: ModulatedConv2d, x: Tensor, slot: int | None, read: Window, out: Window, stride: int
        ) -> Tensor:
            step = stride // 2 if layer.mode == "up" else stride
            return self.convolution.fused(
                layer, x, centres, slot is None, moved(read, stride), moved(out, step), stride
            )

        return convolve

    def tensor(self, array: np.ndarray) -> Tensor:
        """A random field as a batch of one."""
        batch = torch.from_numpy(array)[None]
        return batch.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)


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
