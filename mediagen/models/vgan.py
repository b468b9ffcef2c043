"""VGAN: a whole clip in one piece, a moving foreground laid over a still background through a learnt mask.

Vondrick, Pirsiavash, Torralba: "Generating Videos with Scene Dynamics", NIPS 2016.

    G(z) = m(z) * f(z) + (1 - m(z)) * b(z)        z ~ N(0, I); f and m move, b is one picture (section 2.2)

f and m share a trunk of 3-D deconvolutions up to their last layers, b is a 2-D network of its own. With `streams = "one"`
the clip is f alone. With `image_to_video` an encoder of a picture, the clip's first frame, stands in z's place (section 4.4).
Where the paper is silent or disagrees with the released code, a comment says what was taken (docs/models/vgan.md).

Layout: B clips, C channels, T frames, H, W.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ClipNeeds, ModelSpec, Phase
from mediagen.nn.clip_critic import ClipCritic
from mediagen.nn.initial import normal
from mediagen.nn.playback import normal_rows
from mediagen.nn.sheets import clip_grid, contact_sheet, picture_tensor, recall, remember
from mediagen.nn.upsample import Mode, doubler, equal_phases
from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating

KEPT = 64
"""Real pictures that the objective of an image-to-video model keeps."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's; [C] marks what only the released code tells."""

    # Networks (section 2.2 and Figure 1, channels [C]).
    latent: int = 100
    streams: Literal["two", "one"] = "two"  # one: the foreground alone, no mask, no background
    image_to_video: bool = False
    frames: int = 32
    size: int = 64
    channels: tuple[int, ...] = (512, 256, 128, 64)  # of the trunk and the background; of the encoder, upside down
    critic_channels: tuple[int, ...] = (64, 128, 256, 512)
    upsample: Mode = "deconv"
    # Losses.
    mask: float = 0.1  # lambda of the mask's L1 (section 2.2), a mean [C]: the sum would be 131,072 times that
    reconstruction: float = 10.0  # of the picture in frame 0, L1 as in the text (Eq. 3 prints L2); weight [C]
    # Training (section 2.4).
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)  # the second one [C]
    shared_fakes: bool = True  # one generated batch serves both steps of an iteration [C]
    ema_half_life: float = 0.0  # clips; 0 for no average
    # Videos.
    stride: int = field(default=1, metadata={"min": 1})
    video_fps: float = field(default=25.0, metadata={"min": 0.1, "max": 1000})  # of the videos, before the stride
    retime: bool = False  # bring every video to video_fps first

    def __post_init__(self) -> None:
        shrink = 2 ** len(self.channels)
        if self.size % shrink or self.frames % shrink or min(self.size, self.frames) < shrink:
            raise UsageError(
                f"size and frames must be multiples of {shrink}, for {len(self.channels)} layers that double"
            )
        if len(self.critic_channels) != len(self.channels):
            raise UsageError("channels and critic_channels must have as many entries: the critic mirrors the generator")

    @property
    def corner(self) -> tuple[int, int]:
        """Frames and side of the first feature map: 2 and 4."""
        shrink = 2 ** len(self.channels)
        return self.frames // shrink, self.size // shrink


class Streams(NamedTuple):
    """clip = mask * foreground + (1 - mask) * background. f (B, 3, T, H, W), m (B, 1, T, H, W), b (B, 3, 1, H, W)."""

    clip: Tensor
    foreground: Tensor
    mask: Tensor
    background: Tensor


class Chain(NamedTuple):
    """How far a picture's clips were made: the last one's number, the frame it started from, and its last."""

    key: tuple[object, ...]
    number: int
    before: Tensor
    last: Tensor


def trunk(config: Config) -> nn.Sequential:
    """The shared part of f and m: code -> features (B, channels[-1], T / 2, H / 2, W / 2)."""
    frames, side = config.corner
    width = config.channels[0]
    # From a picture the code is a map already, and only time is opened [C].
    first = (width, (frames, 1, 1)) if config.image_to_video else (config.latent, (frames, side, side))
    layers: list[nn.Module] = [
        nn.ConvTranspose3d(first[0], width, first[1]),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    ]
    for inputs, outputs in itertools.pairwise(config.channels):
        layers += [doubler(3, inputs, outputs, config.upsample), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def background(config: Config) -> nn.Sequential:
    """b: code (B, D, 1, 1), or a picture's map, -> one picture (B, 3, H, W)."""
    width, layers = config.channels[0], list[nn.Module]()
    if not config.image_to_video:
        layers += [
            nn.ConvTranspose2d(config.latent, width, config.corner[1]),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    for inputs, outputs in itertools.pairwise(config.channels):
        layers += [doubler(2, inputs, outputs, config.upsample), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, doubler(2, config.channels[-1], 3, config.upsample), nn.Tanh())


def encoder(config: Config) -> nn.Sequential:
    """Pictures (B, 3, H, W) -> the map that stands in z's place, (B, channels[0], H / 16, W / 16) [C]."""
    inputs, layers = 3, list[nn.Module]()
    for outputs in reversed(config.channels):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1)]
        layers += [nn.BatchNorm2d(outputs)] if inputs != 3 else []
        layers += [nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers)


def side_by_side(first: nn.Module, second: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What two layers make of the same features; two narrow deconvolutions as one, which takes little longer than each."""
    if not (type(first) is nn.ConvTranspose3d and type(second) is nn.ConvTranspose3d):
        return first(x), second(x)
    weight = torch.cat([first.weight, second.weight], dim=1)
    assert first.bias is not None
    assert second.bias is not None
    made = F.conv_transpose3d(x, weight, torch.cat([first.bias, second.bias]), stride=2, padding=1)
    return made[:, : first.out_channels], made[:, first.out_channels :]


class Generator(nn.Module):
    """`forward` gives clips, `streams` what they are made of; `clip` plays (ClipModel).

    A code is z (B, D); where the model starts from pictures it is the pictures (B, 3, H, W).
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.trunk = trunk(config)
        self.foreground = doubler(3, config.channels[-1], 3, config.upsample)
        two = config.streams == "two"
        self.mask = doubler(3, config.channels[-1], 1, config.upsample) if two else None
        self.background = background(config) if two else None
        self.encoder = encoder(config) if config.image_to_video else None
        self.frame_size = (config.size, config.size)
        self.fps, self.clip_frames, self.categories = config.video_fps / config.stride, config.frames, 0
        self.abilities = frozenset({"image"} if config.image_to_video else {"reverse"})
        self.chain: Chain | None = None

    def forward(self, code: Tensor) -> Tensor:
        return self.streams(code).clip

    def streams(self, code: Tensor) -> Streams:
        """The clip, f, m and b of a batch of codes. With one stream the mask is 1 and the background 0."""
        if self.encoder is not None:
            start = self.encoder(code.contiguous(memory_format=torch.channels_last))
        else:
            start = code[:, :, None, None]
        features = self.trunk(start[:, :, None].contiguous(memory_format=torch.channels_last_3d))
        if self.mask is None or self.background is None:
            f = self.foreground(features).tanh()
            return Streams(f, f, torch.ones_like(f[:, :1]), torch.zeros_like(f[:, :, :1]))
        f, m = side_by_side(self.foreground, self.mask, features)
        f, m, b = f.tanh(), m.sigmoid(), self.background(start)[:, :, None]
        return Streams(torch.lerp(b.to(f.dtype), f, m), f, m, b)

    # Playing (ClipModel).

    @torch.no_grad()
    def clip(self, request: ClipRequest, number: int) -> Tensor:
        """Clip `number` (T, 3, H, W). A model that starts from a picture goes on from the last frame of the clip before."""
        made = self.whole_clip(request, number) if self.encoder is not None else self(self.code(request, number))
        frames: Tensor = made[0].transpose(0, 1)
        return frames.flip(0) if request.rate < 0 else frames

    @torch.no_grad()
    def inspect(self, request: ClipRequest, number: int) -> Streams:
        """All four streams of clip `number`, with B = 1, for looking at."""
        if self.encoder is None:
            return self.streams(self.code(request, number))
        return self.streams(self.picture_before(request, number))

    def code(self, request: ClipRequest, number: int) -> Tensor:
        """z (1, D), a function of (seed, number) alone."""
        return normal_rows(request.seed, "z", self.config.latent, number, 1, next(self.parameters()))

    def whole_clip(self, request: ClipRequest, number: int) -> Tensor:
        """The clip that goes on from the one before; its first and last frame are kept, so that going on costs one clip."""
        before = self.picture_before(request, number)
        clip: Tensor = self(before)
        self.chain = Chain(self.chain_key(request), number, before, clip[:, :, -1].to(before))
        return clip

    def picture_before(self, request: ClipRequest, number: int) -> Tensor:
        """What clip `number` starts from, (1, 3, H, W). Raises UsageError when the request has no picture."""
        if request.image is None:
            raise UsageError("this model makes a picture move: give it one (--image PICTURE)")
        done, picture = 0, picture_tensor(request.image).to(next(self.parameters()))
        if self.chain is not None and self.chain.key == self.chain_key(request) and self.chain.number <= number:
            same = self.chain.number == number
            done, picture = (number, self.chain.before) if same else (self.chain.number + 1, self.chain.last)
        for _ in range(done, number):
            picture = self(picture)[:, :, -1].to(picture)
        return picture

    def chain_key(self, request: ClipRequest) -> tuple[object, ...]:
        """What a chain of clips depends on: its first picture and the precision that it is made in."""
        assert request.image is not None
        like = next(self.parameters())
        precision = like.dtype, str(like.device), torch.is_autocast_enabled(like.device.type)
        return hashlib.sha256(request.image.tobytes()).digest(), *precision


def critic(config: Config) -> ClipCritic:
    """D: the trunk upside down, real or not (section 2.3). One logit instead of two, which is the same; eps [C]."""
    return ClipCritic(config.frames, config.size, config.critic_channels, eps=1e-3)


class Objective:
    """Eq. 1 with the non-saturating loss [C], one step of G and one of D; the mask's and the picture's terms are G's.

    G goes first, so that D can judge the same clips without G's activations being kept for later.
    """

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator, self.critic = Generator(config), critic(config)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, network in self.networks.items():
            normal(network, 0.01, 0.02)  # weights section 2.4, scales [C]
            equal_phases(network)
            network.to(device)
            self.optimizers[name] = torch.optim.Adam(network.parameters(), config.rate, config.betas, fused=True)
        self.fakes: list[Tensor] = []  # of this iteration, share by share
        self.state: dict[str, Tensor] = {}
        if config.image_to_video:  # pictures to show and to measure with; whole numbers, so that shares do not blend
            shape = (KEPT, 3, config.size, config.size)
            self.state["pictures"] = torch.full(shape, 128, dtype=torch.uint8, device=device)

    def phases(self, iteration: int) -> list[Phase]:
        self.fakes.clear()
        return [Phase("generator", "generator", self.generator_loss), Phase("critic", "critic", self.critic_loss)]

    def codes(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """What a generated clip for each real one is made from: z, or the real clip's first frame."""
        if self.config.image_to_video:
            return real[:, :, 0]
        return torch.randn(len(real), self.config.latent, generator=rng, device=self.device)

    def critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        real = batch["clips"]
        with torch.no_grad():
            fake = self.fakes.pop(0) if self.fakes else self.generator(self.codes(real, rng))
        real_logit, fake_logit = self.critic(real), self.critic(fake)
        loss = discriminator_logistic(real_logit, fake_logit)
        return loss, {"critic/loss": loss, "critic/real": real_logit.mean(), "critic/fake": fake_logit.mean()}

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 1's G, lambda ||m||_1, and Eq. 3's first frame."""
        config, real = self.config, batch["clips"]
        made = self.generator.streams(self.codes(real, rng))
        if config.shared_fakes:
            self.fakes.append(made.clip.detach())
        loss = generator_nonsaturating(self.critic(made.clip))
        scalars = {"generator/loss": loss}
        if config.streams == "two":
            scalars["generator/mask"] = made.mask.float().abs().mean()
            loss = loss + config.mask * scalars["generator/mask"]
        if config.image_to_video:
            remember(self.state["pictures"], real[:, :, 0])
            scalars["generator/reconstruction"] = (made.clip[:, :, 0] - real[:, :, 0]).float().abs().mean()
            loss = loss + config.reconstruction * scalars["generator/reconstruction"]
        return loss, scalars

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        """Clips from fresh codes, or of pictures drawn among those that were kept."""
        pictures = self.config.image_to_video
        codes = recall(self.state["pictures"], count, rng) if pictures else self.shown_codes(count, rng)
        made: Tensor = network(codes)
        return made

    def shown_codes(self, count: int, rng: torch.Generator) -> Tensor:
        """Codes to show: fresh ones, or the pictures that were kept last."""
        if self.config.image_to_video:
            return recall(self.state["pictures"], count)
        return torch.randn(count, self.config.latent, generator=rng, device=self.device)

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """One row a clip, one column a frame; with two streams each clip is followed by its f, m and b."""
        assert isinstance(network, Generator)
        count = 3 if self.config.streams == "two" else 8
        made = network.streams(self.shown_codes(count, torch.Generator(self.device).manual_seed(seed)))
        if self.config.streams == "one":
            return contact_sheet(made.clip)
        shades = (2 * made.mask - 1).expand_as(made.clip)
        still = made.background.expand_as(made.clip)
        rows = [row for four in zip(made.clip, made.foreground, shades, still, strict=True) for row in four]
        return contact_sheet(torch.stack([row.float() for row in rows]))

    def preview_clip(self, network: nn.Module, seed: int) -> np.ndarray:
        """Sixteen clips side by side."""
        return clip_grid(network(self.shown_codes(16, torch.Generator(self.device).manual_seed(seed))), 4)


PAPER = Config()
FUTURE = replace(
    PAPER, image_to_video=True, mask=0.0, channels=(1024, 512, 256, 128), critic_channels=(128, 256, 512, 1024)
)
SMALL = replace(PAPER, frames=16, channels=(256, 128, 64, 32), critic_channels=(32, 64, 128, 256), ema_half_life=1000.0)
PRESETS = {
    "paper": PAPER,
    "paper-16": replace(PAPER, frames=16),  # half as long: the first kernel and the critic's last lose their second frame
    "paper-future": FUTURE,
    "small": SMALL,
    "small-future": replace(SMALL, image_to_video=True, mask=0.0),
    "tiny": Config(latent=6, frames=8, size=16, channels=(12, 8, 6), critic_channels=(6, 8, 12)),
}  # fmt: skip
# Batch: section 2.4, with pictures [C]. Iterations: those of the model of golf that was released [C].
RECIPES = {name: {"batch": 32 if name == "paper-future" else 64, "iterations": 65_000}
           for name in PRESETS if name.startswith("paper")}  # fmt: skip

SPEC = ModelSpec(
    kind="video",
    title="VGAN",
    paper="Vondrick et al., Generating Videos with Scene Dynamics, NIPS 2016",
    summary="short clips in one piece: a moving foreground over a still background, or a picture made to move",
    config=Config,
    presets=PRESETS,
    build=Generator,
    objective=Objective,
    needs=lambda config: ClipNeeds(
        frames=config.frames, height=config.size, width=config.size, stride=config.stride,
        fps=config.video_fps if config.retime else None,
    ),
    recipes=RECIPES,
    latents={"z": "N(0, I), once a clip"},
)  # fmt: skip
