"""TGANv2: clips from a stack of sub-generators, trained sparsely and generated densely.

Saito, Saito, Koyama, Kobayashi: "Train Sparsely, Generate Densely: Memory-efficient Unsupervised Training of
High-resolution Temporal GAN", IJCV 2020.

    x_l = g_l^R(h_l),  h_l = g_l^A(S_l(h_{l-1})),  h_0 = g_0(z)     training: a clip a level (Eq. 6)
    x   = g_L^R(g_L^A(... g_1^A(g_0(z))))                           inference: every frame, last level (Eq. 5)

g_0 is a linear layer and a ConvLSTM (or a differential equation), g^A are residual up blocks, g^R renders pictures. In
training alone S_l keeps every s-th frame from a random offset on, before the next block is computed. Each level has a
3D critic of its own, which sees real clips cut in the same way.

Where paper and released code disagree, a field of `Config` says which reading is taken (docs/models/tganv2.md).

Layout: B clips, C channels, T frames, H, W; N = B T frames folded into one axis, clip by clip; L levels.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ClipNeeds, ModelSpec, Phase
from mediagen.nn.clip_path import uniform_row
from mediagen.nn.clip_views import LevelViews
from mediagen.nn.conv_lstm import ConvLSTM
from mediagen.nn.differential import map_equation
from mediagen.nn.playback import Playback, asked, play, request_noise, skip
from mediagen.nn.residual3d import LevelCritics, glorot
from mediagen.nn.sheets import clip_grid, contact_sheet
from mediagen.nn.temporal import Noise, Temporal, first, rollout
from mediagen.nn.up_blocks import Render, UpBlock, folded, unfolded
from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating
from mediagen.objectives.penalties import zero_centred


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's 192-pixel network; [C] marks what only the released code tells."""

    # Clips.
    height: int = 192
    width: int = 192
    frames: int = 16
    stride: int = field(default=1, metadata={"min": 1})  # of the frames that a clip is made of
    video_fps: float = field(default=25.0, metadata={"min": 0.1, "max": 1000})  # of the videos, before the stride
    retime: bool = False  # bring every video to video_fps first
    flip: bool = True  # UCF-101; not for faces [C]
    categories: int = field(default=0, metadata={"min": 0})  # classes (section 4.6)
    # Generator (section 4.1, Fig. 3).
    latent: int = 256
    temporal: Literal["convlstm", "ode", "ode2", "ode3", "sde"] = "convlstm"  # or an equation (nn/differential.py)
    standard: bool = False  # ode2 and ode3: True lets the highest derivative see the position (ours)
    hidden: int = 1024  # channels of the map that the temporal generator makes [C]
    forget: float = 0.0  # first bias of the ConvLSTM's forget gates; above 0 z is remembered from the start (ours)
    repeat_latent: bool = False  # g_1 is given z beside every map, as the text says; not so [C]
    channels: tuple[int, ...] = (512, 256, 128, 64, 32, 32)  # of each up block [C]; the map is 2^-6 of a frame
    levels: int = 4  # L: the last so many up blocks end a level
    strides: tuple[int, ...] = (2, 2, 2)  # s_t between levels; 1 drops nothing, (1, 1, 1) is the "naive" model
    clips_kept: int = 1  # 2: every level is also given every 2nd clip of the one before [C]
    # Critics (section 4.2, Fig. 4).
    critic_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)  # [C]
    image_critic: bool = False  # with one level: the baseline "3D + 2D" (section 5.3)
    # Losses (sections 3.4 and 4.5).
    loss: Literal["per_level", "sum"] = "per_level"  # [C]; Eq. 7 sums the logits of all levels
    penalty: float = 0.5  # lambda of the zero-centred penalty, summed over clips and levels; the baselines take 10
    penalty_every: int = 1  # 4: every 4th iteration, 4 times as strong
    reuse: bool = True  # the critics' step takes the clips that the generator's made [C]; False: new ones
    # Training (section 5.2).
    rate: float = 1e-4
    critic_rate: float = 1e-4
    # Iterations over which both rates fall to 0; 0: never.
    decay: int = field(default=100_000, metadata={"min": 0, "max": 10**9})
    ema_half_life: float = 0.0  # in clips; 0, as published: the last weights are shipped

    def __post_init__(self) -> None:
        scale = 2 ** len(self.channels)
        if self.height % scale or self.width % scale or min(self.height, self.width) < scale:
            raise UsageError(f"{len(self.channels)} up blocks need frames whose sides are multiples of {scale}")
        if not 1 <= self.levels <= len(self.channels):
            raise UsageError(f"levels must lie between 1 and {len(self.channels)}, the number of up blocks")
        if len(self.strides) != self.levels - 1 or min((1, *self.strides)) < 1:
            raise UsageError(f"{self.levels} levels need {self.levels - 1} strides of at least 1")
        if self.clips_kept > 1 and self.loss == "sum":
            raise UsageError("summed logits need all clips at every level: leave clips_kept at 1, or loss=per_level")
        if min(self.frames, self.stride, self.clips_kept, self.penalty_every) < 1:
            raise UsageError("frames, stride, clips_kept and penalty_every must be at least 1")
        if self.image_critic and self.levels > 1:
            raise UsageError("image_critic is for the baseline of one level: say levels=1 and strides=[] with it")

    @property
    def views(self) -> LevelViews:
        """How clips are cut for the levels: S_l, of features and of real clips alike."""
        return LevelViews(self.strides, self.clips_kept)


def temporal_generator(config: Config, cells: tuple[int, int]) -> Temporal:
    """What follows the linear layer in g_0: a map of `hidden` channels a frame."""
    if config.temporal == "convlstm":
        return ConvLSTM(config.hidden, config.forget)
    return map_equation(config.temporal, (config.hidden, *cells), standard=config.standard)


class Generator(nn.Module):
    """G: `forward` trains, `clips` makes whole clips, `start`, `skip` and `step` make frames (a StreamModel)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.fps, self.clip_frames = config.video_fps / config.stride, config.frames
        self.categories = config.categories
        cells = (config.height >> len(config.channels), config.width >> len(config.channels))
        self.fc = nn.Linear(config.latent + config.categories, config.hidden * cells[0] * cells[1])
        glorot(self.fc)
        self.cells, self.temporal = cells, temporal_generator(config, cells)
        widths = (config.hidden + (config.latent if config.repeat_latent else 0), *config.channels)
        self.blocks = nn.ModuleList(UpBlock(*pair, config.categories) for pair in itertools.pairwise(widths))
        self.renders = nn.ModuleList(Render(c, config.categories) for c in config.channels[-config.levels :])
        equation = {"motion"} if config.temporal == "sde" else {"reverse"}
        self.abilities = frozenset({"rate"} if config.temporal == "convlstm" else {"rate"} | equation)
        self._level = config.levels

    @property
    def render_level(self) -> int:
        """The level that is rendered, 1 to L; L, the full size, unless it is set. Each one less is half the size."""
        return self._level

    @render_level.setter
    def render_level(self, level: int) -> None:
        if not 1 <= level <= self.config.levels:
            raise UsageError(f"the level must lie between 1 and {self.config.levels}, got {level}")
        self._level = level

    @property
    def frame_size(self) -> tuple[int, int]:
        shrunk = 2 ** (self.config.levels - self._level)
        return self.config.height // shrunk, self.config.width // shrunk

    def initial(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The map that the temporal generator is told: z (B, latent), labels (B,) -> (B, hidden, h, w)."""
        if self.categories:
            assert labels is not None, "a conditional generator needs labels"
            z = torch.cat([z, F.one_hot(labels, self.categories).to(z.dtype)], dim=1)
        return self.fc(z).unflatten(1, (self.config.hidden, *self.cells))

    def codes(self, z: Tensor, labels: Tensor | None, frames: int, rng: torch.Generator | None = None) -> Tensor:
        """g_0: the first T maps as pictures (B T, ...). `rng` draws an SDE's noise."""
        start, noise = self.initial(z, labels), None
        if self.temporal.noise:
            noise = torch.randn((len(z), frames, self.temporal.noise), generator=rng, device=z.device, dtype=z.dtype)
        if self.temporal.continuous:
            maps = rollout(self.temporal, start, frames, noise)  # without autocast
        else:
            states = [self.temporal.advance(self.temporal.begin(start), None)]
            while len(states) < frames:
                states.append(self.temporal.advance(states[-1], None))
            maps = torch.stack([self.temporal.read(state) for state in states], dim=1)
        return self.beside(folded(maps), z.repeat_interleave(frames, dim=0))

    def beside(self, maps: Tensor, z: Tensor) -> Tensor:
        """Maps (N, hidden, h, w), with z (N, latent) in every cell where g_1 is given it."""
        if not self.config.repeat_latent:
            return maps
        return torch.cat([maps, z.to(maps.dtype)[:, :, None, None].expand(-1, -1, *maps.shape[2:])], dim=1)

    def abstract(self, level: int, x: Tensor, labels: Tensor | None) -> Tensor:
        """g_l^A of level 1 to L: maps (N, ...) of the level before, or of g_0, to those of this one."""
        last = len(self.blocks) - self.config.levels + level
        for block in self.blocks[0 if level == 1 else last - 1 : last]:
            x = block(x, labels)
        return x

    def render(self, level: int, x: Tensor, labels: Tensor | None) -> Tensor:
        """g_l^R: maps (N, ...) of level 1 to L to pictures (N, 3, H_l, W_l)."""
        pictures: Tensor = self.renders[level - 1](x, labels)
        return pictures

    def forward(self, z: Tensor, labels: Tensor | None, rng: torch.Generator) -> list[Tensor]:
        """Training: z (B, latent) in [-1, 1], labels (B,) -> per level clips (B_l, 3, T_l, H_l, W_l), frames dropped."""
        x, clips, batch = self.codes(z, labels, self.config.frames, rng), [], len(z)
        for level, drop in enumerate([None, *self.config.views.drops], 1):
            if drop is not None:
                x, labels = drop.folded(x, batch, rng), None if labels is None else drop.kept(labels)
                batch = -(-batch // drop.clips)
            of_frames = None if labels is None else labels.repeat_interleave(len(x) // batch)
            x = self.abstract(level, x, of_frames)
            clips.append(unfolded(self.render(level, x, of_frames), batch))
        return clips

    def dense(
        self, z: Tensor, labels: Tensor | None, frames: int, levels: Sequence[int], rng: torch.Generator | None = None
    ) -> list[Tensor]:
        """All T frames of the same clips at several levels: per level (B, 3, T, H_l, W_l) (section 5.6)."""
        x, found = self.codes(z, labels, frames, rng), {}
        of_frames = None if labels is None else labels.repeat_interleave(frames)
        for level in range(1, max(levels) + 1):
            x = self.abstract(level, x, of_frames)
            if level in levels:
                found[level] = unfolded(self.render(level, x, of_frames), len(z))
        return [found[level] for level in levels]

    def clips(
        self, z: Tensor, labels: Tensor | None = None, frames: int | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Inference: z (B, latent) -> whole clips (B, 3, T, H, W) at `render_level`, nothing dropped."""
        return self.dense(z, labels, frames or self.clip_frames, [self._level], rng)[0]

    def latent(self, seed: int) -> Tensor:
        """z (1, latent) of a seed, uniform on [-1, 1]."""
        return uniform_row(seed, "z", self.config.latent, 0).to(self.fc.weight)

    @torch.no_grad()
    def interpolate(self, first_seed: int, second_seed: int, count: int, category: int = 0) -> Tensor:
        """`count` clips (count, 3, T, H, W) on the straight line between the latents of two seeds (Fig. 12)."""
        ends = self.latent(first_seed), self.latent(second_seed)
        z = torch.cat([torch.lerp(*ends, k / max(1, count - 1)) for k in range(count)])
        labels = self.classes(ClipRequest(categories=(category,)), 0, count)
        return self.clips(z, labels, rng=torch.Generator(z.device).manual_seed(first_seed))

    # Playing (StreamModel): z is read by position, and so is an SDE's noise.

    def noise_of(self, request: ClipRequest, start: int, stop: int) -> Noise:
        return request_noise(request, start, stop, self.temporal.noise, 0, self.fc.weight)

    @torch.no_grad()
    def start(self, request: ClipRequest) -> Playback:
        """The state at frame 0. Its class enters g_0; those of later frames change the norms alone."""
        z, labels = self.latent(request.content), self.classes(request, 0, 1)
        motion = first(self.temporal, self.initial(z, labels), self.noise_of(request, 0, 1))
        return Playback(request, z, motion)

    @torch.no_grad()
    def skip(self, state: Playback, count: int) -> Playback:
        return skip(self.temporal, state, count, self.noise_of)

    @torch.no_grad()
    def step(self, state: Playback, count: int) -> tuple[Playback, Tensor]:
        """`count` frames (count, 3, H, W) at `render_level`; between two frames a ConvLSTM's maps are interpolated."""
        moved, maps = play(self.temporal, state, count, self.noise_of)
        labels = self.classes(state.request, state.frame, count)
        x = self.beside(maps.to(self.fc.weight.dtype), state.content.expand(count, -1))
        x = x.contiguous(memory_format=torch.channels_last)
        for level in range(1, self._level + 1):
            x = self.abstract(level, x, labels)
        return moved, self.render(self._level, x, labels)

    def classes(self, request: ClipRequest, start: int, count: int) -> Tensor | None:
        """Classes (count,) of frames, None without any. Raises UsageError for one that the model does not know."""
        found = asked(request, start, count, self.categories, self.fc.weight.device)
        return found if self.categories else None


class Objective:
    """Generator, then critics on the same clips; both rates fall linearly to 0."""

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator = Generator(config).to(device)
        critics = LevelCritics(config.levels, config.critic_channels, config.categories, image=config.image_critic)
        self.critics = critics.to(device)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critics": self.critics}
        self.state: dict[str, Tensor] = {}
        adam = partial(torch.optim.Adam, betas=(0.0, 0.9), eps=8e-8, fused=True)  # section 5.2, epsilon [C]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": adam(self.generator.parameters(), lr=config.rate),
            "critics": adam(self.critics.parameters(), lr=config.critic_rate),
        }
        self._made: deque[list[Tensor]] = deque()

    def phases(self, iteration: int) -> list[Phase]:
        left = max(0.0, 1.0 - iteration / self.config.decay) if self.config.decay else 1.0
        for name, rate in (("generator", self.config.rate), ("critics", self.config.critic_rate)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate * left
        self._made.clear()
        every = self.config.penalty_every
        judge = partial(self.critic_loss, penalty=0.0 if iteration % every else self.config.penalty * every)
        return [Phase("generator", "generator", self.generator_loss), Phase("critics", "critics", judge)]

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """z (B, latent), uniform on [-1, 1]."""
        return torch.rand(count, self.config.latent, generator=rng, device=self.device) * 2 - 1

    def labels(self, batch: Batch) -> Tensor | None:
        return batch["labels"].to(self.device) if self.config.categories else None

    def judge(self, clips: Sequence[Tensor], labels: Tensor | None, rng: torch.Generator) -> list[Tensor]:
        """Logits by level; clips of every level, labels (B,) of the first."""
        given = [None] * len(clips) if labels is None else self.config.views.rows(labels)
        found: list[Tensor] = self.critics(clips, given, rng)
        return found

    def joined(self, logits: list[Tensor]) -> Tensor:
        """The logits of which the loss is a mean: all of every level, or their sum over the levels (Eq. 7)."""
        return torch.cat(logits) if self.config.loss == "per_level" else torch.stack(logits).sum(0)

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        labels, z = self.labels(batch), self.draw(len(batch["clips"]), rng)
        fakes = self.generator(z, labels, rng)
        if self.config.reuse:
            self._made.append([fake.detach() for fake in fakes])
        loss = generator_nonsaturating(self.joined(self.judge(fakes, labels, rng)))
        return loss, {"generator/loss": loss}

    def critic_loss(self, batch: Batch, rng: torch.Generator, penalty: float) -> tuple[Tensor, dict[str, Tensor]]:
        """With penalty * sum_l sum_i ||grad D_l||^2 on real clips (Eq. 10)."""
        labels, clips = self.labels(batch), batch["clips"].to(self.device)
        with torch.no_grad():
            fakes = self._made.popleft() if self._made else self.generator(self.draw(len(clips), rng), labels, rng)
        reals = [view.detach().requires_grad_(penalty > 0) for view in self.config.views(clips, rng)]
        real, fake = self.judge(reals, labels, rng), self.judge(fakes, labels, rng)
        loss = discriminator_logistic(self.joined(real), self.joined(fake))
        scalars = {"critics/loss": loss}
        for level, (r, f) in enumerate(zip(real, fake, strict=True), 1):
            scalars |= {f"critics/real {level}": r.mean(), f"critics/fake {level}": f.mean()}
        if penalty:
            scalars["critics/penalty"] = zero_centred(torch.cat(real), reals)
            loss = loss + penalty * scalars["critics/penalty"]
        return loss, scalars

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        """Dense clips (count, 3, T, H, W), classes drawn alike."""
        assert isinstance(network, Generator)
        kinds = self.config.categories
        labels = torch.randint(kinds, (count,), generator=rng, device=self.device) if kinds else None
        return network.clips(self.draw(count, rng), labels, rng=rng)

    def shown(self, network: nn.Module, seed: int, count: int) -> list[Tensor]:
        """The clips of so many seeds at every level."""
        assert isinstance(network, Generator)
        kinds, levels = self.config.categories, range(1, self.config.levels + 1)
        z = torch.cat([network.latent(seed + k) for k in range(count)])
        labels = torch.arange(count, device=self.device) % kinds if kinds else None
        rng = torch.Generator(self.device).manual_seed(seed)
        return network.dense(z, labels, self.config.frames, levels, rng)

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """Four clips, one a row; below them the lower levels of the first one, enlarged."""
        *lower, full = self.shown(network, seed, 4)
        enlarged = [F.interpolate(clips[:1].float(), size=full.shape[2:]) for clips in lower]
        return contact_sheet(torch.cat([full.float(), *enlarged]))

    def preview_clip(self, network: nn.Module, seed: int) -> np.ndarray:
        """Two rows of four clips."""
        return clip_grid(self.shown(network, seed, 8)[-1], 4)


PAPER = Config()
SMALL = replace(PAPER, height=64, width=64, flip=False, latent=64, hidden=128, channels=(128, 64, 32, 16), levels=3, rate=2e-4,
                critic_rate=2e-4, decay=0, strides=(2, 2), critic_channels=(16, 32, 64, 128), ema_half_life=2000.0)  # fmt: skip
TINY = replace(PAPER, height=16, width=16, frames=8, flip=False, latent=8, hidden=8, channels=(8, 8, 8), levels=3,
               strides=(2, 2), critic_channels=(8, 8, 8))  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "paper-256": replace(PAPER, height=256, width=256, flip=False),
    "paper-naive": replace(PAPER, strides=(1, 1, 1)),
    "paper-3d": replace(PAPER, levels=1, strides=(), penalty=10.0),
    "paper-3d-2d": replace(PAPER, levels=1, strides=(), penalty=10.0, image_critic=True),
    "paper-ode": replace(PAPER, temporal="ode", strides=(4, 4, 4)),
    "small": SMALL,
    "small-96": replace(SMALL, height=96, width=96),
    "small-128": replace(SMALL, height=128, width=128, channels=(128, 64, 32, 16, 16), levels=4, strides=(2, 2, 2)),
    "small-ode": replace(SMALL, temporal="ode"),
    "tiny": TINY,
    "tiny-ode": replace(TINY, temporal="ode"),
}
RECIPES = {name: {"batch": 32, "iterations": 100_000} for name in PRESETS if name.startswith("paper")}  # section 5.2

SPEC = ModelSpec(
    kind="video",
    title="TGANv2",
    paper="Saito et al., Train Sparsely, Generate Densely: Memory-efficient Unsupervised Training of High-resolution "
    "Temporal GAN, IJCV 2020",
    summary="clips of up to 256 pixels frame by frame, from a ConvLSTM and a renderer at each of several scales",
    config=Config,
    presets=PRESETS,
    build=Generator,
    objective=Objective,
    needs=lambda config: ClipNeeds(
        frames=config.frames, height=config.height, width=config.width, stride=config.stride, flip=config.flip,
        fps=config.video_fps if config.retime else None, categories=config.categories,
    ),
    recipes=RECIPES,
    latents={"z": "U[-1, 1], once a clip", "epsilon": "N(0, I), once a frame, where time is an SDE"},
)  # fmt: skip
