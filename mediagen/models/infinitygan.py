"""InfinityGAN: windows of an unbounded picture from independent, seamless patches.

Lin, Cheng, Lee, Tulyakov, Yang: "InfinityGAN: Towards Infinite-Pixel Image Synthesis", ICLR 2022.

    z_S = G_S(z_g, z_l, c)        structure synthesizer: implicit function with feature unfolding (section 3.2, Eq. 3)
    p_c = G_T(z_S, z_g, z_n)      texture synthesizer: StyleGAN2 without any padding (section 3.3)

z_g is one global latent (the style), z_l one local latent per cell, z_n the noise of every texture layer, and
c = (tanh(step * row), cos, sin of the column) the coordinates. Nothing is padded: a pixel depends on its surroundings
alone, and patches made apart agree. All tensors live on integer lattices aligned at 0 (mediagen.core.geometry):
with `b` blocks, cell i lies at pixel 2**b * i, and y = 0 is the middle row of the trained scene.

Where paper and released code disagree, a field of `Config` says which reading is taken (docs/models/infinitygan.md).
Inversion and what builds on it (outpainting, inbetweening) are not here yet.

Layout: B batch, C channels, H, W; D latent width, L texture slots, N style centres, M cells across z_S, R across z_l.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.geometry import Conv, Field, Interval, Lattice, Up, Window
from mediagen.models._spec import Batch, ModelSpec, Phase, PictureNeeds, Precision, StyleMap
from mediagen.nn.augment import augment
from mediagen.nn.coordinates import coordinates
from mediagen.nn.equalized import GAIN, initialise
from mediagen.nn.modulated import ModulatedConv2d
from mediagen.nn.padding_free import Finish, LayerCost, Step, TextureBlock, axis_plan, box, fit, layer_costs
from mediagen.nn.resample import blur, upsample_skip
from mediagen.nn.style_fusion import Convolve, StyledPainter, per_sample, strips
from mediagen.nn.stylegan2 import Mapping, TwoHeadedDiscriminator, lazy_adam, mix_styles
from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating
from mediagen.objectives.penalties import mode_seeking, path_length, path_lengths, r1


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's 101-pixel network; [C] marks what only the released code tells."""

    # Networks (Figs. 18 and 19).
    cells: int = 11  # M: side of z_S in training; blocks turn it into 2**b * (M - 5) + 5 pixels
    structure: bool = True  # False: z_l and c go straight into the texture ("NCI+PFG", Table 1)
    padding_free: bool = True  # False: zero padding as in StyleGAN2 ("NCI", Table 1); cannot paint a canvas
    unfold: int = 7  # k of Eq. 3; 1 switches feature unfolding off
    structure_layers: int = 4
    structure_channels: int = 256
    local_channels: int = 256  # of z_l
    latent: int = 512  # D, of z_g
    mapping_layers: int = 8
    channels: tuple[int, ...] = (512, 512, 512, 512)  # of each texture block
    noise_from: int = 0  # first texture block that is given noise; 0 as published
    critic_channels: tuple[int, ...] = (512, 512, 512, 512, 512, 512)  # from full resolution downward
    head_channels: int = 512
    # Coordinates (section 3.2).
    coordinates: Literal["scenery", "texture", "constant"] = "scenery"  # Table 4
    period: int = 140  # columns of cells in one turn of cos and sin: 4 R; literally cos(i/T) would turn in 2 pi T [C]
    vertical_step: float = 6 / 45  # 2 c_cut / (R + V) with c_cut = 3; the released code takes 0.3
    vertical_cells: float = 10.0  # V: how far, in cells, the patch may slide between the cut-offs
    label: Literal["linear", "tanh"] = "linear"  # of the position head: linear as in [C], or tanh as in Eq. 5
    # Pictures.
    picture: int = 197  # rows a training picture is scaled to; patches are cut from it
    square: bool = True
    augmentation: bool = False  # DiffAugment, for small collections
    # Losses (Eq. 6).
    r1: float = 10.0
    r1_every: int = 16  # [C]
    path: float = 2.0
    path_every: int = 4  # [C]
    diversity: float = 1.0
    position: float = 1.0
    # Training.
    mixing: float = 0.9  # probability of two styles in one patch [C]
    rate: float = 0.002  # [C]
    critic_rate: float = 0.002
    ema_half_life: float = 10_000.0  # pictures [C]
    frozen_blocks: int = 0  # > 0: structure, mapping and so many first blocks stay as loaded (growing block by block)

    @property
    def scale(self) -> int:
        """Pixels per cell, 2**b."""
        return 2 ** len(self.channels)

    @property
    def patch(self) -> int:
        """Side of a training patch in pixels: 101 for M = 11 and four blocks."""
        return self.scale * (self.cells - 5) + 5

    @property
    def scene(self) -> int:
        """Rows of the plane between the vertical cut-offs."""
        return round(self.patch + self.vertical_cells * self.scale)


class Generator(nn.Module):
    """G_T after G_S. `forward` trains; `painter` makes it ready to paint a canvas (the CanvasModel contract)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.mapping = Mapping(config.latent, config.mapping_layers)
        inputs, structure = config.local_channels, nn.ModuleList()
        for _ in range(config.structure_layers if config.structure else 0):
            structure.append(
                ModulatedConv2d(inputs + 3, config.structure_channels, config.unfold, config.latent, gain=GAIN)
            )
            inputs = config.structure_channels
        self.structure = structure
        self.structure_finish = nn.ModuleList(Finish(config.structure_channels, noisy=False) for _ in structure)
        inputs = inputs if config.structure else inputs + 3
        self.blocks = nn.ModuleList()
        for index, channels in enumerate(config.channels):
            self.blocks.append(TextureBlock(inputs, channels, config.latent, noisy=index >= config.noise_from))
            inputs = channels
        self.slots = 2 * len(config.channels) + 1
        side, half = config.scene, -(config.scene // 2)
        self.lattice, self.cell = Lattice(config.scale, 0, half), (config.scale, config.scale)
        self.scene = Window(0, half, side, side)

    def plan(self, out: Interval) -> list[Step]:
        """What every layer reads and makes along one axis for the pixels `out`."""
        kernels = [self.config.unfold] * len(self.structure)
        return axis_plan(out, blocks=len(self.blocks), structure=kernels, padding_free=self.config.padding_free)

    def structural(self, z_l: Tensor, c: Tensor, rows: list[Step], columns: list[Step], convolve: Convolve) -> Tensor:
        """G_S: z_S from z_l and c, which span the first steps' reads; c is cut to size and read by every layer."""
        whole = have = (rows[0].read, columns[0].read)
        x = z_l
        for layer, finish, row, column in zip(self.structure, self.structure_finish, rows, columns, strict=False):
            assert isinstance(layer, ModulatedConv2d)
            read, out = (row.read, column.read), (row.out, column.out)
            x = torch.cat([fit(x, have, read), fit(c, whole, read).to(x.dtype)], dim=1)
            x, have = finish(convolve(layer, x, None, box(read), box(out), self.config.scale)), out
        return x if len(self.structure) else torch.cat([x, c.to(x.dtype)], dim=1)

    def textured(
        self, z_s: Tensor, noise: Sequence[Tensor], rows: list[Step], columns: list[Step], convolve: Convolve
    ) -> Tensor:
        """G_T: the picture from z_S and a noise map per noisy layer; `rows`, `columns` are its steps."""
        steps = list(zip(rows, columns, strict=True))
        silent: list[Tensor | None] = [None] * (2 * self.config.noise_from)
        maps = [*silent, *noise]
        x, rgb, stride = z_s, None, self.config.scale
        have = (rows[0].read, columns[0].read)
        for k, block in enumerate(self.blocks):
            assert isinstance(block, TextureBlock)
            (row, column), (row2, column2) = steps[2 * k : 2 * k + 2]
            read, mid, read2, out = (
                (row.read, column.read),
                (row.out, column.out),
                (row2.read, column2.read),
                (row2.out, column2.out),
            )
            made = (Up().makes(row.read), Up().makes(column.read))
            x = convolve(block.up, fit(x, have, read), 2 * k, box(read), box(made), stride)
            x = blur(fit(x, made, (Conv(3).reads(row.out), Conv(3).reads(column.out))), gain=4.0)
            x = fit(block.up_finish(x, maps[2 * k]), mid, read2)
            stride //= 2
            x = block.conv_finish(convolve(block.conv, x, 2 * k + 1, box(read2), box(out), stride), maps[2 * k + 1])
            colour = (
                convolve(block.rgb, x, 2 * k + 2, box(out), box(out), stride)
                + block.rgb_bias.to(x.dtype)[:, None, None]
            )
            if rgb is not None:
                colour = colour + fit(upsample_skip(rgb), (Up().makes(have[0]), Up().makes(have[1])), out)
            rgb, have = colour, out
        assert rgb is not None
        return rgb

    def synthesise(
        self, z_l: Tensor, c: Tensor, noise: Sequence[Tensor], rows: list[Step], columns: list[Step], convolve: Convolve
    ) -> tuple[Tensor, Tensor]:
        """(z_S, picture) for the plan of `rows` and `columns`; `convolve` does the modulated convolutions."""
        z_s, n = self.structural(z_l, c, rows, columns, convolve), len(self.structure)
        return z_s, self.textured(z_s, noise, rows[n:], columns[n:], convolve)

    def forward(self, z_g: Tensor, w: Tensor, z_l: Tensor, c: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Training patches: z_g (B, D), w (B, L, D), z_l (B, C, R, R), c (B, 3, R, R) -> z_S, pictures (B, 3, p, p)."""
        plan = self.plan(self.patch_interval())
        return self.synthesise(z_l, c, noise, plan, plan, per_sample(z_g, w))

    def patch_interval(self) -> Interval:
        """The pixels of a training patch when z_S spans the cells [0, M): [30, 131) for the paper's network."""
        start, stop = 0, self.config.cells
        for _ in self.config.channels:
            start, stop = 2 * start + 2, 2 * stop - 3
        return Interval(start, start + self.config.patch)

    def fields(self, window: Window) -> list[Field]:
        """z_l, then the noise of every texture layer that has any, each on its own lattice."""
        rows, columns = self.plan(window.rows), self.plan(window.columns)
        found = [Field("z_l", self.config.local_channels, Window.of(columns[0].read, rows[0].read))]
        pairs = list(zip(rows, columns, strict=True))[len(self.structure) :]
        noisy = list(enumerate(pairs))[2 * self.config.noise_from :]
        return found + [Field(f"z_n/{i}", 1, Window.of(c.out, r.out)) for i, (r, c) in noisy]

    def layer_costs(self, window: Window) -> list[LayerCost]:
        """What every convolution spends on a window painted in one piece."""
        return layer_costs(self.structure, self.blocks, self.plan(window.rows), self.plan(window.columns), window)

    def cost(self, window: Window) -> int:
        return sum(layer.spent for layer in self.layer_costs(window))

    def ideal_cost(self, window: Window) -> float:
        return sum(layer.ideal for layer in self.layer_costs(window))

    def memory(self, window: Window, precision: Precision) -> int:
        """Bytes at once: the weights, and in the largest layer its input, output, a scratch copy and the fields."""
        size, blocks = 4 if precision == "fp32" else 2, len(self.config.channels)
        widest = max(channels * 4.0 ** (i + 1 - blocks) for i, channels in enumerate(self.config.channels))
        return int(12 * sum(p.numel() for p in self.parameters()) + window.area * (4.5 * widest * size + 3 * size + 35))

    def painter(
        self, styles: StyleMap, *, device: torch.device, precision: Precision, compiled: bool = False
    ) -> StyledPainter:
        assert self.config.padding_free, "zero padding cannot be painted seamlessly"
        return StyledPainter(self, styles, device=device, precision=precision, compiled=compiled)


def discriminator(config: Config) -> TwoHeadedDiscriminator:
    """D: realness and vertical position of one patch (section 3.4)."""
    return TwoHeadedDiscriminator(config.patch, config.critic_channels, config.head_channels)


@dataclass(frozen=True)
class Draw:
    """What one batch of patches is made from; `label` (B, 1) is the vertical position the critic is asked for."""

    z_g: Tensor
    w: Tensor
    z_l: Tensor
    c: Tensor
    noise: list[Tensor]
    label: Tensor


class Objective:
    """Eq. 6 as phases: critic, generator, and two lazy regularisers every `r1_every` and `path_every`."""

    output = "generator"
    averaged: Sequence[str] = ("generator",)

    def __init__(self, config: Config, device: torch.device):
        rng = torch.Generator().manual_seed(0)
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.generator, self.critic = Generator(config), discriminator(config)
        for network in (self.generator, self.critic):
            initialise(network, rng)
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.state = {"path_average": torch.zeros((), device=device)}
        if config.frozen_blocks:
            self.generator.requires_grad_(False)
            self.generator.blocks[config.frozen_blocks :].requires_grad_(True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": lazy_adam(self.generator, config.rate, config.path_every if config.path else 0),
            "critic": lazy_adam(self.critic, config.critic_rate, config.r1_every if config.r1 else 0),
        }

    def phases(self, iteration: int) -> list[Phase]:
        phases = [Phase("critic", "critic", self.critic_loss)]
        if self.config.r1 and iteration % self.config.r1_every == 0:
            phases.append(Phase("r1", "critic", self.r1_loss))
        phases.append(Phase("generator", "generator", self.generator_loss))
        if self.config.path and iteration % self.config.path_every == 0:
            phases.append(Phase("path", "generator", self.path_loss))
        return phases

    def draw(self, batch: int, rng: torch.Generator, generator: Generator | None = None) -> Draw:
        """Latents, coordinates between the vertical cut-offs, noise and position labels for `batch` patches."""
        config, device, generator = self.config, self.device, generator or self.generator

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=rng, device=device)

        def uniform() -> Tensor:
            return torch.rand(batch, 1, generator=rng, device=device, dtype=torch.float64)

        z_g, other = normal(batch, config.latent), normal(batch, config.latent)
        w, mixed = generator.mapping(torch.cat([z_g, other])).chunk(2)
        w = mix_styles(w, mixed, generator.slots, config.mixing, rng)
        start, across = uniform(), uniform() * config.period  # start: how far between the vertical cut-offs
        pixel = generator.patch_interval()
        plan = generator.plan(pixel)
        cell = torch.arange(plan[0].read.start, plan[0].read.stop, device=device, dtype=torch.float64)[None]
        top = start * config.vertical_cells * config.scale - config.scene / 2
        rows = cell + (top - pixel.start) / config.scale
        label = 2 * start - 1
        if config.label == "tanh":
            label = torch.tanh((top + config.patch / 2) / config.scale * config.vertical_step)
        fields = generator.fields(Window.of(pixel, pixel))
        drawn = [normal(batch, f.channels, f.window.height, f.window.width) for f in fields]
        return Draw(z_g, w, drawn[0], coordinates(config, rows, cell + across), drawn[1:], label.float())

    def generate(self, drawn: Draw) -> tuple[Tensor, Tensor]:
        return self.generator(drawn.z_g, drawn.w, drawn.z_l, drawn.c, drawn.noise)

    def judge(self, pictures: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        seen = augment(pictures.float(), rng) if self.config.augmentation else pictures
        return cast(tuple[Tensor, Tensor], self.critic(seen))

    def critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """L_adv + lambda_ar L_ar, the auxiliary position (Eq. 5) on real and generated patches."""
        real = batch["pictures"]
        with torch.no_grad():
            drawn = self.draw(len(real), rng)
            fake = self.generate(drawn)[1]
        real_logit, real_place = self.judge(real, rng)
        fake_logit, fake_place = self.judge(fake, rng)
        room = self.config.picture - self.config.patch
        label = 2 * batch["top"].to(self.device).float()[:, None] / max(1, room) - 1
        place = (real_place - label).abs().mean() + (fake_place - drawn.label).abs().mean()
        adversarial = discriminator_logistic(real_logit, fake_logit)
        scalars = {"critic/loss": adversarial, "critic/real": real_logit.mean(), "critic/fake": fake_logit.mean(),
                   "critic/position": place}  # fmt: skip
        return adversarial + self.config.position * place, scalars

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """L_adv + lambda_ar L_ar + lambda_div L_div; Eq. 2 pairs every z_l with another under the same z_g and c."""
        config, drawn = self.config, self.draw(len(batch["pictures"]), rng)
        z_s, fake = self.generate(drawn)
        logit, guess = self.judge(fake, rng)
        adversarial, place = generator_nonsaturating(logit), (guess - drawn.label).abs().mean()
        loss = adversarial + config.position * place
        scalars = {"generator/loss": adversarial, "generator/position": place}
        if config.diversity and config.structure and not config.frozen_blocks:
            other = torch.randn(drawn.z_l.shape, generator=rng, device=self.device)
            plan = self.generator.plan(self.generator.patch_interval())
            again = self.generator.structural(other, drawn.c, plan, plan, per_sample(drawn.z_g, drawn.w))
            apart = mode_seeking((drawn.z_l, other), (z_s, again))
            loss, scalars["generator/diversity"] = loss + config.diversity * apart, apart
        return loss, scalars

    def r1_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        real = batch["pictures"].detach().clone().requires_grad_(True)
        penalty = r1(self.judge(real, rng)[0], real)
        return self.config.r1 * self.config.r1_every * penalty, {"critic/r1": penalty}

    def path_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """StyleGAN2's path length on half a batch, over the texture's styles only [C]."""
        drawn = self.draw(max(1, len(batch["pictures"]) // 2), rng)
        lengths = path_lengths(self.generate(drawn)[1], drawn.w, rng)
        penalty = path_length(lengths, self.state["path_average"])
        return self.config.path * self.config.path_every * penalty, {"generator/path": penalty}

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """Six strips, one style each."""
        assert isinstance(network, Generator)
        return strips(network, range(seed, seed + 6), self.device)

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        """Patches (B, 3, p, p) for the measure that picks the best snapshot."""
        assert isinstance(network, Generator)
        drawn = self.draw(count, rng, network)
        picture: Tensor = network(drawn.z_g, drawn.w, drawn.z_l, drawn.c, drawn.noise)[1]
        return picture


PAPER = Config()
SMALL = Config(
    unfold=3, structure_channels=64, local_channels=32, latent=128, mapping_layers=4, channels=(64, 64, 64, 64, 48, 32),
    critic_channels=(16, 24, 32, 48, 96, 128, 128), head_channels=128, cells=8, vertical_cells=(512 - 197) / 64,
    vertical_step=0.29, picture=512, square=False, augmentation=True, r1=3.0, path=0.0, noise_from=6,
    ema_half_life=3000.0,
)  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "paper-197": replace(PAPER, channels=(512,) * 4 + (256,), critic_channels=(256,) + (512,) * 6, picture=389),
    "paper-389": replace(PAPER, channels=(512,) * 4 + (256, 128), critic_channels=(128, 256) + (512,) * 6, picture=773),
    "small": SMALL,
    # `small` is grown (samples/train_infinitygan.sh): whole scenes 32, 64 and 128 high, then 512.
    "small-32": replace(SMALL, channels=(64, 64), critic_channels=(48, 96, 128, 128), cells=11,
                        vertical_cells=(32 - 29) / 4, picture=32, r1=0.5),
    "small-64": replace(SMALL, channels=(64, 64, 64), critic_channels=(32, 48, 96, 128, 128), cells=11,
                        vertical_cells=(64 - 53) / 8, picture=64, r1=0.5),
    "small-128": replace(SMALL, channels=(64, 64, 64, 64), critic_channels=(24, 32, 48, 96, 128, 128), cells=11,
                         vertical_cells=(128 - 101) / 16, picture=128, r1=1.0),
    "tiny": Config(unfold=3, structure_layers=2, structure_channels=8, local_channels=4, latent=8, mapping_layers=2,
                   channels=(8, 8), critic_channels=(8, 8, 8), head_channels=8, cells=9, vertical_cells=3.0, picture=32,
                   square=False),
}  # fmt: skip

SPEC = ModelSpec(
    kind="canvas",
    title="InfinityGAN",
    paper="Lin et al., InfinityGAN: Towards Infinite-Pixel Image Synthesis, ICLR 2022",
    summary="an unbounded landscape from local latents, coordinates and styles, painted patch by patch without seams",
    config=Config,
    presets=PRESETS,
    build=Generator,
    objective=Objective,
    needs=lambda config: PictureNeeds(height=config.picture, crop=config.patch, square=config.square),
    latents={"z_g": "N(0, I)", "z_l": "N(0, I) per cell", "z_n": "N(0, I) per position of every texture layer"},
)
