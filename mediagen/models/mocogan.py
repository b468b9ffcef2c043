"""MoCoGAN: a clip as one content code and a path of motion codes, each frame drawn by an image generator.

Tulyakov, Liu, Yang, Kautz: "MoCoGAN: Decomposing Motion and Content for Video Generation", CVPR 2018.

    z_C ~ N(0, I), once a clip;  eps(k) ~ N(0, I), once a frame
    z_M(k) = R_M([z_A, eps(k)], z_M(k - 1))        one-layer GRU (section 3.1; Eq. 7), z_A the category
    frame k = G_I([z_C, z_M(k)])                   (Eq. 3)
    D_I judges single frames, D_V 16 consecutive ones, Q the category (Eqs. 5 and 6)

`temporal` puts a differential equation in the GRU's place (nn/differential.py). With `image_to_video` an encoder makes z_C
and z_M(0) out of a picture (section 4.3). Where paper and code disagree, `Config` chooses (docs/models/mocogan.md).

Layout: B clips, C channels, T frames, H, W; d_C, d_M, d_E widths of content, motion and noise; K categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.core.clips import ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import Batch, ClipNeeds, ModelSpec, Phase
from mediagen.nn.clip_views import RandomFrame, RandomWindow
from mediagen.nn.differential import Variant, vector_equation
from mediagen.nn.frame_networks import StridedCritic, frame_encoder, frame_generator
from mediagen.nn.playback import Playback, asked, normal_rows, play, request_noise, skip
from mediagen.nn.sheets import clip_grid, contact_sheet, picture_tensor, recall, remember
from mediagen.nn.temporal import Noise, Recurrent, State, Temporal, first, follow
from mediagen.nn.upsample import Mode
from mediagen.objectives.adversarial import discriminator_logistic, generator_nonsaturating
from mediagen.objectives.penalties import r1


@dataclass(frozen=True, kw_only=True)
class Config:
    """The defaults are the paper's 64-pixel model; [C] marks what only the released code tells."""

    # Latents (section 4.2).
    content: int = 50  # d_C
    motion: int = 10  # d_M, also the GRU's width: there is no layer between
    noise: int = 10  # d_E [C]
    temporal: Literal["gru", "ode", "ode2", "ode3", "sde"] = "gru"
    field: Variant = "equal"  # f of the equations; without "equal" a fully connected net comes before them
    field_width: int = 49  # of f in the "equal" variant: as many parameters as the GRU has at d_M = 16
    standard: bool = False  # ode2 and ode3: True lets the highest derivative see the position (ours)
    # Categories (section 3.1).
    categories: int = 0  # K; 0 for none
    category_into: Literal["motion", "image"] = "motion"  # z_A -> R_M, or -> G_I (Table 4)
    information: float = 1.0  # lambda of L_I: Q must recognise z_A in generated clips; 0 switches it off
    supervised: bool = True  # Q also learns the classes of real clips
    # Pictures to videos (section 4.3).
    image_to_video: bool = False
    reconstruction: float = 10.0  # weight of the L1 between the picture and frame 0; not in the paper
    # Networks (Table 6, with the released strides).
    size: int = 64  # of a frame; size / 2^len(channels) is G_I's first kernel (4 at 64 pixels, 6 at 96)
    frames: int = 16  # T
    channels: tuple[int, ...] = (512, 256, 128, 64)  # of G_I
    upsample: Mode = "deconv"  # of G_I; the others leave no checkerboard
    leak: float = 0.0  # of G_I's rectifiers; 0.2 as Table 6 says, 0 [C]
    image_critic: Literal["patch", "full", "none"] = "patch"  # D_I; none is Table 4's ablation
    image_channels: tuple[int, ...] = (64, 128, 256)  # full has one more, twice as wide [C]
    video_critic: Literal["patch", "full"] = "full"  # D_V; patch is Table 6's, which ends with a map
    video_channels: tuple[int, ...] = (64, 128, 256, 512)  # patch leaves out the last
    first_norm: bool = False  # batch norm after the critics' first convolutions, as in Table 6; none [C]
    r1: float = 0.0  # weight of a gradient penalty on D_V (ours)
    r1_every: int = 16  # iterations; it counts as many times then
    instance_noise: float = 0.0  # sigma of the noise before each convolution of the critics [C]
    # Training.
    images: int = 3  # real pictures, and generated ones, that D_I sees per clip of the batch: 10 to 3 [C]
    lengths: tuple[int, ...] = ()  # kappa: lengths of generated clips, drawn evenly; () for `frames`
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-5  # [C]
    ema_half_life: float = 0.0  # clips; 0 for no average
    # Videos.
    stride: int = 2  # every second frame [C]
    video_fps: float = 25.0  # of the videos, before the stride
    retime: bool = False  # bring every video to video_fps first
    resize: tuple[int, int] | None = None  # before the centre is cut out; (85, 64) for UCF-101

    def __post_init__(self) -> None:
        # The critics' convolutions before the last.
        image = len(self.image_channels) + (self.image_critic == "full")
        video = len(self.video_channels) - (self.video_critic == "patch")
        layers, needed = len(self.channels), 3 * video + 4
        counts = (self.content, self.motion, self.noise, self.field_width, self.size, self.stride, self.r1_every)
        widths = (*self.channels, *self.image_channels, *self.video_channels)
        for wrong, why in (
            (min(counts + widths) < 1, "widths, sizes and numbers must be at least 1"),
            (self.categories < 0 or not 0.1 <= self.video_fps <= 1000, "categories: 0 on; video_fps: 0.1 to 1000"),
            (self.size % 2**layers, f"size {self.size} is no multiple of {2**layers}, of {layers} layers"),
            (self.size >> video < 4, f"{self.size} pixels are too few for so many video_channels"),
            (self.size >> image < 4, f"{self.size} pixels are too few for so many image_channels"),
            (self.frames < needed, f"the video critic needs at least {needed} frames"),
            (min((self.frames, *self.lengths)) < self.frames, f"lengths must be at least {self.frames}, the frames"),
            (self.lengths and self.image_to_video, "lengths go not with image_to_video: frame 0 must be seen"),
        ):
            if wrong:
                raise UsageError(why)


def temporal_model(config: Config, condition: int) -> Temporal:
    """R_M, or the equation in its place. A category is given to f, so that it can change along the way (ours)."""
    if config.temporal == "gru":
        return Recurrent(config.noise, config.motion, condition)
    return vector_equation(
        config.temporal, config.motion, variant=config.field, width=config.field_width, condition=condition,
        hidden=() if config.field == "equal" else (64,), standard=config.standard,
    )  # fmt: skip


@dataclass(frozen=True)
class Latents:
    """What a batch of clips is made from: z_C (B, d_C), the start of the motion (B, d_M), the noise (B, K, d_E), z_A (B,)."""

    content: Tensor
    start: Tensor
    noise: Tensor
    category: Tensor


class Generator(nn.Module):
    """R_M and G_I, and the encoder where there is one. `forward` trains; start, skip and step play (StreamModel)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        into_motion = config.category_into == "motion"  # widths of z_A at R_M's and at G_I's input
        self.condition, self.drawn = (config.categories, 0) if into_motion else (0, config.categories)
        self.temporal = temporal_model(config, self.condition)
        codes, channels, kernel = config.content + config.motion, config.channels, config.size >> len(config.channels)
        self.image = frame_generator(codes + self.drawn, channels, kernel, config.leak, config.upsample)
        self.encoder = frame_encoder(codes, channels[::-1], kernel) if config.image_to_video else None
        self.frame_size, self.categories = (config.size, config.size), config.categories
        self.fps, self.clip_frames = config.video_fps / config.stride, config.frames
        backwards = ["reverse"] if config.temporal.startswith("ode") else []
        self.abilities = frozenset(["motion", "rate", "image" if config.image_to_video else "content", *backwards])

    def motion(self, drawn: Latents, times: Sequence[float]) -> Tensor:
        """Motion codes (B, len(times), d_M) at `times`, in frames."""
        z_a = F.one_hot(drawn.category, self.categories or 1)[:, : self.condition].float()

        def noise(n: int) -> Tensor:
            return torch.cat([z_a, drawn.noise[:, n]], dim=1)

        with torch.autocast(drawn.start.device.type, enabled=False):
            state = self.begin(drawn.start, noise)
        return follow(self.temporal, state, 0, times, noise)[0]

    def begin(self, start: Tensor, noise: Noise) -> State:
        """The state at frame 0. An encoded picture is frame 0; without one the GRU's first step makes it."""
        return self.temporal.begin(start) if self.encoder is not None else first(self.temporal, start, noise)

    def frames(self, content: Tensor, motion: Tensor, category: Tensor) -> Tensor:
        """(N, d_C), (N, d_M), (N,) -> frames (N, 3, H, W)."""
        codes = [content, motion.to(content.dtype)]
        if self.drawn:
            codes.append(F.one_hot(category, self.drawn).to(content.dtype))
        return self.image(torch.cat(codes, dim=1))

    def clips(self, drawn: Latents, motion: Tensor) -> Tensor:
        """(B, T, d_M) motion codes -> clips (B, 3, T, H, W), channels last."""
        count = motion.shape[1]
        content, category = (x.repeat_interleave(count, dim=0) for x in (drawn.content, drawn.category))
        return self.frames(content, motion.flatten(0, 1), category).unflatten(0, (-1, count)).transpose(1, 2)

    def forward(self, drawn: Latents, times: Sequence[float]) -> Tensor:
        return self.clips(drawn, self.motion(drawn, times))

    def started(self, drawn: Latents, pictures: Tensor | None) -> Latents:
        """The latents with z_C and z_M(0) of the pictures (B, 3, H, W), where the model starts from pictures."""
        if self.encoder is None:
            return drawn
        assert pictures is not None
        content, start = self.encode(pictures)
        return replace(drawn, content=content, start=start)

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """z_C (B, d_C) and z_M(0) (B, d_M) of pictures (B, 3, H, W)."""
        assert self.encoder is not None
        codes = self.encoder(pictures).float()
        return codes[:, : self.config.content], codes[:, self.config.content :]

    # Playing (StreamModel): z_C, the start and the noise are read by position.

    def noise_of(self, request: ClipRequest, start: int, stop: int) -> Noise:
        return request_noise(request, start, stop, self.temporal.noise, self.condition, next(self.parameters()))

    @torch.no_grad()
    def start(self, request: ClipRequest) -> Playback:
        like, noise = next(self.parameters()), self.noise_of(request, 0, 1)
        if self.encoder is None:
            content = normal_rows(request.content, "z_C", self.config.content, 0, 1, like)
            start = normal_rows(request.motion, "h_0", self.config.motion, 0, 1, like)
        elif request.image is not None:
            content, start = self.encode(picture_tensor(request.image).to(like))
        else:
            raise UsageError("this model goes on from a picture: give one")
        return Playback(request, content.to(like), self.begin(start.to(like), noise))

    @torch.no_grad()
    def skip(self, state: Playback, count: int) -> Playback:
        return skip(self.temporal, state, count, self.noise_of)

    @torch.no_grad()
    def step(self, state: Playback, count: int) -> tuple[Playback, Tensor]:
        moved, motion = play(self.temporal, state, count, self.noise_of)
        category = asked(state.request, state.frame, count, self.categories, motion.device)
        return moved, self.frames(state.content.expand(count, -1), motion, category)


class Objective:
    """Eq. 6 as three steps, each on generated clips of its own: D_I, D_V, then G_I and R_M."""

    output = "generator"

    def __init__(self, config: Config, device: torch.device):
        self.config, self.device, self.ema_half_life = config, device, config.ema_half_life
        self.averaged: Sequence[str] = ("generator",) if config.ema_half_life else ()
        self.generator = Generator(config).to(device)
        critic = partial(StridedCritic, noise=config.instance_noise, first_norm=config.first_norm)
        patch, outputs = config.video_critic == "patch", 1 + config.categories
        self.video_critic = critic(video=True, channels=config.video_channels, outputs=outputs, patch=patch).to(device)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "video_critic": self.video_critic}
        if config.image_critic != "none":
            patch = config.image_critic == "patch"
            self.image_critic = critic(video=False, channels=config.image_channels, outputs=1, patch=patch).to(device)
            self.networks["image_critic"] = self.image_critic
        adam = partial(torch.optim.Adam, lr=config.rate, weight_decay=config.weight_decay, fused=True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: adam(network.parameters(), betas=config.betas) for name, network in self.networks.items()
        }
        self.state: dict[str, Tensor] = {}
        if config.image_to_video:  # to show and to measure with; whole numbers, so that shares do not blend
            shape = (32, 3, *self.generator.frame_size)
            self.state["pictures"] = torch.full(shape, 128, dtype=torch.uint8, device=device)

    def phases(self, iteration: int) -> list[Phase]:
        losses = {"image_critic": self.image_critic_loss, "video_critic": self.video_critic_loss}
        phases = [Phase(name, name, loss) for name, loss in losses.items() if name in self.networks]
        if self.config.r1 and iteration % self.config.r1_every == 0:
            phases.append(Phase("r1", "video_critic", self.r1_loss))
        return [*phases, Phase("generator", "generator", self.generator_loss)]

    def draw(self, count: int, rng: torch.Generator) -> Latents:
        """Fresh latents for `count` clips of a length kappa, which is drawn from `lengths`."""
        config, lengths = self.config, self.config.lengths or (self.config.frames,)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=rng, device=self.device)

        def below(limit: int, *shape: int) -> Tensor:
            return torch.randint(limit, shape, generator=rng, device=self.device)

        kappa = lengths[int(below(len(lengths), 1))]
        noise, category = normal(count, kappa, self.generator.temporal.noise), below(max(1, config.categories), count)
        return Latents(normal(count, config.content), normal(count, config.motion), noise, category)

    def fake_clips(self, real: Tensor, rng: torch.Generator) -> tuple[Tensor, Latents, Tensor]:
        """S_T of a generated clip for each real one: clips (B, 3, T, H, W), their latents, motion codes (B, T, d_M)."""
        drawn = self.generator.started(self.draw(len(real), rng), real[:, :, 0])
        motion = self.motion_seen(drawn, RandomWindow(self.config.frames), rng)
        return self.generator.clips(drawn, motion), drawn, motion

    def both_pictures(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Real pictures (N, 3, H, W), and S_1 of N generated clips: one each, so that the pictures are independent."""
        real = batch["images"] if self.config.images else RandomFrame()(batch["clips"], rng)
        drawn = self.generator.started(self.draw(len(real), rng), real)
        return real, self.generator.clips(drawn, self.motion_seen(drawn, RandomWindow(1), rng))[:, :, 0]

    def motion_seen(self, drawn: Latents, view: RandomWindow, rng: torch.Generator) -> Tensor:
        """The motion codes of what a critic sees: a frame that is not seen need not be drawn."""
        motion = self.generator.motion(drawn, range(drawn.noise.shape[1]))
        return view(motion.transpose(1, 2)[..., None, None], rng)[..., 0, 0].transpose(1, 2)

    def image_critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The first line of Eq. 6."""
        with torch.no_grad():
            real, fake = self.both_pictures(batch, rng)
        real_logit, fake_logit = self.image_critic(real, rng), self.image_critic(fake, rng)
        loss = discriminator_logistic(real_logit, fake_logit)
        real_mean, fake_mean = real_logit.float().mean(), fake_logit.float().mean()
        return loss, {"image_critic/loss": loss, "image_critic/real": real_mean, "image_critic/fake": fake_mean}

    def video_critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The second line of Eq. 6, and what Q learns: z_A of generated clips, the classes of real ones."""
        config, real = self.config, batch["clips"].contiguous(memory_format=torch.channels_last_3d)
        with torch.no_grad():
            fake, drawn, _ = self.fake_clips(real, rng)
        (real_logit, real_q), (fake_logit, fake_q) = self.judge(real, rng), self.judge(fake, rng)
        loss = discriminator_logistic(real_logit, fake_logit)
        real_mean, fake_mean = real_logit.mean(), fake_logit.mean()
        scalars = {"video_critic/loss": loss, "video_critic/real": real_mean, "video_critic/fake": fake_mean}
        if config.categories and config.supervised:
            scalars["video_critic/classes"] = F.cross_entropy(real_q, batch["labels"])
            loss = loss + scalars["video_critic/classes"]
        if config.categories and config.information:
            loss = loss + config.information * F.cross_entropy(fake_q, drawn.category)
        return loss, scalars

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Both critics fooled, z_A told to Q (lambda L_I), and frame 0 held to the picture where there is one."""
        config, real = self.config, batch["clips"]
        fake, drawn, motion = self.fake_clips(real, rng)
        logit, q = self.judge(fake, rng)
        loss = generator_nonsaturating(logit)
        scalars = {"generator/video": loss, "generator/motion": motion[:, -1].norm(dim=1).mean()}
        if "image_critic" in self.networks:
            _, pictures = self.both_pictures(batch, rng)
            scalars["generator/image"] = generator_nonsaturating(self.image_critic(pictures, rng))
            loss = loss + scalars["generator/image"]
        if config.categories and config.information:
            scalars["generator/information"] = F.cross_entropy(q, drawn.category)
            loss = loss + config.information * scalars["generator/information"]
        if config.image_to_video:
            remember(self.state["pictures"], real[:, :, 0])
            scalars["generator/reconstruction"] = (fake[:, :, 0] - real[:, :, 0]).float().abs().mean()
            loss = loss + config.reconstruction * scalars["generator/reconstruction"]
        return loss, scalars

    def r1_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """(r1 / 2) E ||grad D_V||^2 on real clips, lazily (Mescheder et al. 2018); no part of the paper's recipe."""
        real = batch["clips"].detach().clone().requires_grad_(True)
        penalty = r1(self.judge(real, rng)[0], real)
        return self.config.r1 * self.config.r1_every * penalty, {"video_critic/r1": penalty}

    def judge(self, clips: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """D_V's logits, and Q's (B, K), in float32."""
        logits = self.video_critic(clips, rng).float()
        return logits[:, :1], logits[:, 1:].flatten(2).mean(2)

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        assert isinstance(network, Generator)
        drawn = network.started(self.draw(count, rng), self.pictures(count, rng))
        return network.forward(drawn, range(self.config.frames))

    def pictures(self, count: int, rng: torch.Generator | None = None) -> Tensor | None:
        return recall(self.state["pictures"], count, rng) if "pictures" in self.state else None

    def shown(self, network: nn.Module, seed: int, contents: int, motions: int) -> Tensor:
        """Every content with every motion, as clips (contents * motions, 3, T, H, W)."""
        assert isinstance(network, Generator)
        drawn = self.draw(contents * motions, torch.Generator(self.device).manual_seed(seed))
        row, column = torch.cartesian_prod(torch.arange(contents), torch.arange(motions)).T.to(self.device)
        pictures = self.pictures(contents)
        category = column % max(1, network.categories)
        drawn = Latents(drawn.content[row], drawn.start[column], drawn.noise[column], category)
        drawn = network.started(drawn, None if pictures is None else pictures[row])
        return network.forward(drawn, range(self.config.frames))

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        """Two contents with four motions: one row a clip, one column a frame."""
        return contact_sheet(self.shown(network, seed, 2, 4))

    def preview_clip(self, network: nn.Module, seed: int) -> np.ndarray:
        """Four contents, one a row, with four motions, one a column."""
        return clip_grid(self.shown(network, seed, 4, 4), 4)


PAPER = Config()
# Half the channels; more pictures, noise and an average make up for what few iterations on a CPU leave unsteady.
SMALL = replace(PAPER, channels=(256, 128, 64, 32), image_channels=(32, 64, 128), video_channels=(32, 64, 128, 256), images=10,
                instance_noise=0.1, ema_half_life=1000.0)  # fmt: skip
TINY = Config(content=6, motion=4, noise=3, size=16, frames=10, channels=(12, 8), image_channels=(8,), video_channels=(8, 12),
              images=2, field_width=7)  # fmt: skip
PRESETS = {
    "paper": PAPER,
    "paper-96": replace(PAPER, size=96),
    "small": SMALL,
    "small-96": replace(SMALL, size=96),
    "paper-ode": replace(PAPER, temporal="ode", motion=16),
    "small-ode": replace(SMALL, temporal="ode", motion=16),
    "tiny": TINY,
}  # fmt: skip

SPEC = ModelSpec(
    kind="video",
    title="MoCoGAN",
    paper="Tulyakov et al., MoCoGAN: Decomposing Motion and Content for Video Generation, CVPR 2018",
    summary="clips of any length, one frame after the other, from one content code and a path of motion codes",
    config=Config,
    presets=PRESETS,
    build=Generator,
    objective=Objective,
    needs=lambda config: ClipNeeds(
        frames=config.frames, height=config.size, width=config.size, stride=config.stride, images=config.images,
        fps=config.video_fps if config.retime else None, resize=config.resize,
        categories=config.categories if config.supervised else 0,
    ),
    recipes={name: {"batch": 3, "iterations": 100_000} for name in PRESETS if name.startswith("paper")},  # [C]
    latents={"z_C": "N(0, I), once a clip", "h_0": "N(0, I), once a clip", "epsilon": "N(0, I), once a frame"},
)  # fmt: skip
