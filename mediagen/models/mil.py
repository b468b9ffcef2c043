"""Meta Internal Learning: one network that makes, of any picture, the weights of that picture's own generator.

Bensadoun, Gur, Galanti, Wolf: "Meta Internal Learning", NeurIPS 2021.

    e = E_g(I);  x_1 = g(z_1; p_g^1(e));  x_i = up(x_{i-1}) + g(up(x_{i-1}) + a_i z_i; p_g^i(e))       (Eqs. 1, 6-8)
    d_i(u, I) = d(u; p_d(E_d(I)))                                                                    (Eqs. 9-11)
    min_{f_g} max_{f_d} L_adv + lambda_1 L_lip + lambda_2 L_rec                                      (Eq. 12)

Two embedders, E_g and E_d, look at the whole picture; linear heads turn what they say into the weights of five
convolutions a scale. Scales are trained one after the other: E_g and the newest heads learn, older heads are frozen. The
critic has one set of heads, carried from scale to scale. A picture that was never seen gets its generator in one pass.

What comes out is a generator as ConSinGAN's file has it, with SinGAN's settings (mediagen.nn.pyramid_generator): it paints
canvases, films and takes collages like any other. Its arithmetic of windows is used in training, too.
Where paper and released code [C] disagree, and what is ours, docs/models/meta-internal-learning.md says.

Layout: B pictures, C channels, H, W; E embedding; scale 0 is the coarsest; windows are (rows, columns).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.geometry import Interval
from mediagen.core.seeds import random_field
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ModelSpec, Phase, WholePictureNeeds
from mediagen.models.consingan import Config as PictureConfig
from mediagen.nn.emitted import Projection, Weights, convolve_all, leaky_gain
from mediagen.nn.hyper_generator import HyperGenerator
from mediagen.nn.padding_free import box, fit
from mediagen.nn.pyramid_painter import arrays, fresh_noise, window_of
from mediagen.nn.resnet import Norm, embedder, seen_whole
from mediagen.nn.sheets import from_bytes, to_bytes
from mediagen.nn.single_image import place, pyramid_sizes, seen, shifted, shrunk, stack
from mediagen.nn.stages import Schedule, adam, check, set_rates
from mediagen.nn.variants import varied
from mediagen.objectives.wasserstein import critic_wasserstein, generator_wasserstein
from mediagen.objectives.wgan_gp import flatness, gradient_penalty

RECONSTRUCTION = 0
"""Seed of z_1^0: a canvas of this seed begins with the picture itself."""

SHOWN = 4
"""Pictures in a preview."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's for a data set; [C] marks what only the released code tells."""

    # The pyramid (appendix B.2).
    size: tuple[int, int] = (250, 188)  # (width, height) of the finest scale; every picture is cut to this shape
    shortest: int = 25  # s_0: width of the coarsest scale
    ratio: float = 0.6  # r, which decides how many scales there are; then it is solved anew so that both ends fit [C]
    unbounded: Literal["none", "x", "xy"] = "none"  # axes without any padding; the paper pads both
    # Primary networks (appendix B.1).
    channels: int = 64
    slope: float = 0.02  # of LeakyReLU
    upsampling: Literal["cubic", "linear"] = "linear"  # [C]
    noise_beyond: bool = True  # noise is added to the padding too [C]
    waves: int = 0  # cosines of the row that generators and critics are told (ours); 0 as published
    mirror: int = 0  # rows by which the critic sees a picture mirrored beyond its bounded ends (ours)
    # Hypernetworks (appendix B.1).
    embedding: int = 512
    view: int = 128  # pixels a side of what the embedders see, at every scale
    width: int = 64  # channels of the embedders' first blocks
    depths: tuple[int, ...] = (3, 4, 6, 3)  # their blocks: ResNet-34
    norm: Norm = "batch"
    cells: int = 0  # parts a side of the view that are pooled, and whose colours are told (ours); 0: pooled as one
    critic: Literal["hyper", "shared"] = "hyper"  # shared: a plain one, for a single picture; it leaks between several
    critic_slope: float = 0.2  # of the plain critic
    # Training (appendix B.3, B.4).
    iterations: tuple[int, ...] = (4000,)  # of each scale; the last value serves the scales beyond
    batch: int = 16
    generator_rate: float = 5e-5
    critic_rate: float = 5e-5
    betas: tuple[float, float] = (0.5, 0.999)
    decay_from: float = 0.8  # share of a scale's iterations after which the rates fall to a tenth
    clip: float = 1.0  # largest norm of a gradient
    critic_steps: int = 1  # [C]
    reconstruction: float = 50.0  # lambda_2
    accumulate: bool = False  # L_rec of all scales so far (Eq. 15), for small data sets; else of the newest
    noise: float = 1.0  # a_n per root mean square error of the reconstruction
    penalty: float = 0.1  # lambda_1
    lipschitz: Literal["mixed", "real"] = "mixed"  # WGAN-GP's penalty [C], or the one of Eq. 14
    drift: float = 0.0  # weight of the mean squared score of real windows (ours)
    variants: float = 0.0  # how far pictures are varied, 0 to 1 (ours)
    window: tuple[int, int] = (0, 0)  # (rows, columns), unlike `size`, that an iteration looks at (ours); 0 for all
    ema_half_life: float = 0.0  # pictures; 0 for no average

    def __post_init__(self) -> None:
        check(self, (
            (2 <= self.shortest < min(2**16, self.size[0]), "shortest is the coarsest scale's width: below the size's"),
            (0.1 <= self.ratio <= 0.95, "ratio lies between 0.1 and 0.95"),
            (self.norm == "batch" or self.width % 8 == 0, "group norm needs a width that is a multiple of 8"),
            (0 <= self.cells <= 8, "cells lie between 0 and 8"),
            (len(self.depths) <= 6 and min(self.depths, default=0) >= 1, "depths lists 1 to 6 groups of blocks"),
            (self.view >= 16, "a view has at least 16 px a side"),
            (min(self.channels, self.embedding, self.width, self.batch) >= 1,
             "channels, embedding, width and batch are above 0"),
        ))  # fmt: skip
        if self.size[1] < 12 or min(self.sizes[0]) < 2:
            raise UsageError("a picture has at least 12 rows, and its coarsest scale 2: raise size or shortest")
        free = {"none": [], "x": self.sizes[0][1:], "xy": self.sizes[0]}[self.unbounded]
        if min(free, default=12) < 12:
            raise UsageError("the coarsest scale has at least 12 px along an unbounded axis: raise shortest")

    @property
    def scales(self) -> int:
        """How many the released code makes of s_0, the finest width and r: 7 for 25, 250 and 0.6."""
        return math.ceil(math.log(self.shortest / self.size[0]) / math.log(self.ratio) - 1e-9) + 2

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(rows, columns) of every scale."""
        width, height = self.size
        rows, columns = pyramid_sizes(
            height, width, self.shortest, self.scales, measured=width, geometric=True, shared=self.unbounded == "xy"
        )
        return list(zip(rows, columns, strict=True))

    @property
    def widths(self) -> list[int]:
        """Channels before the first and after each of a primary network's convolutions, but for the last."""
        return [3 + self.waves, *[self.channels] * 4]

    @property
    def gains(self) -> list[float]:
        return [leaky_gain(self.slope)] * 4

    @property
    def schedule(self) -> Schedule:
        """The scales that a training goes through."""
        return Schedule(trains=range(self.scales), iterations=self.iterations, decay_from=self.decay_from)

    def of_picture(self) -> PictureConfig:
        """The configuration of one picture's own generator."""
        return PictureConfig(
            side=max(self.size), shortest=max(12, self.shortest), stages=self.scales, geometric=True,
            unbounded=self.unbounded, channels=self.channels, slope=self.slope, between="pictures",
            upsampling=self.upsampling, noise_beyond=self.noise_beyond, waves=self.waves, concurrent=1,
        )  # fmt: skip


class Critic(nn.Module):
    """f_d: an embedder of its own and one set of heads; or, when `shared`, one plain critic for all pictures."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, hyper = config, config.critic == "hyper"
        self.embed = embedder(config) if hyper else None
        self.head = Projection(config.embedding, [*config.widths, 1], [*config.gains, 1.0]) if hyper else None
        self.layers = None if hyper else stack([*config.widths, 1], slope=config.critic_slope, last=False)

    def emit(self, pictures: Tensor) -> Weights | None:
        """The weights of each picture's critic."""
        if self.embed is None or self.head is None:
            return None
        found: Weights = self.head(self.embed(seen_whole(pictures, self.config.view)))
        return found

    def forward(self, x: Tensor, weights: Weights | None, rows: Interval, height: int) -> Tensor:
        """Scores (B, 1, h - 10, w - 10) of windows (B, 3, h, w) that show `rows` of `height`; more if mirrored."""
        x = seen(x, self.config.waves, self.config.mirror, rows, height)
        scores: Tensor = self.layers(x) if self.layers else convolve_all(x, weights or [], self.config.slope)
        return scores


@dataclass(frozen=True)
class Draw:
    """What one iteration looks at: the pictures, windows of them and of what was made, with its graph, and its errors."""

    pictures: Tensor  # (B, 3, H, W) of the finest scale, in [-1, 1]
    real: Tensor  # (B, 3, h, w): windows of them at the scale whose turn it is
    fake: Tensor  # (B, 3, h, w): what the generators make there
    rows: Interval  # h rows of the scale that both show, where rows have a number
    error: Tensor  # (): the scale's mean squared error of the reconstruction
    loss: Tensor  # (): L_rec, that error or the mean of all scales' so far


class Objective:
    """Eq. 12 as phases: the critic, then the generator, on the scale whose turn it is."""

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator, self.critic = HyperGenerator(config).to(device), Critic(config).to(device)
        z0 = random_field(RECONSTRUCTION, "z_l", 3, box(self.generator.home))
        self.generator.z0.copy_(torch.from_numpy(z0))
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        width, height = config.size
        shown = torch.zeros(SHOWN, 3, height, width, dtype=torch.uint8, device=device)
        self.state: dict[str, Tensor] = {"shown": shown, "amplitudes": self.generator.amplitudes}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for n, heads in enumerate(self.generator.heads):
            learning = [*self.generator.embed.parameters(), *heads.parameters()]
            self.optimizers[f"generator-{n}"] = clipped_adam(config, learning, config.generator_rate)
            self.optimizers[f"critic-{n}"] = clipped_adam(config, list(self.critic.parameters()), config.critic_rate)
        self.draws: dict[int, Draw] = {}
        self.begun = -1

    def phases(self, iteration: int) -> list[Phase]:
        config = self.config
        scale, fallen = config.schedule.at(iteration)
        generator, critic = f"generator-{scale}", f"critic-{scale}"
        for name in (generator, critic):
            set_rates(self.optimizers[name], fallen)
        self.draws.clear()
        steps = [Phase(f"critic-{i}", critic, partial(self.critic_loss, scale)) for i in range(config.critic_steps)]
        return [*steps, Phase("generator", generator, partial(self.generator_loss, scale))]

    def begin(self, scale: int, batch: Batch) -> None:
        """New heads begin as copies of those before, which are trained no more."""
        g = self.generator
        self.begun = scale
        if scale:
            g.heads[scale].load_state_dict(g.heads[scale - 1].state_dict())
            for name in (f"generator-{scale - 1}", f"critic-{scale - 1}"):
                self.optimizers[name].state.clear()
        else:
            some = torch.arange(SHOWN) % len(batch["pictures"])
            self.state["shown"].copy_(to_bytes(batch["pictures"][some]))

    def draw(self, scale: int, batch: Batch) -> Draw:
        """The same for all phases of an iteration: it hangs on the batch's random words alone."""
        words = int(batch["seed"][0])
        if words in self.draws:
            return self.draws[words]
        if max(self.begun, self.generator.scale) < scale:
            self.begin(scale, batch)
        config, g, there = self.config, self.generator, self.generator.whole(scale)
        rng, noisy = torch.Generator().manual_seed(words), torch.Generator(self.device).manual_seed(words)
        pictures = batch["pictures"].float()
        if config.variants:
            pictures = varied(pictures, config.variants, rng)
        weights = [heads(e) for e in [g.embedded(pictures)] for heads in list(g.heads)[: scale + 1]]
        at = place(len(there[0]), config.window[0], rng), place(len(there[1]), config.window[1], rng)
        errors = g.errors(scale, pictures, weights, at)
        g.amplitudes[scale] = config.noise * errors[-1].detach().sqrt() if scale else 1.0
        # Where rows have a number, the critic compares like with like.
        sides = [min(len(span), most or len(span)) for span, most in zip(there, config.window, strict=True)]
        out = [
            place(len(span), side, rng) if axis.bounded else shifted(side, axis.period(scale), rng)
            for axis, span, side in zip(g.axes(), there, sides, strict=True)
        ]
        rows = out[0] if g.axes()[0].bounded else place(len(there[0]), sides[0], rng)
        whole = shrunk(pictures, g.axes(), scale)
        columns = [place(len(there[1]), sides[1], rng) for _ in pictures]
        real = torch.cat([fit(x, there, (rows, one)) for x, one in zip(whole.split(1), columns, strict=True)])
        plan = g.plan((out[0], out[1]), scale)
        fake = g(weights, fresh_noise(g.noise(plan), len(pictures), noisy), plan, scale)[-1]
        loss = torch.stack(errors).mean() if config.accumulate else errors[-1]
        drawn = self.draws[words] = Draw(pictures, real, fake, rows, errors[-1], loss)
        return drawn

    def critic_loss(self, scale: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """L_adv of the critic and L_lip; the weights are emitted once, and the slope is that by the pixels."""
        drawn, height = self.draw(scale, batch), self.config.sizes[scale][0]
        weights, fake = self.critic.emit(drawn.pictures), drawn.fake.detach()

        def score(x: Tensor) -> Tensor:
            scores: Tensor = self.critic(x, weights, drawn.rows, height)
            return scores

        real = score(drawn.real)
        loss = critic_wasserstein(real, score(fake))
        if self.config.lipschitz == "real":
            penalty = flatness(score, drawn.real)
        else:
            penalty = gradient_penalty(score, drawn.real, fake, rng, over="channels")
        whole = loss + self.config.penalty * penalty + self.config.drift * real.float().square().mean()
        return whole, {"critic/loss": loss, "critic/penalty": penalty}

    def generator_loss(self, scale: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """L_adv + lambda_2 L_rec."""
        drawn, height = self.draw(scale, batch), self.config.sizes[scale][0]
        with torch.no_grad():
            weights = self.critic.emit(drawn.pictures)
        adversarial = generator_wasserstein(self.critic(drawn.fake, weights, drawn.rows, height))
        scalars = {"generator/loss": adversarial, "generator/reconstruction": drawn.error}
        return adversarial + self.config.reconstruction * drawn.loss, scalars

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """A row for each of some pictures: itself, its generator's own beginning (z_1^0), and two of other seeds."""
        assert isinstance(network, HyperGenerator)
        pictures, rows = from_bytes(self.state["shown"]), []
        small = arrays(shrunk(pictures, network.axes(), network.scale))
        with torch.autocast(self.device.type, enabled=False):
            embeddings = network.embedded(pictures)
        for picture, e in zip(small, embeddings, strict=True):
            made = network.of_picture([e] * self.config.scales)
            seeds = (RECONSTRUCTION, seed + 1, seed + 2)
            rows.append(np.concatenate([picture, *(window_of(made, made.scene, s, self.device) for s in seeds)], 1))
        return np.concatenate(rows)


def clipped_adam(config: Config, learning: list[nn.Parameter], rate: float) -> torch.optim.Adam:
    """Adam on gradients whose norm is at most `clip`."""
    optimizer = adam([(learning, rate)], config.betas)
    optimizer.register_step_pre_hook(lambda *_: clipped(learning, config.clip))
    return optimizer


def clipped(parameters: Sequence[nn.Parameter], norm: float) -> None:
    nn.utils.clip_grad_norm_(parameters, norm)


PAPER = Config()
SMALL = Config(
    size=(144, 96), shortest=24, ratio=0.4, unbounded="x", waves=4, mirror=5, channels=32, embedding=128, view=64, width=16,
    depths=(1, 1, 1, 1), norm="group", cells=4, iterations=(3000, 2000, 1200, 800), batch=8, generator_rate=2e-4,
    critic_rate=3e-4, reconstruction=10.0, accumulate=True, noise=0.3, penalty=1.0, drift=0.001, variants=0.6,
    window=(64, 64), ema_half_life=1000.0,
)  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "small": SMALL,
    # The paper's other regimes (table in B.3): up to five pictures, and one with a plain critic.
    "mini-batch": replace(PAPER, shortest=27, iterations=(2000,), batch=5, generator_rate=1e-5, critic_rate=1e-5),
    "single": replace(PAPER, critic="shared", iterations=(2000,), batch=1, generator_rate=1e-5, critic_rate=5e-4),
    "tiny": replace(SMALL, size=(48, 32), shortest=16, ratio=0.3, channels=8, embedding=8, view=32, width=8, depths=(1, 1),
                    cells=2, iterations=(4,), batch=2, generator_rate=1e-4, critic_rate=1e-4, noise=1.0, variants=1.0,
                    window=(0, 0), ema_half_life=0.0),
}  # fmt: skip

SPEC = ModelSpec(
    kind="image",
    title="Meta Internal Learning",
    paper="Bensadoun et al., Meta Internal Learning, NeurIPS 2021",
    summary="generators like ConSinGAN's, one of any photograph, in one pass (mediagen imagine)",
    config=Config,
    presets=PRESETS,
    build=HyperGenerator,
    objective=Objective,
    needs=lambda config: WholePictureNeeds(by="cover", size=config.size, several=True),
    defaults=lambda config: {"iterations": config.schedule.total, "batch": config.batch},
    latents={"z_l": "N(0, I), 3 channels, coarsest scale", "z_n": "N(0, I), 3 channels, every further scale"},
)
