"""ConSinGAN: a generator learnt from one photograph, of variations of any size and of panoramas without end.

Hinz, Fisher, Wang, Wermter: "Improved Techniques for Training Single-Image GANs", WACV 2021.

    f_0 = B_0(head(z_0));    f_n = B_n(up(f_{n-1}) + a_n z_n) + up(f_{n-1});    x_n = tanh(tail(f_n))
    min_G max_D L_adv(G_n, D_n) + alpha ||G_n(x_0) - x_n||^2        (Eqs. 1 and 2; L_adv is WGAN-GP)

Stages are trained one after the other, the last three blocks together, the older the more slowly; features cross
stages, not pictures. Sizes follow Eq. 3. One critic sees patches of 11 x 11 and is carried from stage to stage.

Along an unbounded axis nothing is padded: noise reaches beyond the picture in training as it does on a canvas, so any
window can be painted by itself (mediagen.nn.single_image). A bounded axis is padded with zeros at each block's input.
Where paper and released code disagree, and what is ours, docs/models/consingan.md says.

Layout: B batch, C channels, H, W; stage 0 is the coarsest; windows are (rows, columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mediagen.core.geometry import Field, Interval, Window
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ModelSpec, Phase, WholePictureNeeds
from mediagen.nn.naive import EDIT_NOISE, cut_out, shuffle_rectangles
from mediagen.nn.padding_free import fit
from mediagen.nn.pyramid_generator import PyramidGenerator
from mediagen.nn.pyramid_painter import fresh_noise, noise_of, window_of
from mediagen.nn.single_image import Box, initialise, mirrored, place, pyramid_sizes, seen, shifted, shrunk, stack
from mediagen.nn.stages import Schedule, adam, check, set_rates
from mediagen.objectives.wasserstein import critic_wasserstein, generator_wasserstein
from mediagen.objectives.wgan_gp import gradient_penalty

PATCH = 11
"""Side in pixels of what one score of the critic sees."""

RECONSTRUCTION = 0
"""Seed of the noise with which the picture is reconstructed."""

Task = Literal["generation", "animation", "harmonisation", "editing", "fine-tuning"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's unconditional generator; [C] marks what only the released code tells."""

    task: Task = "generation"  # what the adversarial branch starts from, and what L_rec does (section 3)
    # The picture and its pyramid (section 3, Eq. 3).
    side: int = 250  # pixels of the finest stage
    by: Literal["longest", "height"] = "longest"  # which side that is
    shortest: int = 25  # pixels of the coarsest stage's shorter side
    shrink: float = 0.0  # above 0: the coarsest stage is this share of the picture instead
    stages: int = 6
    geometric: bool = False  # SinGAN's pyramid
    unbounded: Literal["none", "x", "xy"] = "none"  # axes without any padding; the paper pads both
    # Networks (section 4).
    channels: int = 64
    slope: float = 0.05  # of LeakyReLU; 0.3 for tasks other than generation
    norm: bool = False  # batch norm in the generator, for tasks other than generation
    between: Literal["features", "pictures"] = "features"  # pictures: SinGAN's stages, each with its own head and tail
    upsampling: Literal["cubic", "linear"] = "cubic"  # between stages [C]; linear where mil has made the weights
    noise_beyond: bool = False  # noise is added to the padding too, as mil has it; for SinGAN's stages
    waves: int = 0  # cosines of the row that head and critic are told (ours); 0 as published
    # Training (sections 3 and 4).
    concurrent: int = 3  # T: blocks that are trained together
    delta: float = 0.1  # learning rate of a block against that of the next
    rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.999)
    iterations: tuple[int, ...] = (2000,)  # of each stage; the last value serves the stages beyond
    decay_from: float = 0.8  # share of a stage's iterations after which the rates fall to a tenth
    polish: int = 0  # further iterations of the last stage at those rates (ours); 0 as published
    critic_steps: int = 3
    generator_steps: int = 3  # Adam steps on one gradient [C]
    reconstruction: float = 10.0  # alpha
    penalty: float = 0.1
    drift: float = 0.0  # weight of the mean squared score of real windows, which keeps scores near 0
    penalty_share: float = 1.0  # side of the part of a window that the penalty is measured on; 1 for all of it
    mirror: int = 0  # rows by which the critic sees a picture mirrored beyond its bounded ends (ours); 0 as published
    silent: int = 0  # finest stages without noise (ours): its drawing takes longer than their convolutions
    noise: float = 0.1  # a_n per root mean square error of the reconstruction [C]
    window: tuple[int, int] = (0, 0)  # rows, columns that an iteration looks at; 0 for the whole picture
    ema_half_life: float = 0.0  # iterations times batch; 0 for no average
    # Animation [C].
    momentum: float = 0.9  # b
    walk_from: int = 1  # coarser stages keep their noise

    def __post_init__(self) -> None:
        check(self, (
            (0 <= self.shrink < 1, "shrink is a share of the picture: at least 0 and below 1"),
            (self.stages >= 1 and 12 <= self.shortest <= self.side,
             "a pyramid needs a stage, a shortest side of at least 12 px, and a side no smaller"),
            (0 <= self.silent < max(2, self.stages), "the coarsest stage cannot be silent"),
            (self.polish >= 0, "polish is a number of iterations, at least 0"),
            (self.stagewise or not self.noise_beyond, "noise_beyond is for pictures between stages"),
        ))  # fmt: skip

    @property
    def padding_free(self) -> bool:
        """Whether a canvas can be painted."""
        return self.unbounded != "none"

    @property
    def stagewise(self) -> bool:
        """Whether every stage makes a picture of its own, as SinGAN's do."""
        return self.between == "pictures"

    @property
    def home(self) -> int | None:
        """Seed of the noise that an animation walks around; None for the seed that is asked for."""
        return RECONSTRUCTION if self.task == "animation" else None

    @property
    def schedule(self) -> Schedule:
        """The stages that a training goes through: fine-tuning goes on with the last one."""
        trains = range(self.stages - 1 if self.task == "fine-tuning" else 0, self.stages)
        return Schedule(trains=trains, iterations=self.iterations, decay_from=self.decay_from, polish=self.polish)


class Critic(nn.Module):
    """D: five valid 3 x 3 convolutions, so that a score sees 11 x 11 pixels (and, with `waves`, their rows)."""

    def __init__(self, config: Config):
        super().__init__()
        c = config.channels
        self.config = config
        self.layers = stack([3 + config.waves, c, c, c, c, 1], slope=config.slope, last=False)

    def forward(self, x: Tensor, rows: Interval, height: int) -> Tensor:
        """Scores (B, 1, h - 10, w - 10) of pictures (B, 3, h, w) that show `rows` of `height`; more rows if mirrored."""
        scores: Tensor = self.layers(seen(x, self.config.waves, self.config.mirror, rows, height))
        return scores


@dataclass(frozen=True)
class Draw:
    """What one iteration looks at: generated windows with their graph, and real ones that show `rows`."""

    fake: Tensor
    real: Tensor
    rows: Interval


class Objective:
    """Eq. 1 as phases: the critic some times, then the generator, on the stage whose turn it is."""

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator, self.critic = PyramidGenerator(config), Critic(config)
        for network in (self.generator, self.critic):
            initialise(network)
            network.to(device)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.state: dict[str, Tensor] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for stage in range(config.stages):
            self.optimizers[f"generator-{stage}"] = adam(self.generator_groups(stage), config.betas)
            self.optimizers[f"critic-{stage}"] = adam([(list(self.critic.parameters()), config.rate)], config.betas)
        self.draws: dict[int, Draw] = {}
        self.pictures: dict[int, Tensor] = {}
        self.fixed: tuple[int, dict[Field, Tensor]] = (-1, {})

    def generator_groups(self, stage: int) -> list[tuple[list[nn.Parameter], float]]:
        """(parameters, learning rate): eta delta^k for the block k before the newest, the tail always eta."""
        config, g = self.config, self.generator
        if config.stagewise:
            return [([*g.heads[n].parameters(), *g.blocks[n].parameters(), *g.tails[n].parameters()],
                     config.rate * config.delta ** (stage - n)) for n in self.trained(stage)]  # fmt: skip
        groups = [
            (list(g.blocks[n].parameters()), config.rate * config.delta ** (stage - n)) for n in self.trained(stage)
        ]
        if stage < config.concurrent:
            groups.append((list(g.heads[0].parameters()), config.rate * config.delta**stage))
        return [*groups, (list(g.tails[0].parameters()), config.rate)]

    def trained(self, stage: int) -> range:
        """The blocks that are trained in a stage."""
        return range(max(0, stage - self.config.concurrent + 1), stage + 1)

    def phases(self, iteration: int) -> list[Phase]:
        config = self.config
        stage, fallen = config.schedule.at(iteration)
        generator, critic = f"generator-{stage}", f"critic-{stage}"
        for name in (generator, critic):
            set_rates(self.optimizers[name], fallen)
        self.draws.clear()

        def again() -> None:
            for _ in range(config.generator_steps - 1):
                self.optimizers[generator].step()

        steps = [Phase(f"critic-{i}", critic, partial(self.critic_loss, stage)) for i in range(config.critic_steps)]
        return [*steps, Phase("generator", generator, partial(self.generator_loss, stage), again)]

    def begin(self, stage: int, batch: Batch) -> None:
        """Grows the generator by a block, a copy of the one before, and measures how strong its noise shall be."""
        g = self.generator
        if self.config.task == "fine-tuning":
            raise UsageError("fine-tuning goes on with a trained generator: say --start-from RUN")
        if stage == 0:
            g.sizes.copy_(torch.tensor(pyramid(self.config, *batch["pictures"].shape[2:])).T)
            g.amplitudes[0] = 1.0
            return
        for parts in (g.blocks, g.heads, g.tails):
            if len(parts) > 1:
                parts[stage].load_state_dict(parts[stage - 1].state_dict())
        for name in (f"generator-{stage - 1}", f"critic-{stage - 1}"):
            self.optimizers[name].state.clear()
        g.amplitudes[stage] = 0.0
        if stage >= self.config.stages - self.config.silent:
            return
        real = self.real(stage, batch)[:1]
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            error = (self.reconstruct(stage, self.whole(stage), batch) - real).square().mean().sqrt()
        g.amplitudes[stage] = self.config.noise * error
        self.fixed = -1, {}

    def whole(self, stage: int) -> Box:
        height, width = self.generator.sizes[stage].tolist()
        return Interval(0, height), Interval(0, width)

    def real(self, stage: int, batch: Batch) -> Tensor:
        """x_n (1, 3, h, w), made once."""
        if stage not in self.pictures:
            with torch.autocast(self.device.type, enabled=False):
                small = shrunk(batch["pictures"][:1].float(), self.generator.axes(), stage)
            self.pictures[stage] = small.contiguous(memory_format=torch.channels_last)
        return self.pictures[stage]

    def draw(self, stage: int, batch: Batch) -> Draw:
        """The same for all phases of an iteration [C]: it hangs on the batch's random words alone."""
        words = int(batch["seed"][0])
        if words in self.draws:
            return self.draws[words]
        if self.generator.stage < stage:
            self.begin(stage, batch)
        if self.generator.sizes[-1].tolist() != list(batch["pictures"].shape[2:]):
            raise UsageError("this training began with a picture of another shape; give the same one")
        g, axes, most = self.generator, self.generator.axes(), self.config.window
        rng, noisy = torch.Generator().manual_seed(words), torch.Generator(self.device).manual_seed(words)
        there = self.whole(stage)
        out = [
            place(len(span), limit, rng) if axis.bounded else shifted(limit or len(span), axis.period(stage), rng)
            for axis, span, limit in zip(axes, there, most, strict=True)
        ]
        # Where rows have a number, the critic compares like with like.
        rows = out[0] if axes[0].bounded else place(len(there[0]), most[0], rng)
        columns = [place(len(there[1]), most[1], rng) for _ in batch["seed"]]
        real = torch.cat([fit(self.real(stage, batch), there, (rows, one)) for one in columns])
        plan = g.plan((out[0], out[1]), stage)
        fields = g.noise(plan)
        noise = fresh_noise(fields, len(columns), noisy)
        noise[0] = self.entrance(noise[0], fields[0].window, batch, rng)
        fake = g(noise, plan, self.trained(stage)[0])
        drawn = self.draws[words] = Draw(fake, real, rows)
        return drawn

    def entrance(self, z: Tensor, window: Window, batch: Batch, rng: torch.Generator) -> Tensor:
        """What the adversarial branch starts from: noise, or the coarsest picture as a user's collage may look."""
        task, small = self.config.task, self.real(0, batch)
        if task in ("generation", "animation"):
            return z
        if task == "fine-tuning":
            guide = shrunk(batch["guides"], self.generator.axes(), 0)
            return mirrored(guide, window.rows, window.columns)
        naive = [(cut_out if task == "harmonisation" else shuffle_rectangles)(small, rng) for _ in z]
        return mirrored(torch.cat(naive), window.rows, window.columns) + (EDIT_NOISE * z if task == "editing" else 0.0)

    def reconstruct(self, stage: int, out: Box, batch: Batch, trained: int = 0) -> Tensor:
        """G_n(x_0) at `out`: the coarsest picture, mirrored around itself, for z_0, and noise that stays the same."""
        g = self.generator
        plan = g.plan(out, stage)
        if self.fixed[0] != stage:
            fields = g.noise(g.plan(self.whole(stage), stage))
            self.fixed = stage, dict(zip(fields, noise_of(fields, RECONSTRUCTION, self.device), strict=True))
        known = {field.name: (tensor, field.window) for field, tensor in self.fixed[1].items()}
        seed, *fields = g.noise(plan)
        noise = [mirrored(self.real(0, batch), seed.window.rows, seed.window.columns)]
        if self.config.task == "animation":
            noise, fields = [], [seed, *fields]
        for field in fields:
            tensor, there = known[field.name]
            noise.append(fit(tensor, (there.rows, there.columns), (field.window.rows, field.window.columns)))
        picture: Tensor = g(noise, plan, trained)
        return picture

    def critic_loss(self, stage: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The Wasserstein critic's loss with the penalty of WGAN-GP, its norm over the channels of each pixel [C]."""
        drawn, height = self.draw(stage, batch), self.whole(stage)[0].stop
        fake = drawn.fake.detach()
        score = self.critic(drawn.real, drawn.rows, height)
        loss = critic_wasserstein(score, self.critic(fake, drawn.rows, height))
        rows, sides = drawn.rows, [min(a, b) for a, b in zip(drawn.real.shape[2:], fake.shape[2:], strict=True)]
        sides = [max(min(PATCH, side), round(side * self.config.penalty_share)) for side in sides]
        local = torch.Generator().manual_seed(rng.initial_seed())
        down = place(len(rows), sides[0], local)
        real, fake = (x[:, :, down.start : down.stop, span.start : span.stop] for x in (drawn.real, fake)
                      for span in [place(x.shape[3], sides[1], local)])  # fmt: skip
        part = Interval(rows.start + down.start, rows.start + down.stop)
        penalty = gradient_penalty(lambda x: self.critic(x, part, height), real, fake, rng, over="channels")
        whole = loss + self.config.penalty * penalty
        if self.config.drift:
            whole = whole + self.config.drift * score.float().square().mean()
        return whole, {"critic/loss": loss, "critic/penalty": penalty}

    def generator_loss(self, stage: int, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """L_adv + alpha L_rec."""
        drawn, there, trained = self.draw(stage, batch), self.whole(stage), self.trained(stage)[0]
        adversarial = generator_wasserstein(self.critic(drawn.fake, drawn.rows, there[0].stop))
        local = torch.Generator().manual_seed(rng.initial_seed())
        at = place(len(there[0]), self.config.window[0], local), place(len(there[1]), self.config.window[1], local)
        made = self.reconstruct(stage, at, batch, trained)
        error = (made.float() - fit(self.real(stage, batch), there, at)).square().mean()
        scalars = {"generator/loss": adversarial, "generator/reconstruction": error}
        return adversarial + self.config.reconstruction * error, scalars

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """Four strips, one seed each, four times as wide as the picture where nothing bounds them."""
        assert isinstance(network, PyramidGenerator)
        scene = network.scene
        width = scene.width * (4 if network.config.padding_free else 1)
        made = [window_of(network, Window(0, 0, width, scene.height), s, self.device) for s in range(seed, seed + 4)]
        return np.concatenate(made)


def pyramid(config: Config, height: int, width: int) -> list[tuple[int, ...]]:
    """Sizes of every stage (rows, columns) for a picture."""
    shortest = round(min(height, width) * config.shrink) if config.shrink else config.shortest
    shared = config.unbounded == "xy"
    return pyramid_sizes(height, width, shortest, config.stages, geometric=config.geometric, shared=shared)


PAPER = Config()
OTHER_TASK = replace(PAPER, slope=0.3, norm=True, iterations=(1000,))
SMALL = Config(side=160, by="height", stages=5, unbounded="x", waves=4, window=(96, 128), penalty_share=0.5, penalty=1.0,
               drift=0.001, mirror=5, silent=1, ema_half_life=50.0, iterations=(1500, 1000, 800, 600, 500), polish=1200,
               walk_from=0, momentum=0.95)  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "small": SMALL,
    # Tasks of section 3, as published: other entrances, and batch norm in the generator.
    "animation": replace(PAPER, task="animation", shortest=20),
    "harmonisation": replace(OTHER_TASK, task="harmonisation", stages=3, shortest=120, geometric=True),
    "editing": replace(OTHER_TASK, task="editing"),
    # The last stage once more, with one collage at the entrance: DATA is then a list of two files, photograph and collage.
    "fine-tuning": replace(OTHER_TASK, task="fine-tuning", stages=3, shortest=120, geometric=True, iterations=(500,)),
    # Two neighbouring sizes: what it learns is applied again and again (SinGAN's super-resolution by 4 in 6 steps).
    "enlarging": replace(PAPER, stages=2, shrink=0.794, reconstruction=100.0),
    # SinGAN's settings: stages by themselves, pictures between them, more of them.
    "singan": replace(PAPER, stages=9, geometric=True, between="pictures", concurrent=1),
    "tiny": Config(side=32, by="height", shortest=16, stages=3, unbounded="x", channels=8, iterations=(4,)),
}

SPEC = ModelSpec(
    kind="canvas",
    title="ConSinGAN",
    paper="Hinz et al., Improved Techniques for Training Single-Image GANs, WACV 2021",
    summary="variations of one photograph: of any size, or a panorama of it without end",
    config=Config,
    presets=PRESETS,
    build=PyramidGenerator,
    objective=Objective,
    needs=lambda config: WholePictureNeeds(side=config.side, by=config.by, pair=config.task == "fine-tuning"),
    defaults=lambda config: {"iterations": config.schedule.total, "batch": 1},
    latents={"z_l": "N(0, I), 3 channels, coarsest stage", "z_n": "N(0, I) per channel of every further stage"},
)
