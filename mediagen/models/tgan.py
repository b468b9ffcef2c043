"""TGAN: one latent becomes a path of latents, one a frame, and an image generator draws every frame of it.

Saito, Matsumoto, Saito: "Temporal Generative Adversarial Nets with Singular Value Clipping", ICCV 2017.

    z_1(1..T) = G_0(z_0)                 1-D transposed convolutions over time (Table 1)     z_0 ~ U(-1, 1)
    frame t = G_1(z_0, z_1(t))           2-D transposed convolutions
    max_D E D(x) - E D(G(z_0))           a Wasserstein critic of whole clips (Eq. 2), kept near 1-Lipschitz by clipping
                                         its singular values and batch norms every 5 iterations (section 4, Table 2)

`categories` makes it the conditional TGAN (section 5.2); frames between frames are drawn from latents between latents
(section 5.1). `temporal` puts a latent differential equation in G_0's place (Gordon and Parde 2020; nn/differential.py),
and then clips have any length. `generator = "volume"` is the 3-D baseline of section 6.3. Where the paper is silent or
disagrees with the released code, a comment says what was taken (docs/models/tgan.md).

Layout: B clips, C channels, T frames, H, W; K_0, K_1 widths of z_0 and z_1; V categories.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ClipNeeds, ModelSpec, Phase
from mediagen.nn.class_prior import ClassPrior
from mediagen.nn.clip_critic import ClipCritic
from mediagen.nn.clip_path import between, clip_length, uniform_row
from mediagen.nn.differential import Variant, vector_equation
from mediagen.nn.initial import he_normal, uniform
from mediagen.nn.playback import Playback, asked, play, request_noise, skip
from mediagen.nn.sheets import clip_grid, contact_sheet
from mediagen.nn.temporal import Noise, Temporal, rollout
from mediagen.nn.two_generators import FrameGenerator, TimeDeconvolutions
from mediagen.nn.upsample import Mode, equal_phases
from mediagen.nn.volume import VolumeGenerator
from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating
from mediagen.objectives.clipping import clip_box, clip_norm_scales, clip_singular_values, clipped_weights, norms
from mediagen.objectives.wasserstein import critic_wasserstein, generator_wasserstein


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's; [C] marks what only the released code tells."""

    # Generators (Table 1).
    latent: int = 100  # K_0
    frame_latent: int = 100  # K_1
    temporal: Literal["deconv", "ode", "ode2", "ode3", "sde"] = "deconv"
    temporal_channels: tuple[int, ...] = (512, 256, 128, 128)  # each but the first doubles time, and so does the output
    corner: int = 256  # channels of each linear branch's 4 x 4 map
    channels: tuple[int, ...] = (256, 128, 64, 32)  # each doubles the frame
    slow: bool = True  # G_1 sees z_0 too; False is the ablation G_1(z_1) of Table 3
    generator: Literal["frames", "volume"] = "frames"  # volume: the 3-D model of section 6.3
    volume_channels: tuple[int, ...] = (512, 256, 128, 64)  # of its linear layer and deconvolutions
    categories: int = field(default=0, metadata={"min": 0})  # V; 0 for none
    colours: Literal[1, 3] = 3
    upsample: Mode = "deconv"  # of frames and volumes; time is always Table 1's
    # The differential equation, where there is one (Gordon and Parde 2020, sizes as released).
    equation: Variant = "single"
    equation_width: int = 978  # of the "equal" variant
    equation_hidden: tuple[int, ...] = (512, 512, 512)  # of the net before it
    equation_standard: bool = False  # the highest derivative sees the lower ones; ours, not in the paper
    # Critic (section 3.3).
    critic_channels: tuple[int, ...] = (64, 128, 256, 512)
    norm_shift: bool = True  # False: no beta in the critic's and G_0's batch norms, as in the code's best runs [C]
    # Loss (sections 3.2 and 4).
    loss: Literal["wasserstein", "logistic"] = "wasserstein"  # logistic: the normal GAN, without clipping
    clipping: Literal["singular", "box"] = "singular"  # box: |w| <= clip_at, as in the first Wasserstein GAN
    clip_at: float = 0.01  # c, the best one found (section 6.2)
    clip_every: int = 5  # n_clip, in iterations
    noise: float = 0.2  # sigma, into all layers of the normal GAN's critic; its norms have no scale (section 6.3)
    # Training (section 6.2).
    rate: float = 5e-5
    critic_steps: int = 1  # n_D
    shared_fakes: bool = True  # one generated batch serves both steps of an iteration [C]
    ema_half_life: float = 0.0  # clips; 0 for no average
    # Videos.
    stride: int = field(default=1, metadata={"min": 1})
    video_fps: float = field(default=25.0, metadata={"min": 0.1, "max": 1000})  # of the videos, before the stride
    retime: bool = False  # bring every video to video_fps first
    squeeze: bool = False  # scale to 85 x 64 whatever the shape, as for UCF-101; videos of 4:3 look the same either way

    def __post_init__(self) -> None:
        shrink = 2 ** len(self.critic_channels)
        if self.size % shrink or self.frames % shrink:
            raise UsageError(f"the critic needs multiples of {shrink}, not {self.frames} frames of {self.size} pixels")
        if self.generator == "volume" and len(self.volume_channels) != len(self.channels):
            raise UsageError("volume_channels must have as many entries as channels, for frames of the same size")
        if self.generator == "volume" and self.temporal != "deconv":
            raise UsageError("the 3-D model has no temporal generator that a differential equation could stand in for")
        if self.temporal != "deconv" and self.latent != self.frame_latent:
            raise UsageError(
                "a differential equation starts from z_0 and moves it: latent and frame_latent must be equal"
            )

    @property
    def frames(self) -> int:
        """T: 16."""
        return 2 ** len(self.temporal_channels)

    @property
    def size(self) -> int:
        """Side of a frame: 64."""
        return 4 * 2 ** len(self.channels)


def equation(config: Config) -> Temporal | None:
    """The differential equation in G_0's place, where there is one; it is told the class beside its own state."""
    if config.temporal == "deconv":
        return None
    return vector_equation(
        config.temporal, config.latent, variant=config.equation, width=config.equation_width, gain=math.sqrt(2),
        hidden=config.equation_hidden, standard=config.equation_standard, condition=config.categories,
    )  # fmt: skip


def deconvolutions(config: Config) -> TimeDeconvolutions:
    """G_0: z_0 and the class (B, K_0 + V) -> z_1 (B, T, K_1)."""
    inputs = config.latent + config.categories
    return TimeDeconvolutions(inputs, config.temporal_channels, config.frame_latent, shift=config.norm_shift)


def image_generator(config: Config) -> FrameGenerator:
    """G_1: z_0 (B, K_0), z_1 (B, T, K_1), classes (B,) -> frames (B * T, colours, H, W)."""
    return FrameGenerator(
        config.frame_latent, config.latent if config.slow else 0, config.categories, corner=config.corner,
        channels=config.channels, colours=config.colours, mode=config.upsample,
    )  # fmt: skip


def volume_generator(config: Config) -> VolumeGenerator:
    """The 3-D model: z_0 and the class -> clips (B, colours, T, H, W)."""
    corner = (config.frames // 2 ** len(config.volume_channels), 4, 4)
    inputs = config.latent + config.categories
    return VolumeGenerator(inputs, config.volume_channels, corner, config.colours, config.upsample)


@dataclass(frozen=True)
class Latents:
    """What clips are made from: z_0 (B, K_0) in [-1, 1], classes (B,), and an SDE's noise (B, T, ...), empty otherwise."""

    z_0: Tensor
    labels: Tensor
    noise: Tensor


class Generator(nn.Module):
    """G_0 and G_1, or the 3-D model. `forward` trains; ClipGenerator and StreamGenerator play."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, whole = config, config.generator == "volume"
        self.temporal = equation(config)
        self.deconvolutions = None if whole or self.temporal is not None else deconvolutions(config)
        self.image = None if whole else image_generator(config)
        self.volume = volume_generator(config) if whole else None
        for network in (self.image, self.volume):
            if network is not None:
                uniform(network, 0.01)
                equal_phases(network)
        self.prior = ClassPrior(config.categories)
        self.frame_size = (config.size, config.size)
        self.fps, self.clip_frames = config.video_fps / config.stride, config.frames
        self.categories = config.categories
        parts = {"content", "motion"} if config.temporal == "sde" else {"reverse"}
        self.abilities = frozenset({"reverse"} if whole else {*parts, "rate"})

    def forward(self, drawn: Latents) -> Tensor:
        """Clips (B, colours, T, H, W)."""
        if self.volume is not None:
            clips: Tensor = self.volume(self.labelled(drawn.z_0, drawn.labels))
            return clips
        return self.draw(drawn.z_0, self.path(drawn), drawn.labels)

    def path(self, drawn: Latents) -> Tensor:
        """z_1 of every frame, (B, T, K_1)."""
        if self.temporal is None:
            assert self.deconvolutions is not None
            path: Tensor = self.deconvolutions(self.labelled(drawn.z_0, drawn.labels))
            return path
        told = self.one_hot(drawn.labels)[:, None].expand(-1, self.config.frames, -1)
        return rollout(self.temporal, drawn.z_0, self.config.frames, torch.cat([told, drawn.noise], dim=2))

    def draw(self, z_0: Tensor, z_1: Tensor, labels: Tensor) -> Tensor:
        """(B, K_0), (B, T, K_1) and (B,) -> clips (B, colours, T, H, W), for any T."""
        assert self.image is not None
        frames: Tensor = self.image(z_0, z_1, labels)
        return frames.unflatten(0, (-1, z_1.shape[1])).transpose(1, 2)

    def one_hot(self, labels: Tensor) -> Tensor:
        """(B, V), of no columns where there are no classes."""
        like = next(self.parameters())
        return F.one_hot(labels, self.categories).to(like) if self.categories else like.new_zeros(len(labels), 0)

    def labelled(self, z_0: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([z_0, self.one_hot(labels).to(z_0)], dim=1)

    def content_of(self, request: ClipRequest, number: int) -> Tensor:
        """z_0 (1, K_0)."""
        return uniform_row(request.content, "z_0", self.config.latent, number).to(next(self.parameters()))


class ClipGenerator(Generator):
    """G_0 is made of deconvolutions, and makes 16 frames in one piece (ClipModel)."""

    @torch.no_grad()
    def clip(self, request: ClipRequest, number: int) -> Tensor:
        """Clip `number` (T, 3, H, W), of the class that is asked for at its first frame."""
        request, count = self.prior.decide(request, number), clip_length(self.clip_frames, request.rate)
        z_0 = self.content_of(request, number)
        labels = asked(request, number * count, 1, self.categories, z_0.device)
        drawn = Latents(z_0, labels, z_0.new_zeros(1, self.clip_frames, 0))
        if self.image is not None:
            made = self.draw(z_0, between(self.path(drawn), request.rate, count), labels)
        else:
            made = self(drawn).flip(2) if request.rate < 0 else self(drawn)
        return in_colour(made)[0].transpose(0, 1)


class StreamGenerator(Generator):
    """A differential equation in G_0's place: any length, one frame after the other (StreamModel)."""

    def noise_of(self, request: ClipRequest, start: int, stop: int) -> Noise:
        assert self.temporal is not None
        like = next(self.parameters())
        return request_noise(request, start, stop, self.temporal.noise, self.categories, like)

    @torch.no_grad()
    def start(self, request: ClipRequest) -> Playback:
        assert self.temporal is not None
        z_0 = self.content_of(request, 0)
        return Playback(self.prior.decide(request, 0), z_0, self.temporal.begin(z_0))

    @torch.no_grad()
    def skip(self, state: Playback, count: int) -> Playback:
        assert self.temporal is not None
        return skip(self.temporal, state, count, self.noise_of)

    @torch.no_grad()
    def step(self, state: Playback, count: int) -> tuple[Playback, Tensor]:
        assert self.temporal is not None
        moved, z_1 = play(self.temporal, state, count, self.noise_of)
        # One clip of one frame each: every frame has a class of its own.
        labels = asked(state.request, state.frame, count, self.categories, z_1.device)
        made = self.draw(state.content.expand(count, -1), z_1[:, None], labels)
        return moved, in_colour(made)[:, :, 0]


def build(config: Config) -> ClipGenerator | StreamGenerator:
    return ClipGenerator(config) if config.temporal == "deconv" else StreamGenerator(config)


def in_colour(clips: Tensor) -> Tensor:
    """(B, 1 or 3, T, H, W) -> (B, 3, T, H, W)."""
    return clips.expand(-1, 3, -1, -1, -1)


def critic(config: Config) -> ClipCritic:
    """D: four strided convolutions and a linear layer (section 3.3)."""
    normal = config.loss == "logistic"
    network = ClipCritic(
        config.frames, config.size, config.critic_channels, inputs=config.colours, classes=config.categories,
        shift=config.norm_shift, scale=not normal, sigma=config.noise if normal else 0.0,
    )  # fmt: skip
    he_normal(network)
    return network


class Objective:
    """Algorithm 1: G_0 and G_1 move, then the critic, which is clipped every `clip_every` iterations.

    In the order of the released code, where the generators go first and the critic then judges the same clips.
    """

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator, self.critic = build(config).to(device), critic(config).to(device)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.RMSprop(network.parameters(), config.rate) for name, network in self.networks.items()
        }
        self.state = {"largest": torch.zeros(len(clipped_weights(self.critic)), device=device)}
        self.fakes: list[Tensor] = []  # of this iteration, share by share
        normal = config.loss == "logistic"
        self.critic_distance = discriminator_logistic if normal else critic_wasserstein
        self.generator_distance = generator_nonsaturating if normal else generator_wasserstein

    def phases(self, iteration: int) -> list[Phase]:
        self.fakes.clear()
        phases = [Phase("generator", "generator", self.generator_loss)]
        for step in range(self.config.critic_steps):
            last = step == self.config.critic_steps - 1
            phases.append(Phase(f"critic{step or ''}", "critic", self.critic_loss, self.clipping(iteration, last)))
        return phases

    def draw(self, labels: Tensor, rng: torch.Generator) -> Latents:
        """Latents for a generated clip of each class in `labels`."""
        shape, temporal = (len(labels), self.config.frames), self.generator.temporal
        z_0 = torch.rand(len(labels), self.config.latent, generator=rng, device=self.device) * 2 - 1
        noise = torch.randn(*shape, 0 if temporal is None else temporal.noise, generator=rng, device=self.device)
        return Latents(z_0, labels, noise)

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Generated clips have the real ones' classes, so that classes are as frequent as in the data."""
        fake = self.generator(self.draw(batch["labels"], rng))
        if self.config.shared_fakes:
            self.fakes.append(fake.detach())
        loss = self.generator_distance(self.critic(fake, batch["labels"], rng))
        return loss, {"generator/loss": loss}

    def critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Real and generated clips apart: batch norm would otherwise tell them from their neighbours."""
        real, labels = batch["clips"], batch["labels"]
        real = real.mean(1, keepdim=True) if self.config.colours == 1 else real
        self.generator.prior.meet(labels)
        with torch.no_grad():
            fake = self.fakes.pop(0) if self.fakes else self.generator(self.draw(labels, rng))
        real_score, fake_score = self.critic(real, labels, rng), self.critic(fake, labels, rng)
        loss = self.critic_distance(real_score, fake_score)
        scalars = {"critic/loss": loss, "critic/real": real_score.mean(), "critic/fake": fake_score.mean()}
        if self.config.loss == "wasserstein" and self.config.clipping == "singular":
            scalars |= {f"critic/singular{i}": value for i, value in enumerate(self.state["largest"])}
        return loss, scalars

    def clipping(self, iteration: int, last: bool) -> Callable[[], None] | None:
        """What follows a critic's step: the box after every one, singular values every `clip_every` iterations."""
        if self.config.loss == "logistic":
            return None
        if self.config.clipping == "box":
            return lambda: clip_box(self.critic.parameters(), self.config.clip_at)
        return self.clip if last and iteration % self.config.clip_every == 0 else None

    def clip(self) -> None:
        """Table 2. `largest` are the largest singular values from before it, for the log."""
        self.state["largest"].copy_(clip_singular_values(clipped_weights(self.critic)))
        clip_norm_scales(norms(self.critic))

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        assert isinstance(network, Generator)
        labels = network.prior.sample(count, rng)
        return in_colour(network(self.draw(labels, rng)))

    def shown(self, network: nn.Module, seed: int, count: int) -> Tensor:
        """`count` clips, classes in turn."""
        labels = torch.arange(count, device=self.device) % max(1, self.config.categories)
        return in_colour(network(self.draw(labels, torch.Generator(self.device).manual_seed(seed))))

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """Eight clips: one row a clip, one column a frame."""
        return contact_sheet(self.shown(network, seed, 8))

    def preview_clip(self, network: nn.Module, seed: int) -> np.ndarray:
        """Sixteen clips side by side."""
        return clip_grid(self.shown(network, seed, 16), 4)


PAPER = Config()
SMALL = replace(PAPER, temporal_channels=(256, 128, 64, 64), corner=128, channels=(128, 64, 32, 16),
                volume_channels=(256, 128, 64, 32), critic_channels=(32, 64, 128, 256),
                rate=2e-4, ema_half_life=1000.0)  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "paper-grey": replace(PAPER, colours=1),  # moving digits
    "paper-ode": replace(PAPER, temporal="ode"),
    "small": SMALL,
    "small-ode": replace(SMALL, temporal="ode"),
    "tiny": Config(latent=6, frame_latent=6, temporal_channels=(8, 6, 6), corner=6, channels=(8, 6), equation_width=7,
                   equation_hidden=(7,), volume_channels=(8, 6), critic_channels=(6, 8)),
}  # fmt: skip
RECIPES = {name: {"batch": 32, "iterations": 100_000} for name in PRESETS if name.startswith("paper")}  # [C]

SPEC = ModelSpec(
    kind="video",
    title="TGAN",
    paper="Saito et al., Temporal Generative Adversarial Nets with Singular Value Clipping, ICCV 2017",
    summary="short clips from a path of latents, with frames between frames, trained by a clipped Wasserstein critic",
    config=Config,
    presets=PRESETS,
    build=build,
    objective=Objective,
    needs=lambda config: ClipNeeds(
        frames=config.frames, height=config.size, width=config.size, stride=config.stride,
        fps=config.video_fps if config.retime else None, categories=config.categories,
        resize=(round(85 / 64 * config.size), config.size) if config.squeeze else None,
    ),
    recipes=RECIPES,
    latents={"z_0": "U(-1, 1), once a clip", "epsilon": "N(0, I), once a frame, where time is an SDE"},
)  # fmt: skip
